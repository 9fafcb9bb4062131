"""Segmenters and classifiers: ``logits`` N×C×H×W, ``class-map`` N×H×W or N×1×H×W, ``scores`` N×C.

Neither tells what it takes: BiSeNet, PP-LiteSeg, DeepLab, SegFormer and Fast-SCNN look alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from livevision.models.foreign import inside
from livevision.models.foreign.family import Found, Kind, dims
from livevision.models.foreign.graph_file import GraphFile, Port
from livevision.models.foreign.inside import Values
from livevision.models.foreign.parts import Parts

_TOP = 5
_NOT_ONE = 1e-2
_UNROLLED = 32
"""Classes up to which an arg-max is done channel by channel."""


def recognise(graph: GraphFile) -> Found | None:
    """By the number of dimensions of the first output; nothing is known of the input."""
    first = graph.outputs[0]
    floats = first.dtype.startswith("float")
    shape = first.shape
    if shape is None:
        return None
    if len(shape) == 4 and floats and (shape[1] or 2) > 1:
        return Found("a segmenter", {"output": "logits", "fit": "stretch"})
    if not floats and (len(shape) == 3 or (len(shape) == 4 and shape[1] == 1)):
        return Found("a segmenter", {"output": "class-map", "fit": "stretch"})
    if len(shape) == 2 and floats and len(graph.outputs) == 1:
        return Found("a classifier", {"output": "scores", "fit": "centre-crop"})
    return None


class LogitsDecoder:
    """Takes the class of the highest value at each pixel of the input."""

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
    """Takes the classes as they are, brought to the input's size."""

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
    """Takes the five most likely classes; what does not sum to one goes through a softmax."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        self._name = outputs[0].name
        self.classes = (dims(outputs[0], 2) or (None,) * 2)[1] or labels

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> dict[str, Any]:
        scores = outputs[self._name][0].astype(np.float32)
        if scores.min() < 0 or abs(float(scores.sum()) - 1) > _NOT_ONE:
            powers = np.exp(scores - scores.max())
            scores = powers / powers.sum()
        first = np.argsort(-scores, kind="stable")[:_TOP]
        return {"classes": first[None].astype(np.int32), "probabilities": scores[first][None]}


def logits_inside(
    parts: Parts, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """What ``LogitsDecoder`` does, inside of the graph."""
    _, width, *shape = inside.shape_of(outputs[0], 4)
    logits = outputs[0].name
    if tuple(shape) != (size[1], size[0]):
        sizes = parts.constant((1, width, size[1], size[0]), np.int64)
        logits = parts.node("Resize", logits, "", "", sizes, mode="linear")
    if width > _UNROLLED:
        found = parts.node("ArgMax", logits, axis=1, keepdims=0)
        return {"class_map": parts.cast(found, "uint8")}
    # Channel by channel, since OpenVINO sorts to find an arg-max, and is slow at it.
    largest, found = parts.part(logits, 0, 1, 1), ""
    for number in range(1, width):
        plane = parts.part(logits, number, number + 1, 1)
        more = parts.node("Greater", plane, largest)
        before = found or parts.constant(0, np.uint8)
        found = parts.node("Where", more, parts.constant(number, np.uint8), before)
        largest = parts.node("Max", plane, largest)
    return {"class_map": parts.reshape(found, 1, size[1], size[0])}


def scores_inside(
    parts: Parts, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """What ``ScoresDecoder`` does, inside of the graph."""
    _, width = inside.shape_of(outputs[0], 2)
    scores = outputs[0].name
    total = parts.times(parts.mean(scores, 1, keep=True), float(width))
    off = parts.node("Abs", parts.plus(total, -1.0))
    # Both beyond what they may be where these are no probabilities.
    least = parts.node("Neg", parts.highest(parts.node("Neg", scores), 1, keep=True))
    bad = parts.node(
        "Or",
        parts.node("Greater", off, parts.constant(_NOT_ONE)),
        parts.node("Less", least, parts.constant(0.0)),
    )
    likely = parts.node("Where", bad, parts.node("Softmax", scores, axis=1), scores)
    best, places = parts.top(likely, min(_TOP, width))
    return {"probabilities": best, "classes": parts.cast(places, "int32")}


KINDS = {
    "logits": Kind("segment", LogitsDecoder, logits_inside),
    "class-map": Kind("segment", ClassMapDecoder),
    "scores": Kind("classify", ScoresDecoder, scores_inside),
}
