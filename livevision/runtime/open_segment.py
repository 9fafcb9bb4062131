"""A segment of a recording while it is written."""

from __future__ import annotations

import time as clock
from contextlib import suppress
from datetime import UTC, datetime

from livevision.errors import OutputError
from livevision.media.tap import Kept
from livevision.output.clip_file import ClipFile, suffix_of
from livevision.output.segment_folder import SegmentFolder
from livevision.protocols import SourceInfo

_CHECK_S = 2.0  # between looks at the disk
_NEARLY_S = 0.01  # by which times of key frames may be rounded


class OpenSegment:
    """A new segment in a folder; ``write`` keeps the folder's index and bounds up to date.

    Args:
        folder: The folder.
        name: Name of the source.
        info: What the source reports of itself.
        first: Its first packet, a key frame.
        sound: The sound that begins with it; None if there is none.
        start: When that was captured.

    Raises:
        OutputError: It cannot be written, now or later.
    """

    def __init__(
        self,
        folder: SegmentFolder,
        name: str,
        info: SourceInfo,
        first: Kept,
        sound: Kept | None,
        start: datetime,
    ) -> None:
        self._folder, self._name, self._start = folder, name, start
        self.path = folder.new(name, start, suffix_of(first.part))
        try:
            self._file = ClipFile(self.path, first, info, fragments=True, sound=sound)
        except OutputError:
            folder.finished(self.path, name, start, start, complete=False)
            raise
        self._begun = clock.monotonic()
        self._checked = float("-inf")

    @property
    def zero(self) -> float:
        """``Frame.time`` of its first picture."""
        return self._file.zero

    @property
    def last(self) -> float:
        """``Frame.time`` of its last picture so far."""
        return self._file.end

    @property
    def age(self) -> float:
        """Seconds since it was begun."""
        return clock.monotonic() - self._begun

    @property
    def end(self) -> datetime:
        """When its last picture so far was captured."""
        seconds = self._start.timestamp() + self.last - self.zero
        return datetime.fromtimestamp(seconds, UTC)

    def fits(self, kept: Kept, sound: Kept | None, seconds: float) -> bool:
        """Whether a packet of video belongs into this segment.

        Args:
            kept: The packet; its time is known.
            sound: The sound that begins with it, if it is a key frame; None if there is none.
            seconds: From which the segment ends at the next key frame.
        """
        if not self._file.goes_on_with(kept.part):
            return False
        if not kept.key:
            return True
        if not self._file.sound_goes_on_with(kept.part, sound):
            return False  # it began, or changed
        assert kept.time is not None
        if kept.time - self.zero >= seconds - _NEARLY_S:
            return False
        with suppress(OSError):
            return self._file.current.stat().st_size < self._folder.largest
        return True

    def write(self, kept: Kept) -> None:
        """Add a packet."""
        self._file.write(kept)
        self.check()

    def check(self) -> None:
        """Now and then: look whether the disk is there and has room, and update the index."""
        now, current = clock.monotonic(), self._file.current
        # It has its name, and so a row in the index, once it can be read.
        if now - self._checked >= (_CHECK_S if current == self.path else _CHECK_S / 20):
            self._checked = now
            self._folder.grew(self.path, current, self._name, self._start, self.end)

    def close(self, *, complete: bool = True) -> None:
        """Finish the file.

        Args:
            complete: Nothing has failed.

        Raises:
            OutputError: The end cannot be written, or the file is gone.
        """
        whole = False
        try:
            self._file.close()
            whole = complete and self.path.exists()
        finally:
            self._folder.finished(self.path, self._name, self._start, self.end, complete=whole)
        if complete and not whole:
            raise OutputError(f"cannot record into {self._folder.folder}: the folder is gone")
