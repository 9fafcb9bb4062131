"""Class maps: a grey PNG for each picture; values are class numbers, 255 is void.

Where scores are kept there is an .npz for each picture, too: ``logits``, float16, classes×h×w,
which covers the picture.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from livevision.labelling.record import SPLIT, Record, put

PICTURES = f"images/{SPLIT}"
KIND = "segment"


def mask_file(folder: Path, record: Record) -> Path:
    """The class map's file of a picture."""
    return folder / "masks" / SPLIT / f"{record.stem}.png"


def logits_file(folder: Path, record: Record) -> Path:
    """The scores' file of a picture."""
    return folder / "logits" / SPLIT / f"{record.stem}.npz"


def write_logits(folder: Path, record: Record, logits: NDArray[np.float16]) -> None:
    """Write scores, classes×h×w."""
    packed = io.BytesIO()
    np.savez_compressed(packed, logits=logits)
    put(logits_file(folder, record), packed.getvalue())


def write_mask(folder: Path, record: Record, class_map: NDArray[np.uint8]) -> None:
    """Write a class map, uint8 H×W, immediately: records do not hold it."""
    put(mask_file(folder, record), cv2.imencode(".png", class_map)[1].tobytes())


def write(folder: Path, labels: Sequence[str], records: Sequence[Record]) -> None:
    """Write `classes.txt`, one name a line from 0 on; the PNGs exist already."""
    del records
    put(folder / "classes.txt", "".join(f"{name}\n" for name in labels))
