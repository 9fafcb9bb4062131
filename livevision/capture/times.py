"""Presentation times in seconds, always rising, from what containers and streams really write."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av import VideoFrame

_TINY = 0.001
_JUMP = 1.0
_LIVE_JUMP = 5.0


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


class LiveTimes:
    """A stream's times from 0 at its first frame, held to the wall clock across breaks.

    Within a connection the stream's own times count, since they are free of the network's jitter.
    A new connection, a missing time or one that strays more than five seconds from the wall clock
    starts again from the wall clock.
    """

    def __init__(self) -> None:
        self._opened: float | None = None
        self._shift: float | None = None
        self._trusted = True
        self._last = -_TINY

    def reconnected(self, trusted: bool = True) -> None:
        """Begin a connection; its own times count only if they are ``trusted``."""
        self._shift, self._trusted = None, trusted

    def __call__(self, frame: VideoFrame, wall_time: float) -> float:
        if self._opened is None:
            self._opened = wall_time
        elapsed = wall_time - self._opened
        stamp = _stamp(frame)
        if stamp is None or not self._trusted:
            time = elapsed
        else:
            if self._shift is None or abs(stamp + self._shift - elapsed) > _LIVE_JUMP:
                self._shift = elapsed - stamp
            time = stamp + self._shift
        self._last = max(time, self._last + _TINY)
        return self._last
