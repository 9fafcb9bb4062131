"""livevision beside other models' own packages, box for box.

    .venv/bin/python scripts/compare_foreign.py FOLDER

A folder holds for each family its ONNX file and what its own package found in some pictures, as
scripts/peers/foreign_reference.py writes it. livevision runs the file on the same pictures, with
each engine, and every box is looked for among its own: of the same class, nearest in place. Among
random weights' crowds of boxes with like scores a few fall to suppression in another order.
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


def compare(graph: Path, found: dict[str, list[list[float]]], engine: str) -> dict[str, float]:
    """How far livevision's boxes are from those found by the file's own package.

    Returns:
        ``boxes``, how many there are; ``missing``, those that livevision has not within a pixel;
        ``more``, those that it alone has; ``pixels`` and ``score``, the largest differences of
        the others.
    """
    totals = {"boxes": 0.0, "missing": 0.0, "more": 0.0, "pixels": 0.0, "score": 0.0}
    with livevision.load(
        graph, engine, conf=CONF - NEAR_CONF, iou=0.5, max_det=MOST, class_agnostic=False
    ) as model:
        for picture, expected in found.items():
            if len(expected) >= MOST:
                continue  # what a package leaves out of a crowd is its own affair
            ours = model(np.asarray(cv2.imread(picture), np.uint8))
            free = np.ones(len(ours), bool)
            for *box, score, number in expected:
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="Of foreign_reference.py")
    parser.add_argument("--engine", action="append", help="(default openvino and onnx)")
    parser.add_argument("--json", type=Path, help="A file for the figures")
    arguments = parser.parse_args()
    every: dict[str, Any] = {}
    bad = False
    print("| file | engine | boxes | missing | more | pixels at most | score at most |")
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
