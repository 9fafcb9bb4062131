"""Detects web servers that send the same recording again.

A file sent in chunks, without its length, looks like a live stream until it ends, and then like a
lost one. But it does not arrive in real time, and after reconnecting it begins with the same
picture.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av import VideoFrame

# Ratio of arrival time to duration: a live stream stays between these.
_FASTER, _SLOWER, _STALLED_S = 0.7, 1.5, 5.0
_USUAL_LENGTH = 1 / 25  # seconds, for a frame without times


class Replay:
    """Compares the connections of one stream.

    Args:
        by_pace: Also compare arrival with real time; meaningless if frames wait for the reader.
    """

    def __init__(self, by_pace: bool = True) -> None:
        self._by_pace = by_pace
        self._first: bytes | None = None
        self._begun = time.monotonic()
        self._frames, self._start, self._last = 0, 0.0, 0.0
        self._was_file = False

    def connecting(self) -> None:
        """A new connection is about to be made."""
        self._begun, self._frames = time.monotonic(), 0

    def ended(self) -> None:
        """The connection ended without an error; a broken one would not be the whole file."""
        took = time.monotonic() - self._begun
        lasts = (self._last - self._start) or self._frames * _USUAL_LENGTH
        in_step = _FASTER * lasts <= took <= _SLOWER * lasts + _STALLED_S
        self._was_file = not (self._by_pace and in_step)

    def repeats(self, frame: VideoFrame) -> bool:
        """Whether a frame shows that this connection repeats the last one."""
        self._frames += 1
        if frame.time is not None:
            self._last = frame.time
        if self._frames > 1:
            return False
        self._start = self._last
        mark, before, was_file = _mark(frame), self._first, self._was_file
        self._first, self._was_file = mark, False
        return was_file and mark is not None and mark == before


def _mark(frame: VideoFrame) -> bytes | None:
    """A digest of the picture; None if it is in GPU memory."""
    try:
        return hashlib.blake2b(memoryview(frame.planes[0]), digest_size=16).digest()
    except (TypeError, ValueError, IndexError):
        return None
