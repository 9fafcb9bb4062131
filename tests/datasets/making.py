"""Small data sets of every format for tests, written as other programs write them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

SIZE = (64, 48)  # width, height


def picture(path: Path, size: tuple[int, int] = SIZE, seed: int = 0) -> Path:
    """Write a picture of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    assert cv2.imwrite(str(path), noise)
    return path


def png(path: Path, values: Any) -> Path:
    """Write class numbers as a grey PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.asarray(values, np.uint8))
    return path


def text(path: Path, content: str) -> Path:
    """Write a text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def coco(
    path: Path,
    annotations: Sequence[Mapping[str, Any]],
    names: Sequence[str] = ("cat", "dog"),
    files: Sequence[str] = ("a.jpg",),
    size: tuple[int, int] = SIZE,
) -> Path:
    """Write COCO's JSON; images count from 1, categories from 10."""
    told = {
        "images": [
            {"id": i, "file_name": name, "width": size[0], "height": size[1]}
            for i, name in enumerate(files, 1)
        ],
        "categories": [{"id": i, "name": name} for i, name in enumerate(names, 10)],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 10, **a} for i, a in enumerate(annotations, 100)
        ],
    }
    return text(path, json.dumps(told))


def voc_object(name: str = "cat", box: Sequence[Any] = (1, 1, 10, 10), difficult: int = 0) -> str:
    """An object of a VOC file, on lines of its own."""
    corners = "".join(
        f"<{key}>{value}</{key}>"
        for key, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return (
        f"<object>\n<name>{name}</name>\n<difficult>{difficult}</difficult>\n"
        f"<bndbox>{corners}</bndbox>\n</object>\n"
    )


def voc(path: Path, *objects: str, size: tuple[int, int] = SIZE) -> Path:
    """Write a VOC file; the first object begins on line 4."""
    return text(
        path,
        f"<annotation>\n<filename>{path.stem}.jpg</filename>\n"
        f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>\n"
        f"{''.join(objects)}</annotation>\n",
    )
