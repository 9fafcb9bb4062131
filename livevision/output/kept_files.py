"""A folder of files that come for ever: bounded in size and age, the oldest go first.

Only files that look like ours are counted and deleted, never those of others, and never one that is
being written, which has another name until it is whole.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

_LEFT_BEHIND = re.compile(r"\.livevision-(\d+)-\d+\.part\..+")
_RESERVE, _RESERVE_SHARE = 1_000_000_000, 0.05  # of a disk, of which the smaller stays free


@dataclass(slots=True)
class _Item:
    """Files of one name and several suffixes, which go together."""

    written: float
    size: int = 0
    paths: dict[Path, int] = field(default_factory=dict)


class KeptFiles:
    """What is in a folder and those below it. Safe from any thread.

    Args:
        folder: It; made where it is missing.
        mine: Whether a file is one of ours, by its path.
        most_bytes: What they may take together; None for no bound.
        seconds: How long each stays; None for ever.

    Attributes:
        deleted: Names that went, to make room or for their age.

    Raises:
        OSError: The folder cannot be made or read.
    """

    def __init__(
        self,
        folder: Path,
        mine: Callable[[Path], bool],
        most_bytes: int | None,
        seconds: float | None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._most, self._seconds = folder, most_bytes, seconds
        self.deleted = 0
        self._lock = threading.Lock()
        self._items: dict[Path, _Item] = {}
        self._size = 0
        for path in sorted(folder.rglob("*")):
            left = _LEFT_BEHIND.fullmatch(path.name)
            if left is not None and not _lives(int(left[1])):
                path.unlink(missing_ok=True)
            elif mine(path):
                self._note(path)
        self.make_room()

    @property
    def size(self) -> int:
        """Bytes of ours in the folder."""
        return self._size

    def added(self, path: Path) -> None:
        """A file is whole; the oldest go where they have to."""
        with self._lock:
            self._note(path)
        self.make_room()

    def make_room(self, wanted: int = 0) -> bool:
        """Delete what is too old or too much; whether so many more bytes may be written.

        The disk keeps a reserve: 1 GB or a twentieth of it, the smaller of the two.
        """
        with self._lock:
            oldest = iter(sorted(self._items, key=lambda name: self._items[name].written))
            now = time.time()
            for name in oldest:
                item = self._items[name]
                old = self._seconds is not None and now - item.written > self._seconds
                many = self._most is not None and self._size + wanted > self._most
                if not (old or many or self._low(wanted)):
                    break
                self._delete(name)
            most = self._most is None or self._size + wanted <= self._most
            return most and not self._low(wanted)

    def _low(self, wanted: int) -> bool:
        try:
            disk = shutil.disk_usage(self.folder)
        except OSError:
            return True
        return disk.free - wanted < min(_RESERVE, _RESERVE_SHARE * disk.total)

    def _note(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            known = path.stat()
            item = self._items.setdefault(path.with_suffix(""), _Item(known.st_mtime))
            before = item.paths.get(path, 0)
            item.paths[path] = known.st_size
            item.size += known.st_size - before
            self._size += known.st_size - before

    def _delete(self, name: Path) -> None:
        item = self._items.pop(name)
        for path in item.paths:
            with contextlib.suppress(OSError):
                path.unlink()
        self._size -= item.size
        self.deleted += 1
        with contextlib.suppress(OSError):
            if name.parent != self.folder:
                name.parent.rmdir()  # where it was the last one
        log.debug("deleted to make room: %s", name)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
