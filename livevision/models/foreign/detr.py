"""The DETR family: RT-DETR, D-FINE, DEIM, RF-DETR and DETR. They need no NMS.

``detr-scored`` outputs labels, boxes and scores; its boxes are in pixels of ``orig_target_sizes``,
here the input's size. The others output boxes as centre and size, as fractions of the input:
``detr`` with logits for a sigmoid; ``detr-softmax`` with logits for a softmax, of which the last
class is "no object"; ``detr-rows`` 1×N×(4+C), each row with all scores; ``detr-end-to-end``
1×N×6, each row with the best score and its class.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from livevision.models.foreign import in_graph
from livevision.models.foreign.boxes import FLOOR, Boxes, best_classes, corners, packed, top_scores
from livevision.models.foreign.family import IMAGENET, UNIT, Kind, Recognised, dims
from livevision.models.foreign.graph_file import GraphFile, Port
from livevision.models.foreign.in_graph import NotInGraph, Values
from livevision.models.foreign.node_builder import NodeBuilder
from livevision.models.foreign.tracing import has_part

_MOST = 300

_UNIT_PARTS = ("enc_score_head", "pan_blocks", "fpn_blocks")
"""Names of layers of RT-DETR and D-FINE, whose input is 0..1."""

_IMAGENET_PARTS = ("enc_out_class_embed", "enc_out_bbox_embed")
"""Names of layers of RF-DETR and LW-DETR, whose input is normalised by ImageNet."""


def recognise(graph: GraphFile) -> Recognised | None:
    """Recognise the family by the names of its outputs, which exports keep."""
    names = {port.name for port in graph.outputs}
    common: dict[str, Any] = {"colour": "RGB", "fit": "stretch", "resize": "antialiased"}
    if graph.sizes is not None and {"labels", "boxes", "scores"} <= names:
        fields = {**common, **UNIT, "output": "detr-scored"}
        return Recognised("a detector like RT-DETR, D-FINE and DEIM", fields)
    if {"dets", "labels"} <= names:
        # RF-DETR's package resizes without antialiasing, as in training.
        given = {**common, **IMAGENET, "resize": "bilinear", "output": "detr"}
        return Recognised("RF-DETR", given)
    if "logits" in names and names & {"pred_boxes", "boxes"}:
        logits = next(p for p in graph.outputs if p.name == "logits")
        shape = dims(logits, 3)
        if shape is not None and shape[2] == 92:
            return Recognised("DETR", {**common, **IMAGENET, "output": "detr-softmax"})
        # RT-DETR, D-FINE and others have the same names, but not the same normalisation.
        for parts, colours in ((_UNIT_PARTS, UNIT), (_IMAGENET_PARTS, IMAGENET)):
            if has_part(graph, *parts):
                family = "RT-DETR or D-FINE" if colours is UNIT else "RF-DETR or LW-DETR"
                return Recognised(family, {**common, **colours, "output": "detr"})
        return Recognised(
            "a detector like RT-DETR, D-FINE and Deformable DETR", {**common, "output": "detr"}
        )
    return None


class ScoredDecoder:
    """Decodes labels, boxes and scores."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        self.classes = labels

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        boxes, scores, classes = (
            np.asarray(outputs[name]).reshape(-1, *([4] if name == "boxes" else []))
            for name in ("boxes", "scores", "labels")
        )
        rows = np.flatnonzero(scores >= max(conf, FLOOR))
        rows = rows[np.argsort(-scores[rows], kind="stable")]
        return packed(boxes[rows], scores[rows], classes[rows])


class LogitsDecoder:
    """Decodes logits, each class by a sigmoid, and boxes."""

    softmax = False

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        by_width = {(dims(p, 3) or (None,) * 3)[2]: p for p in outputs if dims(p, 3)}
        names = {p.name: p for p in outputs}
        boxes = names.get("pred_boxes") or names.get("dets") or names.get("boxes")
        boxes = boxes or by_width.get(4) or outputs[0]
        logits = names.get("logits") or names.get("labels")
        logits = logits or next(p for p in (*outputs, outputs[0]) if p is not boxes)
        self._boxes, self._logits = boxes.name, logits.name
        self.ports = (boxes, logits)
        width = (dims(logits, 3) or (None,) * 3)[2]
        self.classes = width - self.softmax if width else labels

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        logits = outputs[self._logits][0].astype(np.float32, copy=False)
        boxes = outputs[self._boxes][0].astype(np.float32, copy=False)
        rows, scores, classes = self._chosen(logits, conf)
        return packed(corners(boxes[rows]) * np.array(size * 2, np.float32), scores, classes)

    def _chosen(self, logits: Any, conf: float) -> tuple[Any, ...]:
        return top_scores(1 / (1 + np.exp(-logits.clip(-80, 80))), conf, _MOST)


class SoftmaxDecoder(LogitsDecoder):
    """Decodes logits by a softmax, the last class being "no object", and boxes."""

    softmax = True

    def _chosen(self, logits: Any, conf: float) -> tuple[Any, ...]:
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return best_classes((powers / powers.sum(1, keepdims=True))[:, :-1], conf)


class RowsDecoder:
    """Decodes one output with boxes and the scores of all classes."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        self._name = outputs[0].name
        width = (dims(outputs[0], 3) or (None,) * 3)[2]
        self.classes = width - 4 if width else labels

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        found = outputs[self._name][0].astype(np.float32, copy=False)
        rows, scores, classes = best_classes(found[:, 4:], conf)
        boxes = corners(found[rows, :4]) * np.array(size * 2, np.float32)
        return packed(boxes[:_MOST], scores[:_MOST], classes[:_MOST])


class EndToEndDecoder:
    """Decodes one output with boxes, their best scores and classes."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        self._name = outputs[0].name
        self.classes = labels

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        found = outputs[self._name][0].astype(np.float32, copy=False)
        found = found[found[:, 4] >= max(conf, FLOOR)]
        found = found[np.argsort(-found[:, 4], kind="stable")]
        boxes = corners(found[:, :4]) * np.array(size * 2, np.float32)
        return packed(boxes, found[:, 4], found[:, 5])


def scored_in_graph(
    builder: NodeBuilder, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """``ScoredDecoder`` in the graph."""
    named = {port.name: port for port in outputs}
    count = math.prod(length or 0 for length in named["scores"].shape or (0,))
    if not count:
        raise NotInGraph("the number of boxes is known only at run time")
    boxes = builder.reshape(named["boxes"].name, 1, count, 4)
    scores, numbers = (builder.reshape(named[name].name, 1, count) for name in ("scores", "labels"))
    return in_graph.rows(builder, boxes, scores, numbers, count)


def logits_in_graph(
    builder: NodeBuilder, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """``LogitsDecoder`` in the graph."""
    decoder = LogitsDecoder(outputs, classes)
    boxes, logits = decoder.ports
    _, count, width = in_graph.shape_of(logits, 3)
    most = min(_MOST, count * width)
    best, places = builder.top(builder.reshape(logits.name, 1, count * width), most)
    width_ = builder.constant(width, np.int64)
    rows = builder.node("Div", places, width_)
    numbers = builder.node("Sub", places, builder.node("Mul", rows, width_))
    chosen = builder.gather(boxes.name, builder.reshape(rows, most), 1)
    placed = builder.times(in_graph.corners(builder, chosen), size * 2)
    return in_graph.rows(builder, placed, builder.node("Sigmoid", best), numbers, most)


def softmax_in_graph(
    builder: NodeBuilder, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """``SoftmaxDecoder`` in the graph."""
    boxes, logits = SoftmaxDecoder(outputs, classes).ports
    _, count, width = in_graph.shape_of(logits, 3)
    every = builder.node("Softmax", builder.reshape(logits.name, count, width), axis=1)
    every = builder.part(every, 0, width - 1, 1)
    scores = builder.reshape(builder.highest(every, 1), 1, count)
    numbers = builder.reshape(in_graph.class_of(builder, every, 1), 1, count)
    placed = builder.times(in_graph.corners(builder, boxes.name), size * 2)
    return in_graph.rows(builder, placed, scores, numbers, count)


def rows_in_graph(
    builder: NodeBuilder, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """``RowsDecoder`` in the graph."""
    _, count, width = in_graph.shape_of(outputs[0], 3)
    found = outputs[0].name
    every = builder.part(found, 4, width, 2)
    scores, numbers = builder.highest(every, 2), in_graph.class_of(builder, every, 2)
    boxes = builder.times(in_graph.corners(builder, builder.part(found, 0, 4, 2)), size * 2)
    return in_graph.rows(builder, boxes, scores, numbers, count)


def end_to_end_in_graph(
    builder: NodeBuilder, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """``EndToEndDecoder`` in the graph."""
    _, count, _ = in_graph.shape_of(outputs[0], 3)
    found = outputs[0].name
    scores, numbers = (builder.reshape(builder.part(found, n, n + 1, 2), 1, count) for n in (4, 5))
    boxes = builder.times(in_graph.corners(builder, builder.part(found, 0, 4, 2)), size * 2)
    return in_graph.rows(builder, boxes, scores, numbers, count)


KINDS = {
    "detr-scored": Kind("detect", ScoredDecoder, scored_in_graph),
    "detr": Kind("detect", LogitsDecoder, logits_in_graph),
    "detr-softmax": Kind("detect", SoftmaxDecoder, softmax_in_graph),
    "detr-rows": Kind("detect", RowsDecoder, rows_in_graph),
    "detr-end-to-end": Kind("detect", EndToEndDecoder, end_to_end_in_graph),
}
