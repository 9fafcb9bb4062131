"""A contact sheet: samples of a data set with their labels, for review."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from livevision.datasets.index_png import read_indices
from livevision.datasets.samples import read_picture
from livevision.frame import Image
from livevision.labelling.record import Record, put
from livevision.overlay.boxes import BoxOverlay
from livevision.overlay.class_map import ClassMapOverlay
from livevision.results import ClassMap

if TYPE_CHECKING:
    import supervision as sv

SAMPLES = 24
_COLUMNS = 6
_TILE = (400, 300)  # (width, height) of a sample in pixels
_GAP = 6
_GROUND = 32


def write_sheet(
    file: Path,
    labels: Sequence[str],
    records: Sequence[Record],
    picture_of: dict[str, Path],
    mask_of: dict[str, Path],
) -> None:
    """Write a PNG of at most 24 pictures, evenly spread over the data set.

    Args:
        file: The PNG.
        labels: Class names.
        records: All pictures.
        picture_of: Files of the pictures by key.
        mask_of: Files of their class maps by key; empty for boxes.
    """
    count = min(SAMPLES, len(records))
    chosen = [records[n * len(records) // count] for n in range(count)]
    width, height = _TILE
    rows = -(-count // _COLUMNS)
    sheet = np.full(
        (rows * (height + _GAP) + _GAP, min(count, _COLUMNS) * (width + _GAP) + _GAP, 3),
        _GROUND,
        np.uint8,
    )
    boxes, maps = BoxOverlay(labels), ClassMapOverlay()
    for n, record in enumerate(chosen):
        image = _bgr(read_picture(picture_of[record.key]))
        scale = min(width / record.width, height / record.height)
        size = (max(1, round(record.width * scale)), max(1, round(record.height * scale)))
        tile = np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        if mask_of:
            stored = read_indices(mask_of[record.key])
            shrunk = cv2.resize(stored, size, interpolation=cv2.INTER_NEAREST_EXACT)
            maps.draw(tile, ClassMap(np.asarray(shrunk, np.uint8), labels))
        else:
            boxes.draw(tile, _detections(record, size, labels))
        y, x = divmod(n, _COLUMNS)
        top = _GAP + y * (height + _GAP) + (height - size[1]) // 2
        left = _GAP + x * (width + _GAP) + (width - size[0]) // 2
        sheet[top : top + size[1], left : left + size[0]] = tile
    put(file, cv2.imencode(".png", sheet)[1].tobytes())


def _detections(record: Record, size: tuple[int, int], labels: Sequence[str]) -> sv.Detections:
    """The objects of a picture, scaled to the size it is drawn at."""
    from supervision import Detections

    scale = np.array((size[0] / record.width, size[1] / record.height) * 2, np.float32)
    objects = record.objects
    corners = np.array([box.corners for box in objects], np.float32).reshape(-1, 4)
    ids = np.array([box.class_id for box in objects], np.int64)
    return Detections(
        xyxy=corners * scale,
        confidence=np.array([box.score for box in objects], np.float32),
        class_id=ids,
        data={"class_name": np.array(labels)[ids]},
    )


def _bgr(image: Image) -> Image:
    return np.ascontiguousarray(image[..., ::-1])
