"""Which frames of a stream need not be decoded if few a second are looked at.

Frames between two key frames refer to each other, so decoding may stop and begins again at a key
frame: at all others if key frames come often enough, else behind the last frame that is looked at
before the next key frame.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import pairwise

from livevision.capture.sampling import SLACK

_SEEN = 4
_LONGER = 1.02  # by which the time between two key frames may vary


class KeyFrames:
    """Tells whether frames have to be decoded, by when the last key frames came.

    Args:
        fps: Frames a second that are looked at, as ``Sampler`` takes them.

    Attributes:
        alone: Whether key frames suffice.
    """

    def __init__(self, fps: float) -> None:
        self.alone = False
        self._fps, self._longest = fps, _LONGER / fps
        self._times: deque[float] = deque(maxlen=_SEEN)
        self._last: float | None = None  # of the frame before
        self._next: float | None = None  # when the next key frame is due

    def suffice(self, at: float | None) -> bool:
        """Take note of a key frame at a time in seconds; None if that is unknown."""
        if at is None or (self._times and at <= self._times[-1]):
            self._times.clear()
        if at is not None:
            self._times.append(at)
        gaps = [b - a for a, b in pairwise(self._times)]
        known = len(self._times) == _SEEN
        self.alone = known and max(gaps) <= self._longest
        regular = known and max(gaps) <= _LONGER * min(gaps)
        self._last = at
        self._next = None if not regular or at is None else at + min(gaps)
        return self.alone

    def unseen(self, at: float | None) -> bool:
        """Whether nothing is looked at from a frame on, not a key frame, to the next key frame.

        Args:
            at: Its time in seconds; to be asked of each frame in their order.
        """
        before, self._last = self._last, at
        if at is None or before is None or self._next is None or at <= before:
            return False
        last = self._next - (at - before)
        return self._slot(before) == self._slot(at) == self._slot(max(at, last))

    def _slot(self, at: float) -> int:
        return math.floor(at * self._fps + SLACK)
