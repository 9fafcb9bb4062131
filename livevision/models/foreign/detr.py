"""The DETR family: RT-DETR, D-FINE, DEIM, RF-DETR and DETR. Nothing overlaps, so none goes.

``detr-scored`` gives labels, boxes and scores, its boxes in the pixels that ``orig_target_sizes``
asks for, which is the input's size here. The others give boxes as centre and size in parts of the
input: ``detr`` beside logits, of which each is a class of its own; ``detr-softmax`` the same, the
last class being none at all; ``detr-rows`` 1×N×(4+C) before each class's score; ``detr-end-to-end``
1×N×6 before the best score and its class.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from livevision.models.foreign import inside
from livevision.models.foreign.boxes import FLOOR, Boxes, best, corners, packed, several
from livevision.models.foreign.family import IMAGENET, UNIT, Found, Kind, dims
from livevision.models.foreign.graph_file import GraphFile, Port
from livevision.models.foreign.inside import Unfit, Values
from livevision.models.foreign.parts import Parts
from livevision.models.foreign.tracing import has_part

_MOST = 300

_UNIT_PARTS = ("enc_score_head", "pan_blocks", "fpn_blocks")
"""What RT-DETR and D-FINE call parts of theirs, which take pixels of 0..1."""

_IMAGENET_PARTS = ("enc_out_class_embed", "enc_out_bbox_embed")
"""What RF-DETR and LW-DETR do."""


def recognise(graph: GraphFile) -> Found | None:
    """By its names: exports of this family keep them."""
    names = {port.name for port in graph.outputs}
    common: dict[str, Any] = {"colour": "RGB", "fit": "stretch", "resize": "antialiased"}
    if graph.sizes is not None and {"labels", "boxes", "scores"} <= names:
        fields = {**common, **UNIT, "output": "detr-scored"}
        return Found("a detector like RT-DETR, D-FINE and DEIM", fields)
    if {"dets", "labels"} <= names:
        # Its package resizes without a filter, as it does in training.
        given = {**common, **IMAGENET, "resize": "bilinear", "output": "detr"}
        return Found("RF-DETR", given)
    if "logits" in names and names & {"pred_boxes", "boxes"}:
        logits = next(p for p in graph.outputs if p.name == "logits")
        shape = dims(logits, 3)
        if shape is not None and shape[2] == 92:
            return Found("DETR", {**common, **IMAGENET, "output": "detr-softmax"})
        # RT-DETR, D-FINE and others name them alike, and do not take pixels alike.
        for parts, colours in ((_UNIT_PARTS, UNIT), (_IMAGENET_PARTS, IMAGENET)):
            if has_part(graph, *parts):
                family = "RT-DETR or D-FINE" if colours is UNIT else "RF-DETR or LW-DETR"
                return Found(family, {**common, **colours, "output": "detr"})
        return Found(
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
    """Decodes logits and boxes, each class by itself."""

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
        return several(1 / (1 + np.exp(-logits.clip(-80, 80))), conf, _MOST)


class SoftmaxDecoder(LogitsDecoder):
    """Decodes logits of which the last is no object, and boxes."""

    softmax = True

    def _chosen(self, logits: Any, conf: float) -> tuple[Any, ...]:
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return best((powers / powers.sum(1, keepdims=True))[:, :-1], conf)


class RowsDecoder:
    """Decodes boxes and all classes' scores in one output."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        self._name = outputs[0].name
        width = (dims(outputs[0], 3) or (None,) * 3)[2]
        self.classes = width - 4 if width else labels

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        found = outputs[self._name][0].astype(np.float32, copy=False)
        rows, scores, classes = best(found[:, 4:], conf)
        boxes = corners(found[rows, :4]) * np.array(size * 2, np.float32)
        return packed(boxes[:_MOST], scores[:_MOST], classes[:_MOST])


class EndToEndDecoder:
    """Decodes boxes, each with its best score and class."""

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


def scored_inside(
    parts: Parts, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """What ``ScoredDecoder`` does, inside of the graph."""
    named = {port.name: port for port in outputs}
    count = math.prod(length or 0 for length in named["scores"].shape or (0,))
    if not count:
        raise Unfit("how many boxes there are is known only once something has been computed")
    boxes = parts.reshape(named["boxes"].name, 1, count, 4)
    scores, numbers = (parts.reshape(named[name].name, 1, count) for name in ("scores", "labels"))
    return inside.rows(parts, boxes, scores, numbers, count)


def logits_inside(
    parts: Parts, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """What ``LogitsDecoder`` does, inside of the graph."""
    decoder = LogitsDecoder(outputs, classes)
    boxes, logits = decoder.ports
    _, count, width = inside.shape_of(logits, 3)
    most = min(_MOST, count * width)
    best, places = parts.top(parts.reshape(logits.name, 1, count * width), most)
    width_ = parts.constant(width, np.int64)
    rows = parts.node("Div", places, width_)
    numbers = parts.node("Sub", places, parts.node("Mul", rows, width_))
    chosen = parts.gather(boxes.name, parts.reshape(rows, most), 1)
    placed = parts.times(inside.corners(parts, chosen), size * 2)
    return inside.rows(parts, placed, parts.node("Sigmoid", best), numbers, most)


def softmax_inside(
    parts: Parts, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """What ``SoftmaxDecoder`` does, inside of the graph."""
    boxes, logits = SoftmaxDecoder(outputs, classes).ports
    _, count, width = inside.shape_of(logits, 3)
    every = parts.node("Softmax", parts.reshape(logits.name, count, width), axis=1)
    every = parts.part(every, 0, width - 1, 1)
    scores = parts.reshape(parts.highest(every, 1), 1, count)
    numbers = parts.reshape(inside.class_of(parts, every, 1), 1, count)
    placed = parts.times(inside.corners(parts, boxes.name), size * 2)
    return inside.rows(parts, placed, scores, numbers, count)


def rows_inside(
    parts: Parts, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """What ``RowsDecoder`` does, inside of the graph."""
    _, count, width = inside.shape_of(outputs[0], 3)
    found = outputs[0].name
    every = parts.part(found, 4, width, 2)
    scores, numbers = parts.highest(every, 2), inside.class_of(parts, every, 2)
    boxes = parts.times(inside.corners(parts, parts.part(found, 0, 4, 2)), size * 2)
    return inside.rows(parts, boxes, scores, numbers, count)


def end_to_end_inside(
    parts: Parts, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """What ``EndToEndDecoder`` does, inside of the graph."""
    _, count, _ = inside.shape_of(outputs[0], 3)
    found = outputs[0].name
    scores, numbers = (parts.reshape(parts.part(found, n, n + 1, 2), 1, count) for n in (4, 5))
    boxes = parts.times(inside.corners(parts, parts.part(found, 0, 4, 2)), size * 2)
    return inside.rows(parts, boxes, scores, numbers, count)


KINDS = {
    "detr-scored": Kind("detect", ScoredDecoder, scored_inside),
    "detr": Kind("detect", LogitsDecoder, logits_inside),
    "detr-softmax": Kind("detect", SoftmaxDecoder, softmax_inside),
    "detr-rows": Kind("detect", RowsDecoder, rows_inside),
    "detr-end-to-end": Kind("detect", EndToEndDecoder, end_to_end_inside),
}
