"""Names of output files: from a frame's number or its picture, within the length limit."""

from __future__ import annotations

import os
import re
from pathlib import Path

from livevision.frame import Frame

PICTURES = (".jpg", ".jpeg", ".png")

NAMED = "*.*"
"""Pattern for pictures that keep their names, and their suffixes if these can be written."""

LONGEST = 255
"""Maximum bytes of a name on common file systems."""

_NUMBER = r"%0?(\d*)d"


def fitting(stem: str, ending: str) -> str:
    """Join a stem and an ending, with the stem cut if the name would be too long.

    >>> len(fitting("x" * 255, ".part.mp4"))
    255
    """
    room = LONGEST - len(os.fsencode(ending))
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem + ending


def fits(name: str) -> bool:
    """Whether a name is short enough for a file."""
    return len(os.fsencode(name)) <= LONGEST


def is_pattern(name: str) -> bool:
    """Whether a picture's name is a pattern for several, as ``%06d.jpg`` and ``*.jpg``."""
    return "*" in name or re.search(_NUMBER, name) is not None


def name_of(pattern: str, frame: Frame) -> str:
    """The name of a frame's file.

    ``%06d`` is the frame's number. ``*`` is the name of its picture, or the number if it is not a
    picture.
    """
    if "*" not in pattern:
        return re.sub(_NUMBER, lambda m: f"{frame.index:0{m.group(1) or 1}d}", pattern, count=1)
    stem, suffix = f"{frame.index:06d}", PICTURES[0]
    if frame.picture is not None:
        path = Path(frame.picture.path)
        stem = path.stem if frame.picture.page is None else f"{path.stem}-{frame.picture.page + 1}"
        suffix = path.suffix if path.suffix.lower() in PICTURES else suffix
    if pattern == NAMED:
        return fitting(stem, suffix)
    before, _, after = pattern.partition("*")
    return fitting(before + stem, after)


def numbered_name(pattern: str, name: str) -> bool:
    """Whether a pattern with some number gives this name."""
    sign = "*" if "*" in pattern else re.search(_NUMBER, pattern)
    at = sign if isinstance(sign, str) else sign.group() if sign else ""
    before, _, after = pattern.partition(at)
    return re.fullmatch(rf"{re.escape(before)}\d+{re.escape(after)}", name) is not None
