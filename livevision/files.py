"""The user's files: `~`, the folders for caches and data, and files written whole or not at all."""

from __future__ import annotations

import atexit
import errno
import functools
import itertools
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from livevision.errors import OutputError

_log = logging.getLogger(__name__)

MOST_BYTES = 300_000_000
"""What each cache folder may hold."""

_AT_HAND_S = 3600.0


def with_home(path: str | Path) -> Path:
    """A path with the home folder in the place of `~` or `~user` at its beginning.

    Where there is no such user, or none that has a home, `~` is a character as any other: files may
    be called `~draft.mp4`, and a container may run as a user that nobody knows.
    """
    with suppress(RuntimeError):
        return Path(path).expanduser()
    return Path(path)


_numbers = itertools.count()


@contextmanager
def whole(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Within it, a file to write beside another, whose place it takes at the end.

    A link stays, and the file that it leads to is replaced. Where the block raises, the old file
    stays and nothing is left behind.

    Args:
        path: The file; it need not be there. Its folder has to be.
        durable: The new file is on the disk before it takes the place, so that a power cut leaves
            one of the two.

    Yields:
        The file to write: hidden, of another name, with the same suffix.

    Raises:
        OSError: It cannot be written, or a folder, a pipe or a device stands there.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a file", str(path))
    end = Path(os.path.realpath(path)) if path.is_symlink() else path
    # Short whatever the file is called, since names have a largest length.
    part = end.with_name(f".livevision-{os.getpid()}-{next(_numbers)}.part{end.suffix[:8]}")
    try:
        yield part
        if durable:
            with part.open("rb+") as file:
                os.fsync(file.fileno())
        part.replace(end)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes | str, *, durable: bool = False) -> None:
    """Write a file of these bytes, or of this text in UTF-8; otherwise as ``whole``."""
    with whole(path, durable=durable) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def cache_folder(name: str) -> Path | None:
    """A folder in the user's cache, made if need be.

    It lies in ``$XDG_CACHE_HOME/livevision``, or ``~/.cache/livevision`` where that is not set.

    Args:
        name: The folder's name.

    Returns:
        The folder, or None where none can be written, which is logged: a cache is never needed.
    """
    folder = _under("XDG_CACHE_HOME", "~/.cache") / name
    if not folder.is_absolute():
        _log.debug("no cache: neither a home folder nor XDG_CACHE_HOME is known")
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _log.debug("no cache in %s: %s", folder, error)
        return None
    return folder if os.access(folder, os.W_OK) else None


@functools.cache
def passing_folder() -> Path:
    """A folder for what no cache can hold, one for the process, deleted when that ends.

    Raises:
        OutputError: None can be made: everything is full, or read only.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="livevision-"))
    except OSError as error:
        raise OutputError(f"there is no place for temporary files: {error.strerror}") from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def lend_cache(variable: str, name: str) -> None:
    """Have another package keep its cache in ours, not in a folder of its own in the user's home.

    Call it before the package is imported.

    Args:
        variable: The environment variable in which it looks for the place of its cache.
        name: The folder in ours, or a file in one.
    """
    path = Path(name)
    folder = cache_folder(str(path.parent if path.suffix else path))
    if folder is not None:
        os.environ.setdefault(variable, str(folder / path.name if path.suffix else folder))


def prune(folder: Path, most_bytes: int) -> None:
    """Delete the files of a cache that were not used for longest, until the rest is small enough.

    Files used within the last hour stay, since another process may be about to open them. One that
    has gone meanwhile, or may not be deleted, is passed over.
    """
    found = []
    for path in folder.iterdir():
        with suppress(OSError):
            known = path.stat()
            found.append((max(known.st_atime, known.st_mtime), known.st_size, path))
    size = sum(size for _, size, _ in found)
    for used, bytes_, path in sorted(found):
        if size <= most_bytes or used > time.time() - _AT_HAND_S:
            return
        with suppress(OSError):
            path.unlink()
            _log.debug("deleted from the cache: %s", path)
        size -= bytes_


def data_folder(name: str) -> Path:
    """A folder among the user's data, for what was made to stay; it need not be there.

    It lies in ``$XDG_DATA_HOME/livevision``, or ``~/.local/share/livevision`` where that is not
    set.
    """
    return _under("XDG_DATA_HOME", "~/.local/share") / name


def _under(variable: str, otherwise: str) -> Path:
    """Our folder in another; with `~` at the beginning still where nobody knows a home folder."""
    return Path(os.environ.get(variable) or with_home(otherwise)) / "livevision"
