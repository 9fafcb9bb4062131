"""Names of files as people mean them: their order, and whether anything stands there."""

from __future__ import annotations

import re
from pathlib import Path


def natural(path: Path) -> list[list[tuple[int, int, str]]]:
    """A key that sorts numbers in names by their value: frame2 before frame10."""
    return [[_piece(piece) for piece in re.split(r"(\d+)", part)] for part in path.parts]


def exists(path: Path) -> bool:
    """Whether something stands there; a name that no file can have is none."""
    try:
        return path.exists()
    except OSError:  # longer than the system's names
        return False


def is_file(path: Path) -> bool:
    """Whether a folder's entry is a file, or a link to one that is not there (any more).

    That link is taken for the file that it should lead to: its loss is told, not passed over.
    """
    return path.is_file() or (path.is_symlink() and not exists(path))


def _piece(text: str) -> tuple[int, int, str]:
    return (0, int(text), text) if text.isdecimal() else (1, 0, text)
