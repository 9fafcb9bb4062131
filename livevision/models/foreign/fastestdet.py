"""FastestDet: 1×(5+C)×H×W at a sixteenth of the input, a cell a box.

A cell has an objectness, the middle's offset and the size before their tanh and sigmoid, and the
classes' probabilities; a score is objectness^0.6 · probability^0.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from livevision.models.foreign import inside
from livevision.models.foreign.boxes import Boxes, best, corners, suppressed
from livevision.models.foreign.family import UNIT, Found, Kind, dims
from livevision.models.foreign.graph_file import GraphFile, Port
from livevision.models.foreign.inside import Values
from livevision.models.foreign.parts import Parts

_STRIDE = 16
_OBJECTNESS, _CLASS = 0.6, 0.4
_NAMES = ("input.1", "data", "images")


def recognise(graph: GraphFile) -> Found | None:
    """By its names and the size of its one map; a segmenter at a sixteenth is called otherwise."""
    if len(graph.outputs) != 1 or "names" in graph.metadata or graph.fixed_size is None:
        return None
    shape = dims(graph.outputs[0], 4)
    width, height = graph.fixed_size
    if shape is None or shape[2:] != (height // _STRIDE, width // _STRIDE):
        return None
    if (shape[1] or 0) <= 5 or graph.image.name not in _NAMES:
        return None
    known = {"colour": "BGR", "fit": "stretch", "resize": "bilinear", **UNIT}
    return Found("FastestDet", {**known, "output": "fastestdet"})


class FastestDetDecoder:
    """Decodes it."""

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
        rows, scores, classes = best(odds, conf)
        points = np.stack((rows % columns, rows // columns), 1)
        middles = (points + np.tanh(cells[rows, 1:3])) * _STRIDE
        sizes = np.array(size) / (1 + np.exp(-cells[rows, 3:5]))
        return suppressed(corners(np.concatenate((middles, sizes), 1)), scores, classes, iou)


def decode_inside(
    parts: Parts, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """The same inside of the graph."""
    _, width, height, columns = inside.shape_of(outputs[0], 4)
    count = height * columns
    found = parts.reshape(outputs[0].name, 1, width, count)
    nothing = parts.constant(0.0)
    odds = parts.node("Max", parts.part(found, 5, width, 1), nothing)
    objectness = parts.node("Max", parts.reshape(parts.part(found, 0, 1, 1), 1, count), nothing)
    likely = parts.node("Pow", parts.highest(odds, 1), parts.constant(_CLASS))
    objectness = parts.node("Pow", objectness, parts.constant(_OBJECTNESS))
    scores, places = inside.picked(parts, parts.times(objectness, likely), count)
    numbers = inside.class_of(parts, parts.gather(odds, places, 2), 1)
    chosen = parts.gather(found, places, 2)
    y, x = np.mgrid[:height, :columns]
    points = parts.constant(np.stack((x, y)).reshape(1, 2, count))
    offset = parts.node("Tanh", parts.part(chosen, 1, 3, 1))
    middle = parts.times(parts.plus(offset, parts.gather(points, places, 2)), float(_STRIDE))
    extent = parts.node("Sigmoid", parts.part(chosen, 3, 5, 1))
    extent = parts.times(extent, np.array(size, np.float32)[None, :, None])
    boxes = parts.node("Transpose", parts.joined([middle, extent], 1), perm=[0, 2, 1])
    return inside.suppressed(parts, inside.corners(parts, boxes), scores, numbers, count)


KINDS = {"fastestdet": Kind("detect", FastestDetDecoder, decode_inside)}
