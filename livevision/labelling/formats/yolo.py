"""YOLO's format: `data.yaml`, and a text file for each picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from livevision.labelling.record import SPLIT, Box, Record, put

PICTURES = f"images/{SPLIT}"
KIND = "detect"


def write(folder: Path, labels: Sequence[str], records: Sequence[Record]) -> None:
    """Write `labels/train/ID.txt`, empty without objects, and `data.yaml`."""
    for record in records:
        lines = [_line(box, record.width, record.height) for box in record.objects]
        put(folder / "labels" / SPLIT / f"{record.stem}.txt", "".join(lines))
    content = {SPLIT: PICTURES, "names": dict(enumerate(labels))}
    put(folder / "data.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def _line(box: Box, width: int, height: int) -> str:
    x1, y1, x2, y2 = box.corners
    shares = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
    return f"{box.class_id} {' '.join(f'{value:.6f}' for value in shares)}\n"
