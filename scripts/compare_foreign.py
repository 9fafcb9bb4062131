"""livevision beside other models' own packages, box for box.

    .venv/bin/python scripts/compare_foreign.py FOLDER

A folder holds for each family its ONNX file and what its own package found in some pictures, as
scripts/peers/foreign_reference.py writes it. livevision runs the file on the same pictures, with
each engine, and every box is looked for among its own: of the same class, nearest in place. Of
class maps the pixels are counted that have another class, of classifiers the classes. Among random
weights' crowds of boxes with like scores a few fall to suppression in another order.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import livevision

CONF = 0.3
NEAR_CONF = 0.02  # a score as near to the threshold may lie on either side of it
PIXEL = 1.0
MOST = 300  # boxes that packages give at most

Row = dict[str, float]


def boxes_of(model: livevision.Model, found: dict[str, list[list[float]]]) -> Row:
    """How far livevision's boxes are from those found by the file's own package.

    Returns:
        ``boxes``, how many there are; ``missing``, those that livevision has not within a pixel;
        ``more``, those that it alone has; ``pixels`` and ``score``, the largest differences of
        the others.
    """
    totals = {"boxes": 0.0, "missing": 0.0, "more": 0.0, "pixels": 0.0, "score": 0.0}
    for picture, expected in found.items():
        if len(expected) >= MOST:
            continue  # what a package leaves out of a crowd is its own affair
        ours: Any = model(np.asarray(cv2.imread(picture), np.uint8))
        free = np.ones(len(ours), bool)
        for *box, score, number in expected:
            if min(box[2] - box[0], box[3] - box[1]) < PIXEL:
                continue  # beside the picture: livevision leaves those out
            totals["boxes"] += 1
            apart = np.abs(ours.xyxy - np.array(box)).max(1) if len(ours) else np.zeros(0)
            apart = np.where(free & (ours.class_id == number), apart, np.inf)
            nearest = int(apart.argmin()) if len(apart) else -1
            if nearest < 0 or apart[nearest] > PIXEL:
                totals["missing"] += score > CONF + NEAR_CONF
                continue
            free[nearest] = False
            totals["pixels"] = max(totals["pixels"], float(apart[nearest]))
            away = abs(float(ours.confidence[nearest]) - score)
            totals["score"] = max(totals["score"], away)
        totals["more"] += int((free & (ours.confidence > CONF + NEAR_CONF)).sum())
    return totals


def maps_of(model: livevision.Model, found: dict[str, dict[str, str]], folder: Path) -> Row:
    """Of pictures' pixels those that have another class, as a share, and how many there are."""
    totals = {"boxes": 0.0, "missing": 0.0, "more": 0.0, "pixels": 0.0, "score": 0.0}
    for picture, told in found.items():
        ours: Any = model(np.asarray(cv2.imread(picture), np.uint8))
        theirs = np.asarray(cv2.imread(str(folder / told["map"]), cv2.IMREAD_GRAYSCALE))
        placed = cv2.resize(
            theirs, ours.class_map.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT
        )
        totals["boxes"] += placed.size
        totals["missing"] += int((placed != ours.class_map).sum())
    return totals


def tops_of(model: livevision.Model, found: dict[str, dict[str, list[list[float]]]]) -> Row:
    """Of the likeliest classes those that livevision has not, and how far probabilities differ."""
    totals = {"boxes": 0.0, "missing": 0.0, "more": 0.0, "pixels": 0.0, "score": 0.0}
    for picture, told in found.items():
        ours: Any = model(np.asarray(cv2.imread(picture), np.uint8))
        likely = dict(zip(ours.class_id.tolist(), ours.confidence.tolist(), strict=True))
        for number, probability in told["top"]:
            totals["boxes"] += 1
            if number not in likely:
                totals["missing"] += 1
                continue
            totals["score"] = max(totals["score"], abs(likely[number] - probability))
    return totals


def compare(graph: Path, found: dict[str, Any], engine: str) -> Row:
    """Compare what livevision finds with what a file's own package did."""
    given = {"conf": CONF - NEAR_CONF, "iou": 0.5, "max_det": MOST, "class_agnostic": False}
    with livevision.load(graph, engine, precision="fp32", **given) as model:  # type: ignore[arg-type]
        first = next(iter(found.values()))
        if isinstance(first, list):
            return boxes_of(model, found)
        return maps_of(model, found, graph.parent) if "map" in first else tops_of(model, found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="Of foreign_reference.py")
    parser.add_argument("--engine", action="append", help="(default openvino and onnx)")
    parser.add_argument("--json", type=Path, help="A file for the figures")
    arguments = parser.parse_args()
    every: dict[str, Any] = {}
    bad = False
    print("| file | engine | boxes, classes or pixels | missing | more | pixels | score |")
    print("|---|---|---|---|---|---|---|")
    for told in sorted(arguments.folder.glob("*.json")):
        found = json.loads(told.read_text())
        for engine in arguments.engine or ["openvino", "onnx"]:
            row = compare(told.with_suffix(".onnx"), found, engine)
            every[f"{told.stem}, {engine}"] = row
            few = 0.01 * row["boxes"]
            bad |= row["missing"] > few or row["more"] > few
            print(
                f"| {told.stem} | {engine} | {row['boxes']:.0f} | {row['missing']:.0f} "
                f"| {row['more']:.0f} | {row['pixels']:.3f} | {row['score']:.4f} |"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(every, indent=1))
    return int(bad or not every)


if __name__ == "__main__":
    sys.exit(main())
