"""FastestDet: 1×(5+C)×H×W at stride 16, one box per cell.

A cell has the objectness, the offset of the centre (before tanh), the size (before sigmoid) and the
probabilities of the classes; the score is objectness^0.6 · probability^0.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from livevision.models.foreign import in_graph
from livevision.models.foreign.boxes import Boxes, best_classes, corners, nms
from livevision.models.foreign.family import UNIT, Kind, Recognised, dims
from livevision.models.foreign.graph_file import GraphFile, Port
from livevision.models.foreign.in_graph import Values
from livevision.models.foreign.node_builder import NodeBuilder

_STRIDE = 16
_OBJECTNESS, _CLASS = 0.6, 0.4
_NAMES = ("input.1", "data", "images")


def recognise(graph: GraphFile) -> Recognised | None:
    """Recognise FastestDet by the names and the size of its output, unlike a segmenter's."""
    if len(graph.outputs) != 1 or "names" in graph.metadata or graph.fixed_size is None:
        return None
    shape = dims(graph.outputs[0], 4)
    width, height = graph.fixed_size
    if shape is None or shape[2:] != (height // _STRIDE, width // _STRIDE):
        return None
    if (shape[1] or 0) <= 5 or graph.image.name not in _NAMES:
        return None
    known = {"colour": "BGR", "fit": "stretch", "resize": "bilinear", **UNIT}
    return Recognised("FastestDet", {**known, "output": "fastestdet"})


class FastestDetDecoder:
    """Decodes FastestDet."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        self._name = outputs[0].name
        width = (dims(outputs[0], 4) or (None,) * 4)[1]
        self.classes = width - 5 if width else labels

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        found = np.asarray(outputs[self._name], np.float32)[0]
        columns = found.shape[2]
        cells = found.reshape(found.shape[0], -1).T
        odds = cells[:, :1].clip(0) ** _OBJECTNESS * cells[:, 5:].clip(0) ** _CLASS
        rows, scores, classes = best_classes(odds, conf)
        points = np.stack((rows % columns, rows // columns), 1)
        middles = (points + np.tanh(cells[rows, 1:3])) * _STRIDE
        sizes = np.array(size) / (1 + np.exp(-cells[rows, 3:5]))
        return nms(corners(np.concatenate((middles, sizes), 1)), scores, classes, iou)


def decode_in_graph(
    builder: NodeBuilder, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """The decoder in the graph."""
    _, width, height, columns = in_graph.shape_of(outputs[0], 4)
    count = height * columns
    found = builder.reshape(outputs[0].name, 1, width, count)
    nothing = builder.constant(0.0)
    odds = builder.node("Max", builder.part(found, 5, width, 1), nothing)
    objectness = builder.node(
        "Max", builder.reshape(builder.part(found, 0, 1, 1), 1, count), nothing
    )
    likely = builder.node("Pow", builder.highest(odds, 1), builder.constant(_CLASS))
    objectness = builder.node("Pow", objectness, builder.constant(_OBJECTNESS))
    scores, places = in_graph.top_candidates(builder, builder.times(objectness, likely), count)
    numbers = in_graph.class_of(builder, builder.gather(odds, places, 2), 1)
    chosen = builder.gather(found, places, 2)
    y, x = np.mgrid[:height, :columns]
    points = builder.constant(np.stack((x, y)).reshape(1, 2, count))
    offset = builder.node("Tanh", builder.part(chosen, 1, 3, 1))
    middle = builder.times(builder.plus(offset, builder.gather(points, places, 2)), float(_STRIDE))
    extent = builder.node("Sigmoid", builder.part(chosen, 3, 5, 1))
    extent = builder.times(extent, np.array(size, np.float32)[None, :, None])
    boxes = builder.node("Transpose", builder.joined([middle, extent], 1), perm=[0, 2, 1])
    return in_graph.nms(builder, in_graph.corners(builder, boxes), scores, numbers, count)


KINDS = {"fastestdet": Kind("detect", FastestDetDecoder, decode_in_graph)}
