"""Presentation times in seconds, always rising, from what containers and streams really write."""

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
_AHEAD_S = 8.0  # more than a server keeps for those who join


def _stamp(frame: VideoFrame) -> float | None:
    """The frame's own time, else that of its packet, in the stream's seconds."""
    value = frame.pts if frame.pts is not None else frame.dts
    if value is None or not frame.time_base:
        return None
    return float(value * frame.time_base)


class FileTimes:
    """A file's times as they stand in it, missing and falling ones repaired.

    A frame without a time follows the one before it by the frame's usual length. A time that falls
    a little (a muxer's slip) is put just behind the last; one that falls by more than a second (two
    recordings joined) starts a new stretch, which goes on where the last one ended.

    Attributes:
        first: Time of the first frame, or None before it.
        end: Where the last frame ends.
    """

    def __init__(self, rate: Fraction | None) -> None:
        self._usual = float(1 / rate) if rate else 1 / 25
        self._shift = 0.0
        self._last = 0.0
        self.first: float | None = None
        self.end = 0.0

    def __call__(self, frame: VideoFrame) -> float:
        stamp = _stamp(frame)
        length = self._usual
        if frame.duration and frame.time_base:
            length = float(frame.duration * frame.time_base)
        if self.first is None:
            time = self.first = stamp if stamp is not None else 0.0
        elif stamp is None:
            time = self._last + self._usual
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
    """A stretch of a live stream in which its own clock runs on.

    Attributes:
        zero: ``time.monotonic()`` at the stream's time 0, so that ``zero`` + a packet's time is the
            moment it was due.
        begun: What ``zero`` was by the first packet.
        first: The stream's time of its first packet.
        shift: What its time lacks to ``Frame.time``; None before the first frame.
    """

    zero: float
    begun: float
    first: float
    shift: float | None = None


class LiveTimes:
    """A live stream's own clock, held against the wall clock.

    ``Frame.time`` counts from 0 at the first frame. Within a connection the stream's own times
    count, since they are free of the network's jitter; behind a break, a jump of the stream's clock
    or a missing time it goes on by the wall clock.

    How far a packet is behind counts from the packet that came with the least delay of all: one
    that lies in a buffer, here or on the way, or waits for a slow decoder is as old as it would be
    had it come as quickly as that one. A clock that falls, or leaps ahead by more than five
    seconds, is one set anew: it says nothing of delay, so the lag is taken to be what it was.

    ``arrived`` belongs to the thread that reads packets, the call to the one that decodes them.

    Args:
        name: What to call the stream in messages.

    Attributes:
        paced: As for ``reconnected``.
        ahead: The stream comes faster than it plays, so that it is not one that happens just now.
    """

    def __init__(self, name: str = "the stream") -> None:
        self._name = name
        self._opened: float | None = None
        self._clock: StreamClock | None = None
        self._before: StreamClock | None = None
        self._last = -1e9  # of the last frame, which was never
        self._usual = 1 / 25
        self._trusted, self.paced, self.ahead = True, False, False
        self._arrived = self._stamp = self._order = 0.0

    def reconnected(
        self, rate: Fraction | None = None, trusted: bool = True, paced: bool = False
    ) -> None:
        """Begin a connection.

        Args:
            rate: Frames per second, if known.
            trusted: Whether the stream's own times count.
            paced: Whether it comes in pieces of some seconds (HLS), to be played back at its own
                pace: then the packet that came with the *most* delay is not late.
        """
        self._clock = self._before = None
        self._usual = float(1 / rate) if rate else 1 / 25
        self._trusted, self.paced, self.ahead = trusted, paced, False

    def arrived(self, packet: Packet[Any], now: float) -> float:
        """Note a packet; the moment it was due: ``now`` where it has no time that counts."""
        base = packet.time_base
        pts = packet.pts if packet.pts is not None else packet.dts
        if pts is None or not base or not self._trusted:
            return now
        stamp = float(pts * base)
        order = float(packet.dts * base) if packet.dts is not None else stamp
        # Presentation times alone may fall from packet to packet.
        clock = self._running(order, now, 0.0 if packet.dts is not None else -_JUMP)
        if clock is None:
            lag = 0.0 if self._clock is None else self._lag(self._clock)
            clock = StreamClock(now - stamp - lag, now - stamp - lag, stamp)
            self._before, self._clock = self._clock, clock
        elif self.paced:
            clock.zero = max(clock.zero, now - stamp)
        else:
            # Clocks drift apart by some millionths; a lag that grows is one of hundredths.
            drift = _DRIFT * (now - self._arrived)
            clock.zero = min(clock.zero + drift, now - stamp)
            self.ahead = self.ahead or clock.begun - clock.zero > _AHEAD_S
        self._arrived, self._stamp, self._order = now, stamp, order
        return clock.zero + stamp

    def _running(self, order: float, now: float, least: float) -> StreamClock | None:
        """The clock, unless this packet shows that it was set anew."""
        clock = self._clock
        if clock is None:
            return None
        step = order - self._order
        ahead = step - (now - self._arrived) - self._lag(clock)
        if step >= least and (ahead <= _LIVE_JUMP or self.paced):
            return clock
        level = logging.WARNING if abs(step) > _JUMP else logging.DEBUG
        log.log(level, "%s: its clock was set anew, by %+.1f s", self._name, step)
        return None

    def _lag(self, clock: StreamClock) -> float:
        """How far the last packet was behind when it arrived."""
        return max(0.0, self._arrived - clock.zero - self._stamp)

    def __call__(self, frame: VideoFrame, now: float) -> tuple[float, float]:
        """``Frame.time``, and the moment by ``time.monotonic()`` at which the frame was due.

        Args:
            frame: Decoded from packets that have been noted.
            now: When its packet arrived, which is when it was due where it has no time of its own.
        """
        stamp, clock, due = _stamp(frame), self._clock, now
        if not self._trusted or (clock is None and self._last >= 0):
            self._opened = now if self._opened is None else self._opened
            time = now - self._opened
        elif stamp is None or clock is None:
            # As the first packet by RTSP: it stands where the others put it.
            time = max(0.0, self._last + self._usual)
            if clock is not None and clock.shift is None:
                due = min(now, clock.zero + clock.first - self._usual)
        else:
            # The decoder may still hold frames of the clock before.
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
