"""Small text files beside pictures: class names, and lists of the pictures of a split."""

from __future__ import annotations

import re
from pathlib import Path

from livevision.errors import DataError


def read_names(path: Path) -> list[str]:
    """Class names, one a line, optionally preceded by their number; empty without the file.

    Raises:
        DataError: The numbers do not count up from 0.
    """
    rows = _lines(path) if path.is_file() else []
    numbered = [re.fullmatch(r"(\d+)[\s,:;]+(\S.*)", line) for _, line in rows]
    if not rows or not all(numbered):
        return [line for _, line in rows]
    names: list[str] = []
    for (number, line), match in zip(rows, numbered, strict=True):
        assert match is not None
        if int(match[1]) != len(names):
            raise DataError(f"{path}:{number}: {line!r}: number {len(names)} is expected here")
        names.append(match[2])
    return names


def read_ids(path: Path) -> list[tuple[int, str]]:
    """The first word of each line, such as the name of a picture, with the line number."""
    return [(number, line.split()[0]) for number, line in _lines(path)]


def _lines(path: Path) -> list[tuple[int, str]]:
    """Number and text of each non-empty line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not text in UTF-8: {error.reason}") from error
    return [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
