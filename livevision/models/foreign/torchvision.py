"""Detectors of torchvision and TensorFlow, which output final boxes, and SSD.

``torchvision``: boxes N×4 in pixels, classes from 1, and scores. ``tensorflow``:
``detection_boxes`` 1×N×4, top, left, bottom and right as fractions of the image, classes from 1.
``ssd``: boxes 1×N×4, corners as fractions of the image, and scores 1×N×C, class 0 is background.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from livevision.models.foreign import in_graph
from livevision.models.foreign.boxes import FLOOR, Boxes, best_classes, nms, packed
from livevision.models.foreign.family import RAW, UNIT, Kind, Recognised, dims
from livevision.models.foreign.graph_file import GraphFile, Port
from livevision.models.foreign.in_graph import Values
from livevision.models.foreign.node_builder import NodeBuilder


def recognise(graph: GraphFile) -> Recognised | None:
    """Recognise them by names, and torchvision's, whose names may be lost, by shapes and dtypes."""
    names = {port.name for port in graph.outputs}
    common = {"colour": "RGB", "fit": "stretch"}
    if {"detection_boxes", "detection_scores", "detection_classes"} <= names:
        return Recognised("a TensorFlow detector", {**common, **RAW, "output": "tensorflow"})
    if graph.sizes is None and _finished(graph.outputs) is not None:
        return Recognised(
            "a detector of torchvision's", {**common, **UNIT, "output": "torchvision"}
        )
    if len(graph.outputs) == 2 and {"boxes", "scores"} == names:
        return Recognised("a detector like SSD", {"fit": "stretch", "output": "ssd"})
    return None


def _finished(outputs: Sequence[Port]) -> tuple[str, str, str] | None:
    """Names of boxes N×4, scores N and classes N; None if the outputs are not exactly these."""
    boxes = [p.name for p in outputs if (s := dims(p, 2)) and s[1] == 4]
    scores = [p.name for p in outputs if dims(p, 1) and p.dtype.startswith("float")]
    classes = [p.name for p in outputs if dims(p, 1) and p.dtype.startswith("int")]
    if (len(boxes), len(scores), len(classes)) != (1, 1, 1):
        return None
    return boxes[0], scores[0], classes[0]


class TorchvisionDecoder:
    """Decodes final boxes in pixels."""

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
    """Decodes final boxes as fractions of the image."""

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
    """Decodes boxes as fractions of the image, and the scores of all classes."""

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
        rows, highest, classes = best_classes(scores, conf)
        return nms(boxes[rows] * np.array(size * 2, np.float32), highest, classes, iou)


def tensorflow_in_graph(
    builder: NodeBuilder, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """``TensorFlowDecoder`` in the graph."""
    named = {port.name: port for port in outputs}
    _, count = in_graph.shape_of(named["detection_scores"], 2)
    order = builder.constant([1, 0, 3, 2], np.int64)
    boxes = builder.times(builder.gather(named["detection_boxes"].name, order, 2), size * 2)
    return in_graph.rows(
        builder, boxes, named["detection_scores"].name, named["detection_classes"].name, count
    )


def ssd_in_graph(
    builder: NodeBuilder, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """``SsdDecoder`` in the graph."""
    boxes, scores = SsdDecoder(outputs, classes).ports
    _, count, width = in_graph.shape_of(scores, 3)
    # Class 0 is the background, which usually has the highest score.
    every = builder.part(scores.name, 1, width, 2)
    best, places = in_graph.top_candidates(builder, builder.highest(every, 2), count)
    numbers = in_graph.class_of(builder, builder.gather(every, places, 1), 2)
    numbers = builder.node("Add", numbers, builder.constant(1, np.int64))
    chosen = builder.times(builder.gather(boxes.name, places, 1), size * 2)
    return in_graph.nms(builder, chosen, best, numbers, count)


KINDS = {
    "torchvision": Kind("detect", TorchvisionDecoder),
    "tensorflow": Kind("detect", TensorFlowDecoder, tensorflow_in_graph),
    "ssd": Kind("detect", SsdDecoder, ssd_in_graph),
}
