"""Where a file may stand: at the end of its links, and never in the place of a pipe or a device."""

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
    """The file that a path means: itself, or where its links lead, which need not exist.

    Whoever makes an output a link means the file behind it, and replacing the link by a file would
    leave that as it was.

    Raises:
        OutputError: The links lead in a circle, or into a folder that is not there.
    """
    try:
        linked = path.is_symlink()
    except OSError:  # such as a name that is too long, which making the file tells of
        return path
    if not linked:
        return path
    end = Path(os.path.realpath(path))
    if end.is_symlink():
        raise OutputError(f"cannot write {path}: its links lead in a circle")
    # A folder missing at the end of a link may be a disk that is not there, so it is not made.
    if not end.parent.is_dir():
        raise OutputError(f"cannot write {path}: it links to {end}, and there is no such folder")
    return end


def special(path: Path) -> str | None:
    """What stands at a path if it is neither a file nor a folder, such as "a pipe"."""
    try:
        mode = path.stat().st_mode
    except (OSError, RuntimeError):  # nothing there, or links in a circle
        return None
    return _KINDS.get(stat.S_IFMT(mode))


def refuse_special(path: Path, results: bool = True) -> None:
    """Refuse what is neither a file nor a folder: a finished output would stand in its place.

    Args:
        path: Where the output is to stand.
        results: It is one that standard output could take instead.

    Raises:
        OutputError: It is a pipe, a socket or a device.
    """
    kind = special(path)
    if kind is not None:
        stream = f"; for a stream of results: --output - > {path}" if results else ""
        raise OutputError(f"cannot write {path}: it is {kind}, not a file{stream}")


def identity(path: Path) -> object:
    """What two paths have in common that mean one file, be it there already or not."""
    try:
        found = path.stat()
    except (OSError, RuntimeError):
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def same(one: Path, other: Path) -> bool:
    """Whether two paths mean one file."""
    return identity(one) == identity(other)
