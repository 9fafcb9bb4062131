"""Segmenters and classifiers: ``logits`` N×C×H×W, ``class-map`` N×H×W or N×1×H×W, ``scores`` N×C.

Their graphs do not say how the input is normalised: BiSeNet, PP-LiteSeg, DeepLab, SegFormer and
Fast-SCNN look alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from livevision.models.foreign import in_graph
from livevision.models.foreign.family import Kind, Recognised, dims
from livevision.models.foreign.graph_file import GraphFile, Port
from livevision.models.foreign.in_graph import Values
from livevision.models.foreign.node_builder import NodeBuilder

_TOP = 5
_TOLERANCE = 1e-2  # of the sum of probabilities
_UNROLLED = 32
"""Maximum number of classes for an arg-max channel by channel."""


def recognise(graph: GraphFile) -> Recognised | None:
    """Recognise the output by its dimensions; the input remains unknown."""
    first = graph.outputs[0]
    floats = first.dtype.startswith("float")
    shape = first.shape
    if shape is None:
        return None
    if len(shape) == 4 and floats and (shape[1] or 2) > 1:
        return Recognised("a segmenter", {"output": "logits", "fit": "stretch"})
    if not floats and (len(shape) == 3 or (len(shape) == 4 and shape[1] == 1)):
        return Recognised("a segmenter", {"output": "class-map", "fit": "stretch"})
    if len(shape) == 2 and floats and len(graph.outputs) == 1:
        return Recognised("a classifier", {"output": "scores", "fit": "centre-crop"})
    return None


class LogitsDecoder:
    """Takes the class with the highest logit at each pixel of the input."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        self._name = outputs[0].name
        self.classes = (dims(outputs[0], 4) or (None,) * 4)[1] or labels

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> dict[str, Any]:
        logits = outputs[self._name][0].astype(np.float32, copy=False)
        if logits.shape[1:] != (size[1], size[0]):
            logits = np.stack([cv2.resize(plane, size) for plane in logits])
        return {"class_map": logits.argmax(0).astype(np.uint8)[None]}


class ClassMapDecoder:
    """Takes the classes as they are, resized to the input's size."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        self._name = outputs[0].name
        self.classes = labels

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> dict[str, Any]:
        found = outputs[self._name]
        found = found.reshape(found.shape[-2:]).astype(np.uint8)
        if found.shape != (size[1], size[0]):
            found = cv2.resize(found, size, interpolation=cv2.INTER_NEAREST_EXACT)
        return {"class_map": found[None]}


class ScoresDecoder:
    """Takes the five most likely classes; scores that do not sum to one get a softmax."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        self._name = outputs[0].name
        self.classes = (dims(outputs[0], 2) or (None,) * 2)[1] or labels

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> dict[str, Any]:
        scores = outputs[self._name][0].astype(np.float32)
        if scores.min() < 0 or abs(float(scores.sum()) - 1) > _TOLERANCE:
            powers = np.exp(scores - scores.max())
            scores = powers / powers.sum()
        first = np.argsort(-scores, kind="stable")[:_TOP]
        return {"classes": first[None].astype(np.int32), "probabilities": scores[first][None]}


def logits_in_graph(
    builder: NodeBuilder, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """``LogitsDecoder`` in the graph."""
    _, width, *shape = in_graph.shape_of(outputs[0], 4)
    logits = outputs[0].name
    if tuple(shape) != (size[1], size[0]):
        sizes = builder.constant((1, width, size[1], size[0]), np.int64)
        logits = builder.node("Resize", logits, "", "", sizes, mode="linear")
    if width > _UNROLLED:
        found = builder.node("ArgMax", logits, axis=1, keepdims=0)
        return {"class_map": builder.cast(found, "uint8")}
    # Channel by channel, since OpenVINO's arg-max sorts, which is slow.
    largest, found = builder.part(logits, 0, 1, 1), ""
    for number in range(1, width):
        plane = builder.part(logits, number, number + 1, 1)
        more = builder.node("Greater", plane, largest)
        before = found or builder.constant(0, np.uint8)
        found = builder.node("Where", more, builder.constant(number, np.uint8), before)
        largest = builder.node("Max", plane, largest)
    return {"class_map": builder.reshape(found, 1, size[1], size[0])}


def scores_in_graph(
    builder: NodeBuilder, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """``ScoresDecoder`` in the graph."""
    _, width = in_graph.shape_of(outputs[0], 2)
    scores = outputs[0].name
    total = builder.times(builder.mean(scores, 1, keep=True), float(width))
    off = builder.node("Abs", builder.plus(total, -1.0))
    # Scores are no probabilities if their sum is not 1 or one is negative.
    least = builder.node("Neg", builder.highest(builder.node("Neg", scores), 1, keep=True))
    bad = builder.node(
        "Or",
        builder.node("Greater", off, builder.constant(_TOLERANCE)),
        builder.node("Less", least, builder.constant(0.0)),
    )
    likely = builder.node("Where", bad, builder.node("Softmax", scores, axis=1), scores)
    best, places = builder.top(likely, min(_TOP, width))
    return {"probabilities": best, "classes": builder.cast(places, "int32")}


KINDS = {
    "logits": Kind("segment", LogitsDecoder, logits_in_graph),
    "class-map": Kind("segment", ClassMapDecoder),
    "scores": Kind("classify", ScoresDecoder, scores_in_graph),
}
