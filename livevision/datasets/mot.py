"""Sequences with labelled tracks, in the MOT Challenge's format.

A sequence is a folder with ``gt/gt.txt``, its frames as pictures in ``img1/`` or as one video, and
optionally ``seqinfo.ini`` and a detector's boxes in ``det/det.txt``. Rows are
``frame,id,left,top,width,height,confidence,class,visibility``, frames counted from 1.
"""

from __future__ import annotations

import configparser
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from livevision.errors import DataError

_VIDEOS = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".ts")
_COLUMNS = 9
FRAME, NUMBER, LEFT, TOP, WIDTH, HEIGHT, CONFIDENCE, CLASS, _VISIBILITY = range(_COLUMNS)


@dataclass(frozen=True, slots=True)
class Sequence:
    """One labelled sequence.

    Attributes:
        name: Name of its folder.
        rows: float64, N×9, in the order of the file's columns.
        frames: A folder of pictures or a video; None without either.
        rate: Frames per second of pictures.
        detections: float64, N×9, boxes of a detector; None without any.
    """

    name: str
    rows: NDArray[np.float64]
    frames: Path | None
    rate: float
    detections: NDArray[np.float64] | None


def read_sequences(path: Path) -> list[Sequence]:
    """The sequence in a folder, or those in its subfolders, by name.

    Raises:
        DataError: There is none, or a file is broken; the message has file and line.
    """
    found = [path] if _is_sequence(path) else []
    if not found and path.is_dir():
        found = sorted(each for each in path.iterdir() if _is_sequence(each))
    if not found:
        raise DataError(
            f"{path}: there is no sequence with tracks here, which is a folder with gt/gt.txt and "
            "img1/ or a video; nor are there such subfolders"
        )
    return [_read(folder) for folder in found]


def read_rows(file: Path) -> NDArray[np.float64]:
    """Read a file of boxes as float64, N×9; missing columns are 1.

    Raises:
        DataError: It cannot be read, or a line is not at least six numbers.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {file}: {error}") from None
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        cells = line.replace(";", ",").replace(",", " ").split()[:_COLUMNS]
        try:
            row = [float(cell) for cell in cells]
        except ValueError:
            row = []
        if len(row) <= HEIGHT or not np.isfinite(row).all() or row[FRAME] < 1:
            raise DataError(
                f"{file}:{number}: {line.strip()[:60]!r} is not frame,id,left,top,width,height,… "
                "in numbers, frames counted from 1"
            )
        rows.append(row + [1.0] * (_COLUMNS - len(row)))
    return np.array(rows, np.float64).reshape(-1, _COLUMNS)


def _is_sequence(folder: Path) -> bool:
    return (folder / "gt" / "gt.txt").is_file()


def _read(folder: Path) -> Sequence:
    rows = read_rows(folder / "gt" / "gt.txt")
    # Sets without classes write -1: all their labels count.
    rows[rows[:, CLASS] < 0, CLASS] = 1
    if not ((rows[:, CLASS] == 1) & (rows[:, CONFIDENCE] != 0)).any():
        raise DataError(f"{folder / 'gt' / 'gt.txt'}: no row of class 1 is to be tracked")
    pictures, rate = _information(folder)
    detections = folder / "det" / "det.txt"
    return Sequence(
        name=folder.resolve().name,
        rows=rows,
        frames=pictures if pictures.is_dir() else _video(folder),
        rate=rate,
        detections=read_rows(detections) if detections.is_file() else None,
    )


def _information(folder: Path) -> tuple[Path, float]:
    """Folder and frame rate of the pictures, from ``seqinfo.ini``."""
    file = folder / "seqinfo.ini"
    parser = configparser.ConfigParser()
    try:
        parser.read(file, encoding="utf-8-sig")
        rate = parser.getfloat("Sequence", "frameRate", fallback=30.0)
    except (configparser.Error, ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: {str(error).splitlines()[0]}") from None
    if rate <= 0:
        raise DataError(f"{file}: frameRate is {rate:g}; it takes a number above 0")
    return folder / parser.get("Sequence", "imDir", fallback="img1"), rate


def _video(folder: Path) -> Path | None:
    return next((f for f in sorted(folder.iterdir()) if f.suffix.lower() in _VIDEOS), None)
