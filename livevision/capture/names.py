"""File names: natural sort order, and safe checks for existence."""

from __future__ import annotations

import re
from pathlib import Path


def natural(path: Path) -> list[list[tuple[int, int, str]]]:
    """Sort key that orders numbers in names by value: frame2 before frame10."""
    return [[_piece(piece) for piece in re.split(r"(\d+)", part)] for part in path.parts]


def exists(path: Path) -> bool:
    """Whether a path exists; False for invalid file names."""
    try:
        return path.exists()
    except OSError:  # longer than the system allows
        return False


def is_file(path: Path) -> bool:
    """Whether a folder entry is a file, or a broken symbolic link.

    A broken link counts as the file it should point to, so that its loss is reported.
    """
    return path.is_file() or (path.is_symlink() and not exists(path))


def _piece(text: str) -> tuple[int, int, str]:
    return (0, int(text), text) if text.isdecimal() else (1, 0, text)
