"""Monotonic presentation times in seconds, from the times that containers and streams contain."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av import Packet, VideoFrame

log = logging.getLogger(__name__)

_TINY = 0.001
_JUMP = 1.0
_LIVE_JUMP = 5.0
_DRIFT = 5e-4
_AHEAD_S = 8.0  # more than a server buffers for new clients


def _stamp(frame: VideoFrame) -> float | None:
    """The frame's own time, else its packet's, in the stream's seconds."""
    value = frame.pts if frame.pts is not None else frame.dts
    if value is None or not frame.time_base:
        return None
    return float(value * frame.time_base)


class FileTimes:
    """Presentation times of a file, with missing and decreasing ones repaired.

    A frame without a time follows the previous one by the usual frame duration. A time that falls
    slightly (a muxer's error) is placed just after the last; one that falls by more than a second
    (joined recordings) starts a new stretch, which continues where the last one ended.

    Attributes:
        first: Time of the first frame, or None before it.
        end: Where the last frame ends.
        usual: Seconds of a frame that has no duration.
    """

    def __init__(self, rate: Fraction | None) -> None:
        self.usual = float(1 / rate) if rate else 1 / 25
        self._shift = 0.0
        self._last = 0.0
        self.first: float | None = None
        self.end = 0.0

    def __call__(self, frame: VideoFrame) -> float:
        stamp = _stamp(frame)
        length = self.usual
        if frame.duration and frame.time_base:
            length = float(frame.duration * frame.time_base)
        if self.first is None:
            time = self.first = stamp if stamp is not None else 0.0
        elif stamp is None:
            time = self._last + self.usual
        else:
            time = stamp + self._shift
            if time < self._last - _JUMP:
                self._shift += self.end - time
                time = self.end
            elif time <= self._last:
                time = self._last + _TINY
        self._last, self.end = time, time + length
        return time


@dataclass(slots=True)
class StreamClock:
    """A stretch of a live stream in which its clock runs without jumps.

    Attributes:
        zero: ``time.monotonic()`` at the stream's time 0, so that ``zero`` + a packet's time is
            when it was due.
        begun: ``zero`` by the first packet alone.
        first: Stream time of its first packet.
        shift: Difference from stream time to ``Frame.time``; None before the first frame.
    """

    zero: float
    begun: float
    first: float
    shift: float | None = None


class LiveTimes:
    """Compares a live stream's own clock with the wall clock.

    ``Frame.time`` counts from 0 at the first frame. Within a connection it follows the stream's own
    times, which are free of network jitter; after a reconnection, a jump of the stream's clock or a
    missing time it continues by the wall clock.

    Lag is measured against the packet with the least delay: a packet that waits in a buffer, here
    or on the way, or for a slow decoder, is as late as it would not be with that delay. A clock
    that falls, or leaps ahead by more than five seconds, was reset: this says nothing about delay,
    so the lag is assumed unchanged.

    ``arrived`` belongs to the thread that reads packets, the call to the one that decodes them.

    Args:
        name: The stream's name in messages.

    Attributes:
        paced: As for ``reconnected``.
        ahead: The stream arrives faster than real time, so it is not live.
    """

    def __init__(self, name: str = "the stream") -> None:
        self._name = name
        self._opened: float | None = None
        self._clock: StreamClock | None = None
        self._before: StreamClock | None = None
        self._last = -1e9  # time of the last frame; there was none
        self._usual = 1 / 25
        self._trusted, self.paced, self.ahead = True, False, False
        self._arrived = self._stamp = self._order = 0.0

    def reconnected(
        self, rate: Fraction | None = None, trusted: bool = True, paced: bool = False
    ) -> None:
        """Start a connection.

        Args:
            rate: Frames per second, if known.
            trusted: Whether the stream's own times are meaningful.
            paced: Whether it arrives in segments of some seconds (HLS), to be played in real time:
                then the packet with the *most* delay is not late.
        """
        self._clock = self._before = None
        self._usual = float(1 / rate) if rate else 1 / 25
        self._trusted, self.paced, self.ahead = trusted, paced, False

    def arrived(self, packet: Packet[Any], now: float) -> float:
        """Record a packet; returns when it was due, or ``now`` if it has no meaningful time."""
        base = packet.time_base
        pts = packet.pts if packet.pts is not None else packet.dts
        if pts is None or not base or not self._trusted:
            return now
        stamp = float(pts * base)
        order = float(packet.dts * base) if packet.dts is not None else stamp
        # Presentation times may fall from packet to packet; decoding times do not.
        clock = self._running(order, now, 0.0 if packet.dts is not None else -_JUMP)
        if clock is None:
            lag = 0.0 if self._clock is None else self._lag(self._clock)
            clock = StreamClock(now - stamp - lag, now - stamp - lag, stamp)
            self._before, self._clock = self._clock, clock
        elif self.paced:
            clock.zero = max(clock.zero, now - stamp)
        else:
            # Clock drift is some millionths; real lag grows by hundredths.
            drift = _DRIFT * (now - self._arrived)
            clock.zero = min(clock.zero + drift, now - stamp)
            self.ahead = self.ahead or clock.begun - clock.zero > _AHEAD_S
        self._arrived, self._stamp, self._order = now, stamp, order
        return clock.zero + stamp

    def _running(self, order: float, now: float, least: float) -> StreamClock | None:
        """The clock, unless this packet shows that it was reset."""
        clock = self._clock
        if clock is None:
            return None
        step = order - self._order
        ahead = step - (now - self._arrived) - self._lag(clock)
        if step >= least and (ahead <= _LIVE_JUMP or self.paced):
            return clock
        level = logging.WARNING if abs(step) > _JUMP else logging.DEBUG
        log.log(level, "%s: its clock was reset, by %+.1f s", self._name, step)
        return None

    def _lag(self, clock: StreamClock) -> float:
        """How late the last packet was on arrival."""
        return max(0.0, self._arrived - clock.zero - self._stamp)

    def __call__(self, frame: VideoFrame, now: float) -> tuple[float, float]:
        """``Frame.time``, and the ``time.monotonic()`` when the frame was due.

        Args:
            frame: Decoded from recorded packets.
            now: When its packet arrived; the due time if it has no time of its own.
        """
        stamp, clock, due = _stamp(frame), self._clock, now
        if not self._trusted or (clock is None and self._last >= 0):
            self._opened = now if self._opened is None else self._opened
            time = now - self._opened
        elif stamp is None or clock is None:
            # Such as the first RTSP packet: placed by the usual frame duration.
            time = max(0.0, self._last + self._usual)
            if clock is not None and clock.shift is None:
                due = min(now, clock.zero + clock.first - self._usual)
        else:
            # The decoder may still hold frames of the previous clock.
            clocks = [c for c in (clock, self._before) if c is not None]
            clock = min(clocks, key=lambda c: abs(c.zero + stamp - now))
            due = clock.zero + stamp
            due = due if self.paced else min(now, due)
            if self._opened is None:
                self._opened = due - max(0.0, self._last + self._usual)
            if clock.shift is None:
                clock.shift = due - self._opened - stamp
            time = stamp + clock.shift
        self._last = max(time, self._last + _TINY)
        return self._last, due
