"""Class maps: a grey PNG for each picture, whose values are class numbers, 255 for void."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from livevision.labelling.record import SPLIT, Record, put

PICTURES = f"images/{SPLIT}"
KIND = "segment"


def mask_file(folder: Path, record: Record) -> Path:
    """Where the class map of a picture lies."""
    return folder / "masks" / SPLIT / f"{record.stem}.png"


def write_mask(folder: Path, record: Record, class_map: NDArray[np.uint8]) -> None:
    """Write a class map, uint8 H×W, as soon as it is known: records do not hold it."""
    put(mask_file(folder, record), cv2.imencode(".png", class_map)[1].tobytes())


def write(folder: Path, labels: Sequence[str], records: Sequence[Record]) -> None:
    """Write `classes.txt`, a name a line from 0 on; the PNGs lie there already."""
    del records
    put(folder / "classes.txt", "".join(f"{name}\n" for name in labels))
