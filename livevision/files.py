"""User files: `~`, cache and data folders, and atomic writes."""

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
"""Maximum size of each cache folder."""

_AT_HAND_S = 3600.0


def with_home(path: str | Path) -> Path:
    """Expand `~` or `~user` at the beginning of a path to the home folder.

    Without such a user, or without a home folder, `~` stays as it is: files may be called
    `~draft.mp4`, and a container may run as an unknown user.
    """
    with suppress(RuntimeError):
        return Path(path).expanduser()
    return Path(path)


_numbers = itertools.count()


@contextmanager
def whole(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Write a file atomically: the block writes a temporary file, which then replaces the target.

    A symbolic link stays, and the file it points to is replaced. If the block raises, the old file
    stays and the temporary file is deleted.

    Args:
        path: The target; it need not exist, but its folder must.
        durable: Sync the new file to disk before it replaces the old one, so that a power cut
            leaves one of the two.

    Yields:
        The temporary file to write: hidden, with the same suffix.

    Raises:
        OSError: It cannot be written, or the path is a folder, pipe or device.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a file", str(path))
    end = Path(os.path.realpath(path)) if path.is_symlink() else path
    # Short whatever the target is called, since file names have a maximum length.
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
    """Write bytes, or text in UTF-8, to a file atomically; see ``whole``."""
    with whole(path, durable=durable) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def cache_folder(name: str) -> Path | None:
    """A folder in the user's cache; created if missing.

    It is in ``$XDG_CACHE_HOME/livevision``, or ``~/.cache/livevision`` if that is not set.

    Args:
        name: The folder's name.

    Returns:
        The folder, or None if it cannot be written, which is logged: a cache is always optional.
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
    """A temporary folder for what no cache can hold; one per process, deleted at its end.

    Raises:
        OutputError: It cannot be created: disks are full, or read-only.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="livevision-"))
    except OSError as error:
        raise OutputError(f"no temporary folder can be created: {error.strerror}") from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def lend_cache(variable: str, name: str) -> None:
    """Have another package keep its cache inside ours instead of in the user's home folder.

    Call it before the package is imported.

    Args:
        variable: The environment variable with the package's cache location.
        name: A folder inside our cache, or a file in one.
    """
    path = Path(name)
    folder = cache_folder(str(path.parent if path.suffix else path))
    if folder is not None:
        os.environ.setdefault(variable, str(folder / path.name if path.suffix else folder))


def prune(folder: Path, most_bytes: int) -> None:
    """Delete the least recently used files of a cache until the rest fits.

    Files used within the last hour stay, since another process may be about to open them. A file
    that is already gone, or cannot be deleted, is skipped.
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
    """A folder of the user's data, for files that persist; it need not exist.

    It is in ``$XDG_DATA_HOME/livevision``, or ``~/.local/share/livevision`` if that is not set.
    """
    return _under("XDG_DATA_HOME", "~/.local/share") / name


def _under(variable: str, otherwise: str) -> Path:
    """Our folder inside another; `~` stays if there is no home folder."""
    return Path(os.environ.get(variable) or with_home(otherwise)) / "livevision"
