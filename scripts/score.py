"""Score a model on its validation pictures: scripts/score MODEL --data DIR [--engine ENGINE].

The model runs as it does on video, engine, resizing and thresholds included, so the score is that
of the application, not of the training script. DIR holds `camvid` and `voc12`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import livevision
from livevision.errors import LivevisionError
from livevision.scoring.average_precision import Found, average_precision
from livevision.scoring.confusion import ConfusionMatrix
from livevision.training import detection_data, segmentation_data


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--folder", help="of the data (default camvid or voc12)")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--weights", type=Path)
    arguments = parser.parse_args()
    try:
        model = livevision.load(
            arguments.model,
            arguments.engine,
            precision=arguments.precision,
            weights=arguments.weights,
            conf=0.0,  # average precision asks for weak boxes too
        )
        model.open()
    except LivevisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    score = {"segment": segmentation, "detect": detection}[model.task]
    begin = time.monotonic()
    folder = arguments.folder or {"segment": "camvid", "detect": "voc12"}[model.task]
    result = score(model, arguments.data / folder)
    spec = model.engine_spec
    result = {
        "model": model.name,
        "data": f"{folder} val",
        "engine": spec and str(spec),
        **result,
        "seconds": round(time.monotonic() - begin, 1),
    }
    print(json.dumps(result, indent=2))
    return 0


def segmentation(model: livevision.Model, folder: Path) -> dict[str, Any]:
    """Mean IoU over the classes, at the pictures' own size; void pixels are not counted."""
    samples = segmentation_data.read_folder(folder, "val", len(model.labels))
    matrix = ConfusionMatrix(len(model.labels))
    for sample in tqdm(samples, disable=None):
        found = model(cv2.cvtColor(sample.image, cv2.COLOR_RGB2BGR))
        matrix.add(found.class_map, sample.labels)
    return {
        "pictures": len(samples),
        "mIoU": round(matrix.mean_iou(), 4),
        "pixel_accuracy": round(matrix.pixel_accuracy(), 4),
        "IoU": _by_class(model.labels, matrix.iou()),
    }


def detection(model: livevision.Model, folder: Path) -> dict[str, Any]:
    """Average precision at IoU 0.5 and over 0.5 to 0.95, COCO's rules."""
    samples = detection_data.read_coco(folder, "val", list(model.labels))
    found = []
    for sample in tqdm(samples, disable=None):
        boxes = model(cv2.cvtColor(sample.image, cv2.COLOR_RGB2BGR))
        found.append(Found(boxes.xyxy, boxes.confidence, boxes.class_id))
    ap50, ap = average_precision(samples, found, list(model.labels))
    return {
        "pictures": len(samples),
        "AP50": round(float(np.nanmean(ap50)), 4),
        "AP": round(float(np.nanmean(ap)), 4),
        "AP50_by_class": _by_class(model.labels, ap50),
    }


def _by_class(labels: list[str], values: Any) -> dict[str, float | None]:
    return {
        label: None if np.isnan(value) else round(float(value), 4)
        for label, value in zip(labels, values, strict=True)
    }


if __name__ == "__main__":
    sys.exit(main())
