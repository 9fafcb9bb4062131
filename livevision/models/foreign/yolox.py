"""YOLOX: raw 1×N×(5+C) of strides 8, 16 and 32, its grid still to be added.

A row is centre and size as offsets, then objectness and the classes' scores, both already sigmoid.
YOLOX with its decoding in the graph, and YOLOv6, give as many rows with boxes in pixels, which
``ultralytics`` decodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from livevision.models.foreign import inside
from livevision.models.foreign.boxes import Boxes, best, corners, suppressed
from livevision.models.foreign.family import RAW, UNIT, Found, Kind, cells, dims
from livevision.models.foreign.graph_file import GraphFile, Port
from livevision.models.foreign.inside import Unfit, Values
from livevision.models.foreign.parts import Parts
from livevision.models.foreign.tracing import after_layers

_STRIDES = (8, 16, 32)


def recognise(graph: GraphFile) -> Found | None:
    """One output with a row for each cell of the grids, and no metadata of Ultralytics'."""
    if len(graph.outputs) != 1 or "names" in graph.metadata:
        return None
    shape = dims(graph.outputs[0], 3)
    if shape is None or graph.fixed_size is None or (shape[2] or 0) < 6:
        return None
    if shape[1] != cells(graph.fixed_size, _STRIDES):
        return None
    common = {"fill": 114, "resize": "bilinear"}
    given = {**common, "colour": "BGR", "fit": "letterbox-top-left", **RAW}
    done = after_layers(graph, graph.outputs[0].name)
    if "Exp" in done:
        return Found("YOLOX, decoded", {**given, "output": "yolo-objectness"})
    if "Mul" in done:
        theirs = {**common, "colour": "RGB", "fit": "letterbox", **UNIT}
        return Found("YOLOv6", {**theirs, "output": "yolo-objectness"})
    return Found("YOLOX", {**given, "output": "yolox"})


class YoloxDecoder:
    """Decodes it."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        width = (dims(outputs[0], 3) or (None,) * 3)[2]
        self.classes = width - 5 if width else labels
        self._name = outputs[0].name

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        found = outputs[self._name][0].astype(np.float32, copy=False)
        rows, scores, classes = best(found[:, 4:5] * found[:, 5:], conf)
        points, strides = grid(size, _STRIDES)
        centres = (found[rows, :2] + points[rows]) * strides[rows]
        sizes = np.exp(found[rows, 2:4]) * strides[rows]
        return suppressed(corners(np.concatenate((centres, sizes), 1)), scores, classes, iou)


def grid(size: tuple[int, int], strides: Sequence[int]) -> tuple[Any, Any]:
    """Column and row of each cell, N×2, and its stride, N×1; stride after stride, row by row."""
    points, each = [], []
    for stride in strides:
        columns, rows = -(-size[0] // stride), -(-size[1] // stride)
        y, x = np.mgrid[:rows, :columns]
        points.append(np.stack((x, y), -1).reshape(-1, 2))
        each.append(np.full((rows * columns, 1), stride))
    return np.concatenate(points).astype(np.float32), np.concatenate(each).astype(np.float32)


def decode_inside(
    parts: Parts, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """The same inside of the graph."""
    _, count, _ = inside.shape_of(outputs[0], 3)
    points, strides = grid(size, _STRIDES)
    if len(points) != count:
        raise Unfit(f"{outputs[0]} has not a row for each cell")
    found = outputs[0].name
    every = parts.part(found, 5, 5 + classes, 2)
    objectness = parts.reshape(parts.part(found, 4, 5, 2), 1, count)
    scores, places = inside.picked(parts, parts.times(parts.highest(every, 2), objectness), count)
    chosen = parts.gather(found, places, 1)
    stride = parts.gather(parts.constant(strides[None]), places, 1)
    point = parts.gather(parts.constant(points[None]), places, 1)
    middle = parts.times(parts.plus(parts.part(chosen, 0, 2, 2), point), stride)
    extent = parts.times(parts.node("Exp", parts.part(chosen, 2, 4, 2)), stride)
    boxes = inside.corners(parts, parts.joined([middle, extent], 2))
    best = inside.class_of(parts, parts.part(chosen, 5, 5 + classes, 2), 2)
    return inside.suppressed(parts, boxes, scores, best, count)


KINDS = {"yolox": Kind("detect", YoloxDecoder, decode_inside, partial(cells, strides=_STRIDES))}
