"""Whether a web server hands out the same recording again.

A file that is sent without its length, in chunks, looks like a live stream until it ends, and then
like one that went away. But it does not come at the pace of its own times, and fetched again it
begins with the very picture it began with before.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av import VideoFrame

# What a stream takes by what it lasts: one that happens as it is sent stays between these.
_FASTER, _SLOWER, _STALLED_S = 0.7, 1.5, 5.0
_USUAL_LENGTH = 1 / 25  # of a frame without times


class Replay:
    """Follows the connections of one stream.

    Args:
        by_pace: Look at how fast it came too; where each frame is waited for, that says nothing.
    """

    def __init__(self, by_pace: bool = True) -> None:
        self._by_pace = by_pace
        self._first: bytes | None = None
        self._begun = time.monotonic()
        self._frames, self._start, self._last = 0, 0.0, 0.0
        self._was_file = False

    def connecting(self) -> None:
        """A connection is about to be made."""
        self._begun, self._frames = time.monotonic(), 0

    def ended(self) -> None:
        """The connection ended without an error; one that broke off was not all there is."""
        took = time.monotonic() - self._begun
        lasts = (self._last - self._start) or self._frames * _USUAL_LENGTH
        in_step = _FASTER * lasts <= took <= _SLOWER * lasts + _STALLED_S
        self._was_file = not (self._by_pace and in_step)

    def repeats(self, frame: VideoFrame) -> bool:
        """Whether a frame of the connection shows that it is what the last one was."""
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
    """A digest of the picture; None where it is in the memory of hardware."""
    try:
        return hashlib.blake2b(memoryview(frame.planes[0]), digest_size=16).digest()
    except (TypeError, ValueError, IndexError):
        return None
