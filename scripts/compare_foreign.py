"""livevision beside other models' own packages, box for box.

    .venv/bin/python scripts/compare_foreign.py FOLDER

A folder holds for each family its ONNX file and what its own package found in some pictures, as
scripts/peers/foreign_reference.py writes it. livevision runs the file on the same pictures, with
each engine, and every box is looked for among its own: of the same class, nearest in place. Of
class maps the pixels are counted that have another class, of classifiers the classes. Where the
package's inputs are there, the last column tells how far livevision's are from them, of 255: the
mean and the most. Among random weights' crowds of boxes with like scores a few fall to suppression
in another order.
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


def boxes_of(model: livevision.Model, found: dict[str, list[list[float]]], suppressed: bool) -> Row:
    """How far livevision's boxes are from those found by the file's own package.

    Args:
        model: livevision's.
        found: By picture: corners, score and class of each box.
        suppressed: The package chose the boxes by their overlaps.

    Returns:
        ``boxes``, how many there are; ``missing``, those that livevision has not within a pixel;
        ``more``, those that it alone has; ``pixels`` and ``score``, the largest differences of
        the others.
    """
    totals = {"boxes": 0.0, "missing": 0.0, "more": 0.0, "pixels": 0.0, "score": 0.0}
    for picture, expected in found.items():
        if len(expected) >= MOST and suppressed:
            continue  # what a package leaves out of a crowd is its own affair
        image = np.asarray(cv2.imread(picture), np.uint8)
        ours: Any = model(image)
        free = np.ones(len(ours), bool)
        for *corners, score, number in expected:
            # livevision's boxes end at the picture's edges; not all packages' do.
            box = np.clip(corners, 0, image.shape[1::-1] * 2)
            if min(box[2] - box[0], box[3] - box[1]) < PIXEL:
                continue  # beside the picture: livevision leaves those out
            totals["boxes"] += 1
            apart = np.abs(ours.xyxy - box).max(1) if len(ours) else np.zeros(0)
            apart = np.where(free & (ours.class_id == number), apart, np.inf)
            nearest = int(apart.argmin()) if len(apart) else -1
            if nearest < 0 or apart[nearest] > PIXEL:
                totals["missing"] += score > CONF + NEAR_CONF
                continue
            free[nearest] = False
            totals["pixels"] = max(totals["pixels"], float(apart[nearest]))
            away = abs(float(ours.confidence[nearest]) - score)
            totals["score"] = max(totals["score"], away)
        sides = (ours.xyxy[:, 2:] - ours.xyxy[:, :2]).min(1, initial=np.inf)
        free &= (ours.confidence > CONF + NEAR_CONF) & (sides > PIXEL)
        totals["more"] += int(free.sum())
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


def inputs_of(model: livevision.Model, told: dict[str, str]) -> tuple[float, float]:
    """How far livevision's input is from the package's: the mean and the most, of 255."""
    mean, most = [], 0.0
    for picture, prepared in told.items():
        batch, _ = model.prepare(np.asarray(cv2.imread(picture), np.uint8))
        apart = np.abs(batch["image"][0].astype(float) - cv2.imread(prepared).astype(float))
        mean.append(float(apart.mean()))
        most = max(most, float(apart.max()))
    return float(np.mean(mean)), most


def compare(graph: Path, found: dict[str, Any], engine: str) -> Row:
    """Compare what livevision finds with what a file's own package did."""
    given = {"conf": CONF - NEAR_CONF, "iou": 0.5, "max_det": MOST, "class_agnostic": False}
    with livevision.load(graph, engine, precision="fp32", **given) as model:  # type: ignore[arg-type]
        first = next(iter(found.values()))
        if isinstance(first, list):
            row = boxes_of(model, found, not graph.stem.endswith("-end"))
        elif "map" in first:
            row = maps_of(model, found, graph.parent)
        else:
            row = tops_of(model, found)
        inputs = graph.with_suffix(".inputs")
        if inputs.is_file():
            row["input_mean"], row["input_most"] = inputs_of(model, json.loads(inputs.read_text()))
        return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="Of foreign_reference.py")
    parser.add_argument("--engine", action="append", help="(default openvino and onnx)")
    parser.add_argument("--json", type=Path, help="A file for the figures")
    arguments = parser.parse_args()
    every: dict[str, Any] = {}
    bad = False
    head = ("file", "engine", "boxes, classes or pixels", "missing", "more", "pixels", "score")
    print(f"| {' | '.join((*head, 'input'))} |\n{'|---' * 8}|")
    for told in sorted(arguments.folder.glob("*.json")):
        found = json.loads(told.read_text())
        for engine in arguments.engine or ["openvino", "onnx"]:
            row = compare(told.with_suffix(".onnx"), found, engine)
            every[f"{told.stem}, {engine}"] = row
            few = 0.01 * row["boxes"]
            bad |= row["missing"] > few or row["more"] > few
            laid = (
                f"{row['input_mean']:.3f}, {row['input_most']:.0f}" if "input_mean" in row else ""
            )
            print(
                f"| {told.stem} | {engine} | {row['boxes']:.0f} | {row['missing']:.0f} "
                f"| {row['more']:.0f} | {row['pixels']:.3f} | {row['score']:.4f} | {laid} |"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(every, indent=1))
    return int(bad or not every)


if __name__ == "__main__":
    sys.exit(main())
