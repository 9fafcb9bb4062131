"""Checks of output paths: links are followed, and pipes and devices never replaced."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from livevision.errors import OutputError

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def end_of_links(path: Path) -> Path:
    """The file that a path refers to, with links resolved; it need not exist.

    An output that is a link means the file it points to; replacing the link would leave that file
    unchanged.

    Raises:
        OutputError: The links form a cycle, or point into a missing folder.
    """
    try:
        linked = path.is_symlink()
    except OSError:  # such as a name that is too long; creating the file reports it
        return path
    if not linked:
        return path
    end = Path(os.path.realpath(path))
    if end.is_symlink():
        raise OutputError(f"cannot write {path}: its links form a cycle")
    # The missing folder of a link may be a disk that is not mounted, so it is not created.
    if not end.parent.is_dir():
        raise OutputError(f"cannot write {path}: it links to {end}, and there is no such folder")
    return end


def special(path: Path) -> str | None:
    """The type of what is at a path, if neither file nor folder, such as "a pipe"."""
    try:
        mode = path.stat().st_mode
    except (OSError, RuntimeError):  # it does not exist, or links form a cycle
        return None
    return _KINDS.get(stat.S_IFMT(mode))


def refuse_special(path: Path, results: bool = True) -> None:
    """Refuse paths that are neither file nor folder: a finished output would replace them.

    Args:
        path: Path of the output.
        results: The output could also go to standard output.

    Raises:
        OutputError: The path is a pipe, a socket or a device.
    """
    kind = special(path)
    if kind is not None:
        stream = f"; for a stream of results: --output - > {path}" if results else ""
        raise OutputError(f"cannot write {path}: it is {kind}, not a file{stream}")


def identity(path: Path) -> object:
    """A value that is equal for two paths of one file, whether or not it exists."""
    try:
        found = path.stat()
    except (OSError, RuntimeError):
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def same(one: Path, other: Path) -> bool:
    """Whether two paths refer to one file."""
    return identity(one) == identity(other)
