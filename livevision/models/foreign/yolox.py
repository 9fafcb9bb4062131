"""YOLOX: raw 1×N×(5+C) of strides 8, 16 and 32, without its grid.

A row has centre and size as offsets, then objectness and scores after their sigmoid. YOLOX exported
with decoding, and YOLOv6, have the same number of rows with boxes in pixels; ``ultralytics``
decodes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from livevision.models.foreign import in_graph
from livevision.models.foreign.boxes import Boxes, best_classes, corners, nms
from livevision.models.foreign.family import RAW, UNIT, Kind, Recognised, cells, dims
from livevision.models.foreign.graph_file import GraphFile, Port
from livevision.models.foreign.in_graph import NotInGraph, Values
from livevision.models.foreign.node_builder import NodeBuilder
from livevision.models.foreign.tracing import after_layers

_STRIDES = (8, 16, 32)


def recognise(graph: GraphFile) -> Recognised | None:
    """Recognise one output with one row per cell, without Ultralytics' metadata."""
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
        return Recognised("YOLOX, decoded", {**given, "output": "yolo-objectness"})
    if "Mul" in done:
        theirs = {**common, "colour": "RGB", "fit": "letterbox", **UNIT}
        return Recognised("YOLOv6", {**theirs, "output": "yolo-objectness"})
    return Recognised("YOLOX", {**given, "output": "yolox"})


class YoloxDecoder:
    """Decodes YOLOX."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        width = (dims(outputs[0], 3) or (None,) * 3)[2]
        self.classes = width - 5 if width else labels
        self._name = outputs[0].name

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        found = outputs[self._name][0].astype(np.float32, copy=False)
        rows, scores, classes = best_classes(found[:, 4:5] * found[:, 5:], conf)
        points, strides = grid(size, _STRIDES)
        centres = (found[rows, :2] + points[rows]) * strides[rows]
        sizes = np.exp(found[rows, 2:4]) * strides[rows]
        return nms(corners(np.concatenate((centres, sizes), 1)), scores, classes, iou)


def grid(size: tuple[int, int], strides: Sequence[int]) -> tuple[Any, Any]:
    """Column and row of each cell, N×2, and its stride, N×1; by stride, then row by row."""
    points, each = [], []
    for stride in strides:
        columns, rows = -(-size[0] // stride), -(-size[1] // stride)
        y, x = np.mgrid[:rows, :columns]
        points.append(np.stack((x, y), -1).reshape(-1, 2))
        each.append(np.full((rows * columns, 1), stride))
    return np.concatenate(points).astype(np.float32), np.concatenate(each).astype(np.float32)


def decode_in_graph(
    builder: NodeBuilder, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """The decoder in the graph."""
    _, count, _ = in_graph.shape_of(outputs[0], 3)
    points, strides = grid(size, _STRIDES)
    if len(points) != count:
        raise NotInGraph(f"{outputs[0]} does not have one row per cell")
    found = outputs[0].name
    every = builder.part(found, 5, 5 + classes, 2)
    objectness = builder.reshape(builder.part(found, 4, 5, 2), 1, count)
    scores, places = in_graph.top_candidates(
        builder, builder.times(builder.highest(every, 2), objectness), count
    )
    chosen = builder.gather(found, places, 1)
    stride = builder.gather(builder.constant(strides[None]), places, 1)
    point = builder.gather(builder.constant(points[None]), places, 1)
    middle = builder.times(builder.plus(builder.part(chosen, 0, 2, 2), point), stride)
    extent = builder.times(builder.node("Exp", builder.part(chosen, 2, 4, 2)), stride)
    boxes = in_graph.corners(builder, builder.joined([middle, extent], 2))
    best = in_graph.class_of(builder, builder.part(chosen, 5, 5 + classes, 2), 2)
    return in_graph.nms(builder, boxes, scores, best, count)


KINDS = {"yolox": Kind("detect", YoloxDecoder, decode_in_graph, partial(cells, strides=_STRIDES))}
