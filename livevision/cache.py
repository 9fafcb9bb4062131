"""Where files of the user's are kept: those a later start can use again, and those made to stay."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from livevision.errors import OutputError
from livevision.home import with_home

_log = logging.getLogger(__name__)

MOST_BYTES = 300_000_000
"""What each cache folder may hold."""

_AT_HAND_S = 3600.0


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
