"""Which frames of a source are taken: every n-th, or so many a second."""

from __future__ import annotations

import math
from fractions import Fraction

SLACK = 0.02
"""Part of the time between two taken frames by which one may be early."""


class Sampler:
    """Chooses frames by number and time.

    Args:
        stride: Take every ``stride``-th frame.
        fps: Of these, take at most so many a second; None for all.
    """

    def __init__(self, stride: int = 1, fps: float | None = None) -> None:
        self._stride, self._fps = stride, fps
        self._slot: int | None = None
        self._last = -math.inf

    def takes(self, number: int, time: float) -> bool:
        """Whether a frame is taken; to be asked of each once, in their order.

        Args:
            number: Of the frame in its source, from 0.
            time: Its presentation time in seconds. After a time that goes back the next is taken.
        """
        if number % self._stride:
            return False
        if self._fps is None:
            return True
        slot = math.floor(time * self._fps + SLACK)
        back, self._last = time < self._last, time
        if self._slot is not None and slot <= self._slot and not back:
            return False
        self._slot = slot
        return True

    def rate(self, rate: Fraction | None) -> Fraction | None:
        """Taken frames per second of a source with ``rate``; None if that is unknown."""
        if rate is None:
            return None
        left = rate / self._stride
        limit = None if self._fps is None else Fraction(self._fps).limit_denominator(1000)
        return left if limit is None else min(left, limit)

    def count(self, frames: int | None, rate: Fraction | None) -> int | None:
        """About how many of ``frames`` are taken; None if unknown."""
        if not frames:
            return None
        left = -(-frames // self._stride)
        if self._fps is None:
            return left
        if not rate:
            return None
        return min(left, math.ceil(frames / rate * Fraction(self._fps)))
