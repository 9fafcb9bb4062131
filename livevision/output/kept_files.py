"""A folder of files that is bounded in size and age; the oldest are deleted first.

Only files recognised as ours are counted and deleted, and never one that is being written: it has a
temporary name, or is held.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

_LEFT_BEHIND = re.compile(r"\.livevision-(\d+)-\d+\.part\..+")
_RESERVE, _RESERVE_SHARE = 1_000_000_000, 0.05  # of a disk; the smaller of the two stays free


@dataclass(slots=True)
class _Item:
    """Files with one name and several suffixes, which are deleted together."""

    written: float
    size: int = 0
    paths: dict[Path, int] = field(default_factory=dict)


class KeptFiles:
    """The files in a folder and its subfolders. Safe from any thread.

    Args:
        folder: The folder; created if missing.
        mine: Whether a file is ours, by its path.
        most_bytes: Their maximum total size; None for no limit.
        seconds: How long each is kept; None for ever.
        gone: Called with the paths of each name that was deleted.

    Attributes:
        deleted: Names that were deleted for space or age.

    Raises:
        OSError: The folder cannot be created or read.
    """

    def __init__(
        self,
        folder: Path,
        mine: Callable[[Path], bool],
        most_bytes: int | None,
        seconds: float | None,
        gone: Callable[[Collection[Path]], None] = lambda paths: None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._most, self._seconds = folder, most_bytes, seconds
        self.deleted = 0
        self._gone = gone
        self._held: set[Path] = set()
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
        """Total bytes of our files."""
        return self._size

    def added(self, path: Path) -> None:
        """Count a finished file; deletes the oldest if necessary."""
        with self._lock:
            self._held.discard(path.with_suffix(""))
            self._note(path)
        self.make_room()

    def grows(self, path: Path) -> None:
        """Count a file that is being written; it is not deleted until it was ``added``."""
        with self._lock:
            self._held.add(path.with_suffix(""))
            self._note(path)

    def make_room(self, wanted: int = 0) -> bool:
        """Delete old files beyond the limits; whether so many more bytes may be written.

        The disk keeps a reserve: 1 GB or a twentieth of its size, whichever is smaller.
        """
        with self._lock:
            if not self._there():
                return False  # what cannot be seen is not forgotten
            oldest = iter(sorted(self._items, key=lambda name: self._items[name].written))
            now = time.time()
            for name in oldest:
                if name in self._held:
                    continue
                item = self._items[name]
                old = self._seconds is not None and now - item.written > self._seconds
                many = self._most is not None and self._size + wanted > self._most
                if not (old or many or self._low(wanted)):
                    break
                self._delete(name)
            most = self._most is None or self._size + wanted <= self._most
            return most and not self._low(wanted)

    def _there(self) -> bool:
        with contextlib.suppress(OSError):
            return self.folder.is_dir()
        return False

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
                name.parent.rmdir()  # if it was the last one
        self._gone(item.paths)
        log.debug("deleted to make room: %s", name)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
