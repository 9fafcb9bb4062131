"""An output file that is never mistaken for a finished one, and never replaces one too early.

It starts as ``NAME.part.SUFFIX`` beside its final name. If no file has that name, it is renamed as
soon as it is readable, so that a killed run leaves its results where they are expected; otherwise
it replaces the older file when it is closed.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from pathlib import Path

from livevision.errors import OutputError
from livevision.output.names import fitting
from livevision.output.place import end_of_links, refuse_special

log = logging.getLogger(__name__)


_UNFINISHED: dict[str, OutputFile] = {}


class OutputFile:
    """A new, unbuffered file, so that a killed process loses nothing that was written.

    After a failed write nothing more is written: an index or header after a gap would make the
    readable part unreadable.

    Args:
        path: The final name; for a link, the file it points to is written and the link stays.
            Missing folders are created.
        overwrite: The finished file may replace an existing one.
        blocks: Each part that is only readable as a whole has one of these in its first 8 bytes,
            and may take several writes. By default every write is such a part.

    Raises:
        OutputError: The file exists and may not be replaced, or cannot be created.
    """

    def __init__(
        self, path: Path, *, overwrite: bool = False, blocks: tuple[bytes, ...] = ()
    ) -> None:
        self.path = path
        self._end = end_of_links(path)
        self._overwrite = overwrite
        self._blocks = blocks
        self._whole = 0  # start of the part being written; the file is readable up to there
        self._readable = False
        self.error: OutputError | None = None
        refuse_special(path)
        if path.is_dir() or (path.exists() and not overwrite):
            raise OutputError(f"{path} exists; add --overwrite to replace it")
        try:
            self._end.parent.mkdir(parents=True, exist_ok=True)
            self.current, descriptor = _make_part(self._end)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {_reason(error)}") from error
        self._file = os.fdopen(descriptor, "w+b", buffering=0)
        _UNFINISHED[str(path)] = self
        log.debug("writing %s", self.current)

    def write(self, data: bytes | memoryview) -> int:
        """Append, or write at the position of ``seek``; all of it or, after a failure, nothing.

        Raises:
            OutputError: The first failure; later writes are silently dropped.
        """
        size = len(data)
        if self.error is not None:
            return size
        rest = memoryview(data)
        start = bytes(rest[:8])
        begins = not self._blocks or any(mark in start for mark in self._blocks)
        if begins:
            self._whole = self._file.tell()
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self._whole)
            self.error = OutputError(
                f"cannot go on writing {self.path}: {_reason(error)}; what was written until "
                f"then is in {self.current}"
            )
            raise self.error from error
        if begins and not self._readable:
            self._readable = True
            self._settle()
        return size

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        """Sync the file to disk and rename it. After a failed write it keeps its temporary name.

        Raises:
            OutputError: The disk or the folder failed.
        """
        if self._file.closed:
            return
        _UNFINISHED.pop(str(self.path), None)
        try:
            with contextlib.closing(self._file):
                os.fsync(self._file.fileno())
            if self.error is None:
                self._settle()
            if self.error is None and self.current != self._end:
                if not self._overwrite:
                    raise OutputError(
                        f"{self.path} was made by another program; the output is in {self.current}"
                    )
                self.current.replace(self._end)
                self.current = self._end
        except OSError as error:
            raise OutputError(f"cannot finish {self.path}: {_reason(error)}") from error

    def _settle(self) -> None:
        """Rename to the final name if no file has it."""
        if self.current != self._end and not os.path.lexists(self._end):
            # On systems that cannot rename open files, this succeeds once the file is closed.
            with contextlib.suppress(PermissionError):
                self.current.rename(self._end)
                self.current = self._end

    def discard(self) -> None:
        """Delete the new file; an older file with the final name stays."""
        _UNFINISHED.pop(str(self.path), None)
        self._file.close()
        self.current.unlink(missing_ok=True)


def current_name(path: str) -> str:
    """The current name of an output: until it is finished it may be a temporary one."""
    unfinished = _UNFINISHED.get(path)
    return path if unfinished is None else str(unfinished.current)


def _make_part(path: Path) -> tuple[Path, int]:
    """A part file with a free name: an earlier run's part may be all it left."""
    for number in range(1, 1000):
        mark = ".part" if number == 1 else f".part{number}"
        part = path.with_name(fitting(path.stem, f"{mark}{path.suffix}"))
        with contextlib.suppress(FileExistsError):
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
            return part, os.open(part, flags, 0o666)
    raise FileExistsError(errno.EEXIST, "too many unfinished files beside it")


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full"
    if error.errno == errno.EFBIG:
        return "the file has reached the largest size allowed here"
    return (error.strerror or str(error)).lower()
