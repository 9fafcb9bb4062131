"""COCO's format: one JSON file, with a teacher's class scores and with uncertain boxes.

`scores` beside a category are {category id: score}; `iscrowd` 1 marks a box that may or may not be
an object, which neither training nor scoring counts. livevision reads both; other tools ignore the
first and treat the second as crowds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from livevision.labelling.record import SPLIT, Box, Record, put

PICTURES = f"images/{SPLIT}"
KIND = "detect"


def write(folder: Path, labels: Sequence[str], records: Sequence[Record]) -> None:
    """Write `annotations/instances_train.json`; category ids count from 1."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, record in enumerate(records, 1):
        images.append(
            {
                "id": number,
                "file_name": record.file,
                "width": record.width,
                "height": record.height,
            }
        )
        for box in record.boxes:
            annotations.append(_annotation(box, len(annotations) + 1, number))
    content = {
        "info": {"description": "Labelled by a model with livevision"},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": n, "name": name} for n, name in enumerate(labels, 1)],
    }
    text = json.dumps(content, ensure_ascii=False)
    put(folder / "annotations" / f"instances_{SPLIT}.json", text)


def _annotation(box: Box, number: int, image: int) -> dict[str, Any]:
    x1, y1, x2, y2 = box.corners
    width, height = round(x2 - x1, 2), round(y2 - y1, 2)
    row: dict[str, Any] = {
        "id": number,
        "image_id": image,
        "category_id": box.class_id + 1,
        "bbox": [x1, y1, width, height],
        "area": round(width * height, 2),
        "iscrowd": int(not box.sure),
        "score": box.score,
    }
    if box.scores:
        row["scores"] = {str(class_id + 1): score for class_id, score in box.scores.items()}
    return row
