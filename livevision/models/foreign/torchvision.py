"""Detectors that give finished boxes: torchvision's, TensorFlow's, and SSD's boxes and scores.

``torchvision``: boxes N×4 in pixels, classes and scores, classes counted from 1. ``tensorflow``:
``detection_boxes`` 1×N×4, top, left, bottom and right in parts of the image, classes from 1.
``ssd``: boxes 1×N×4, corners in parts of the image, and scores 1×N×C, class 0 being none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from livevision.models.foreign import inside
from livevision.models.foreign.boxes import FLOOR, Boxes, best, packed, suppressed
from livevision.models.foreign.family import RAW, UNIT, Found, Kind, dims
from livevision.models.foreign.graph_file import GraphFile, Port
from livevision.models.foreign.inside import Values
from livevision.models.foreign.parts import Parts


def recognise(graph: GraphFile) -> Found | None:
    """By names, and for torchvision's, which may have lost them, by shapes and dtypes."""
    names = {port.name for port in graph.outputs}
    common = {"colour": "RGB", "fit": "stretch"}
    if {"detection_boxes", "detection_scores", "detection_classes"} <= names:
        return Found("a detector of TensorFlow's", {**common, **RAW, "output": "tensorflow"})
    if graph.sizes is None and _finished(graph.outputs) is not None:
        return Found("a detector of torchvision's", {**common, **UNIT, "output": "torchvision"})
    if len(graph.outputs) == 2 and {"boxes", "scores"} == names:
        return Found("a detector like SSD", {"fit": "stretch", "output": "ssd"})
    return None


def _finished(outputs: Sequence[Port]) -> tuple[str, str, str] | None:
    """Names of boxes N×4, scores N and classes N, whatever they are called."""
    boxes = [p.name for p in outputs if (s := dims(p, 2)) and s[1] == 4]
    scores = [p.name for p in outputs if dims(p, 1) and p.dtype.startswith("float")]
    classes = [p.name for p in outputs if dims(p, 1) and p.dtype.startswith("int")]
    if (len(boxes), len(scores), len(classes)) != (1, 1, 1):
        return None
    return boxes[0], scores[0], classes[0]


class TorchvisionDecoder:
    """Decodes finished boxes in pixels."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        self.classes = labels
        self._names = _finished(outputs) or ("boxes", "scores", "labels")

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        boxes, scores, classes = (np.asarray(outputs[name]) for name in self._names)
        kept = scores >= max(conf, FLOOR)
        return packed(boxes[kept], scores[kept], classes[kept])


class TensorFlowDecoder:
    """Decodes finished boxes in parts of the image."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        self.classes = labels

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        scores = np.asarray(outputs["detection_scores"])[0]
        kept = scores >= max(conf, FLOOR)
        boxes = np.asarray(outputs["detection_boxes"])[0][kept][:, [1, 0, 3, 2]]
        classes = np.asarray(outputs["detection_classes"])[0][kept]
        return packed(boxes * np.array(size * 2, np.float32), scores[kept], classes)


class SsdDecoder:
    """Decodes boxes in parts of the image and every class's score."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        boxes = next((p for p in outputs if p.name == "boxes"), outputs[0])
        scores = next(p for p in (*outputs, boxes) if p is not boxes or len(outputs) == 1)
        self._boxes, self._scores = boxes.name, scores.name
        self.ports = (boxes, scores)
        self.classes = (dims(scores, 3) or (None,) * 3)[2] or labels

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        boxes = np.asarray(outputs[self._boxes], np.float32)[0]
        scores = np.array(outputs[self._scores], np.float32)[0]
        scores[:, 0] = 0
        rows, highest, classes = best(scores, conf)
        return suppressed(boxes[rows] * np.array(size * 2, np.float32), highest, classes, iou)


def tensorflow_inside(
    parts: Parts, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """What ``TensorFlowDecoder`` does, inside of the graph."""
    named = {port.name: port for port in outputs}
    _, count = inside.shape_of(named["detection_scores"], 2)
    order = parts.constant([1, 0, 3, 2], np.int64)
    boxes = parts.times(parts.gather(named["detection_boxes"].name, order, 2), size * 2)
    return inside.rows(
        parts, boxes, named["detection_scores"].name, named["detection_classes"].name, count
    )


def ssd_inside(
    parts: Parts, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """What ``SsdDecoder`` does, inside of the graph."""
    boxes, scores = SsdDecoder(outputs, classes).ports
    _, count, width = inside.shape_of(scores, 3)
    # Class 0 is none, and nothing's score is the highest.
    every = parts.part(scores.name, 1, width, 2)
    best, places = inside.picked(parts, parts.highest(every, 2), count)
    numbers = inside.class_of(parts, parts.gather(every, places, 1), 2)
    numbers = parts.node("Add", numbers, parts.constant(1, np.int64))
    chosen = parts.times(parts.gather(boxes.name, places, 1), size * 2)
    return inside.suppressed(parts, chosen, best, numbers, count)


KINDS = {
    "torchvision": Kind("detect", TorchvisionDecoder),
    "tensorflow": Kind("detect", TensorFlowDecoder, tensorflow_inside),
    "ssd": Kind("detect", SsdDecoder, ssd_inside),
}
