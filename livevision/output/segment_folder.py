"""The folder of recorded segments: their names, its bounds, its index, and whether it is there.

recordings/index.sqlite
           2026-11-29/door-20261129T081530.042Z.mp4     begins at 8:15:30 UTC
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
import time
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from livevision.analysis.event import Event, as_text
from livevision.errors import OutputError
from livevision.output.kept_files import KeptFiles
from livevision.output.segment_index import Segment, SegmentIndex
from livevision.output.target import folder_name

log = logging.getLogger(__name__)

INDEX = "index.sqlite"

_NAME = re.compile(r"(.+)-(\d{8}T\d{6}\.\d{3}Z)\.(?:mp4|mkv)")
_EMPTY = re.compile(r".+-\d{8}T\d{6}\.\d{3}Z\.part\d*\.(?:mp4|mkv)")
_OLD_S = 60.0
_FORMAT = "%Y%m%dT%H%M%S.%fZ"


class SegmentFolder:
    """Segments in a folder, the oldest of which are deleted first. Safe from any thread.

    Segments that an earlier process left behind are put into the index when the folder is opened.

    Args:
        folder: The folder; created if missing.
        most_bytes: Maximum size of all segments; None for no limit.
        keep: Seconds that a segment is kept; None for ever.

    Raises:
        OutputError: The folder cannot be created or read.
    """

    def __init__(self, folder: Path, most_bytes: int | None, keep: float | None) -> None:
        self.folder, self._most, self._keep = folder, most_bytes, keep
        self._lock = threading.RLock()
        self._being_written: set[Path] = set()
        self._deleted = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._disk = folder.stat().st_dev
            self._open()
        except OSError as error:
            raise OutputError(f"cannot record into {folder}: {_reason(error)}") from None

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return self._files.size

    @property
    def deleted(self) -> int:
        """Segments deleted for space or age."""
        return self._deleted + self._files.deleted

    @property
    def largest(self) -> float:
        """Bytes from which a segment ends early, so that the bounded folder holds several."""
        if self._most is None:
            return float("inf")
        return self._most / (4 * max(1, len(self._being_written)))

    def tidy(self) -> None:
        """Delete what is too old or too much."""
        self._files.make_room()

    def new(self, source: str, start: datetime, suffix: str) -> Path:
        """A free name for a segment that starts now, in a folder that is there.

        Raises:
            OutputError: The disk is full or gone.
        """
        with self._lock:
            self._look()
            self._need_room()
            while True:
                stamp = f"{start:%Y%m%dT%H%M%S}.{start.microsecond // 1000:03d}Z"
                name = f"{folder_name(source)}-{stamp}"
                path = self.folder / f"{start:%Y-%m-%d}" / f"{name}{suffix}"
                if not path.exists() and path not in self._being_written:
                    break
                start += timedelta(milliseconds=1)
            try:
                path.parent.mkdir(exist_ok=True)
            except OSError as error:
                raise OutputError(f"cannot record into {self.folder}: {_reason(error)}") from None
            self._being_written.add(path)
            return path

    def grew(self, path: Path, current: Path, source: str, start: datetime, end: datetime) -> None:
        """A segment has grown: update the index, and make room for more.

        Args:
            path: The segment.
            current: Its present name.
            source: Name of its source.
            start, end: What it shows, in UTC.

        Raises:
            OutputError: The disk is full, or the file is gone.
        """
        try:
            size = current.stat().st_size
        except OSError:
            raise OutputError(f"cannot record into {self.folder}: the folder is gone") from None
        with self._lock:
            if current == path:
                self._files.grows(path)
                # Part of what it shows is not on the disk yet. A row whose size differs from the
                # file's is measured at the next start, if a kill leaves it behind.
                seen = max(0, size - 1)
                self._index.put(self._row(path), source, start, end, seen, complete=False)
            self._need_room()

    def finished(
        self, path: Path, source: str, start: datetime, end: datetime, *, complete: bool
    ) -> None:
        """A segment is closed."""
        with self._lock:
            self._being_written.discard(path)
            with contextlib.suppress(OSError):
                size = path.stat().st_size
                self._index.put(self._row(path), source, start, end, size, complete=complete)
                self._files.added(path)

    def happened(self, path: Path, event: Event) -> None:
        """A segment shows an event."""
        with self._lock:
            self._index.happened(self._row(path), event)

    def newest(
        self, source: str | None, between: tuple[datetime, datetime] | None, most: int
    ) -> list[tuple[Segment, list[dict[str, Any]]]]:
        """Segments with the events that they show, newest first; see ``SegmentIndex.newest``.

        Raises:
            OutputError: The index cannot be read.
        """
        with self._lock:
            found = self._index.newest(source, between, most)
            events = self._index.events([each.file for each in found])
        return [(each, events.get(each.file, [])) for each in found]

    def path(self, file: str) -> Path | None:
        """The path of a segment that the index has; None if there is none.

        Raises:
            OutputError: The index cannot be read.
        """
        with self._lock:
            known = self._index.one(file) is not None
        path = self.folder / file
        # The index may be a file from elsewhere, and name any other.
        inside = known and path.resolve().is_relative_to(self.folder.resolve())
        return path if inside and not path.is_symlink() and _is_mine(path) else None

    def close(self) -> None:
        """Release the index."""
        with self._lock:
            self._index.close()

    def _open(self) -> None:
        """Open the index, and compare it with the files."""
        self._index = SegmentIndex(self.folder / INDEX)
        self._inode = (self.folder / INDEX).stat().st_ino
        self._files = KeptFiles(self.folder, _is_mine, self._most, self._keep, self._forget)
        for path in self._being_written:
            self._files.grows(path)
        known = {row.file: row for row in self._index.segments()}
        there = {self._row(path): path for path in self._mine() if path not in self._being_written}
        self._index.forget([file for file in known if file not in there])
        for file, path in there.items():
            row, size = known.get(file), path.stat().st_size
            if row is not None and (row.complete or row.bytes == size):
                continue
            match = _NAME.fullmatch(path.name)
            assert match is not None
            start = datetime.strptime(match[2], _FORMAT).replace(tzinfo=UTC)
            end = start + timedelta(seconds=_length(path))
            source = match[1] if row is None else row.source
            self._index.put(file, source, start, end, size, complete=False)
            log.info("%s was left behind, until %s", path, as_text(end))

    def _mine(self) -> list[Path]:
        found = []
        for path in sorted(self.folder.rglob("*")):
            if _is_mine(path):
                found.append(path)
            elif _EMPTY.fullmatch(path.name) and time.time() - path.stat().st_mtime > _OLD_S:
                path.unlink(missing_ok=True)  # a process ended before its first picture
        return found

    def _look(self) -> None:
        """Check that the folder is the one of the start; a lost one is made again on its disk.

        Raises:
            OutputError: It is gone, and what is there now belongs to another disk.
        """
        try:
            with contextlib.suppress(FileNotFoundError):
                if (self.folder / INDEX).stat().st_ino == self._inode:
                    return
            if not (self.folder / INDEX).exists() and _disk_of(self.folder) != self._disk:
                raise OutputError(f"cannot record into {self.folder}: its disk is gone")
            self.folder.mkdir(parents=True, exist_ok=True)
            self._index.close()
            self._deleted += self._files.deleted
            self._open()
            self._disk = self.folder.stat().st_dev
        except OSError as error:
            raise OutputError(f"cannot record into {self.folder}: {_reason(error)}") from None

    def _need_room(self) -> None:
        if not self._files.make_room():
            raise OutputError(
                f"cannot record into {self.folder}: no room is left on the disk, or within "
                "--max-disk"
            )

    def _forget(self, paths: Collection[Path]) -> None:
        self._index.forget([self._row(path) for path in paths])

    def _row(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


def _disk_of(folder: Path) -> int:
    """The disk of a folder, or of the nearest one above it that exists."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return place.stat().st_dev


def _is_mine(path: Path) -> bool:
    return _NAME.fullmatch(path.name) is not None and path.is_file()


def _length(path: Path) -> float:
    """Seconds that a file shows, as far as it can be read."""
    import av

    last = 0.0
    with contextlib.suppress(av.error.FFmpegError, OSError), av.open(str(path)) as container:
        video = container.streams.video[0]
        for packet in container.demux(video):
            if packet.pts is not None and packet.time_base:
                end = packet.pts + (packet.duration or 0)
                last = max(last, float(end * packet.time_base))
    return last


def _reason(error: OSError) -> str:
    return (error.strerror or os.strerror(error.errno or 0)).lower()
