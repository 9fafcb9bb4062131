"""Whether decoding the key frames of a stream is enough."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

_SEEN = 4
_SLACK = 1.02


class KeyFrames:
    """Whether the key frames of a stream suffice for so many frames a second.

    Attributes:
        alone: Whether they do, by those of the last seconds.
    """

    def __init__(self, fps: float) -> None:
        self.alone = False
        self._longest = _SLACK / fps
        self._times: deque[float] = deque(maxlen=_SEEN)

    def suffice(self, at: float | None) -> bool:
        """Take note of a key frame at a time in seconds; None if that is unknown."""
        if at is None or (self._times and at <= self._times[-1]):
            self._times.clear()
        if at is not None:
            self._times.append(at)
        gaps = [b - a for a, b in pairwise(self._times)]
        self.alone = len(self._times) == _SEEN and max(gaps) <= self._longest
        return self.alone
