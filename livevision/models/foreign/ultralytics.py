"""YOLOv5 to YOLO26 as Ultralytics exports them, told by metadata, or by their shapes.

Three kinds: ``yolo`` 1×(4+C)×N, centre, size and the classes' scores; ``yolo-objectness``
1×N×(5+C), with an objectness as the fifth; ``yolo-end-to-end`` 1×300×6, corners, score and class.
All in pixels of the input. What follows the classes, as of masks or key points, is left alone.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from livevision.errors import ModelError
from livevision.models.foreign import inside
from livevision.models.foreign.boxes import FLOOR, Boxes, best, corners, packed, suppressed
from livevision.models.foreign.family import UNIT, Found, Kind, cells, dims
from livevision.models.foreign.graph_file import GraphFile, Port
from livevision.models.foreign.inside import Values
from livevision.models.foreign.parts import Parts

_STRIDES = (8, 16, 32)
_TASKS = {"detect", "segment", "pose"}


def recognise(graph: GraphFile) -> Found | None:
    """By the metadata that Ultralytics writes; without, by a column or row for each cell."""
    names = _names(graph.metadata.get("names", ""))
    task = graph.metadata.get("task", "detect")
    known: dict[str, Any] = {"colour": "RGB", "fill": 114, "resize": "bilinear", **UNIT}
    if names:
        known["labels"] = names
        known["input_size"] = _size(graph.metadata.get("imgsz", ""))
        if task == "classify" and dims(graph.outputs[0], 2):
            return Found(
                "a classifier of Ultralytics'",
                {
                    **known,
                    "output": "scores",
                    "fit": "centre-square",
                    "resize": "antialiased",
                },
            )
        if task == "semantic":
            kind = "logits" if "float" in graph.outputs[0].dtype else "class-map"
            return Found(
                "a segmenter of Ultralytics'", {**known, "output": kind, "fit": "letterbox"}
            )
        if task not in _TASKS:
            raise ModelError(
                f"{str(graph.path)!r} is a model of Ultralytics' for the task {task!r}; livevision "
                f"reads detect, segment, pose (boxes alone), semantic and classify"
            )
    if names and _is_rtdetr(graph, len(names)):
        rows = "end-to-end" if (dims(graph.outputs[0], 3) or (0,) * 3)[2] == 6 else "rows"
        return Found(
            "RT-DETR of Ultralytics'", {**known, "output": f"detr-{rows}", "fit": "stretch"}
        )
    known["fit"] = "letterbox"
    kind_of = _kind(graph, len(names))
    if graph.path.suffix == ".tflite" and kind_of is not None:
        # TensorFlow's exports give boxes in parts of the image.
        kind_of = "yolo-parts" if kind_of == "yolo" else None
    return Found("a YOLO of Ultralytics'", {**known, "output": kind_of}) if kind_of else None


def _is_rtdetr(graph: GraphFile, labels: int) -> bool:
    """Whether it is RT-DETR: newer files tell the head, older ones have the classes' scores."""
    shape = dims(graph.outputs[0], 3)
    if shape is None or len(graph.outputs) != 1:
        return False
    told = graph.metadata.get("head", "") == "RTDETRDecoder"
    told = told or "rtdetr" in graph.metadata.get("description", "").lower().replace("-", "")
    return told or (shape[1] == 300 and shape[2] == 4 + labels != 6)


def _kind(graph: GraphFile, labels: int) -> str | None:
    shape = dims(graph.outputs[0], 3)
    if shape is None:
        return None
    told = bool(labels)
    if not told and len(graph.outputs) != 1:
        return None
    middle, last = shape[1:]
    if last is not None and (last == 6 or told) and middle == 300 and last >= 6:
        return "yolo-end-to-end"
    if told:
        # Some tell neither; the rows of the older kind are as wide as the labels ask for.
        return "yolo-objectness" if last is not None and last == labels + 5 else "yolo"
    if graph.fixed_size is None or middle is None or last is None:
        return None
    count = cells(graph.fixed_size, _STRIDES)
    if last == count and middle >= 5:
        return "yolo"
    return "yolo-objectness" if middle == 3 * count and last >= 6 else None


class YoloDecoder:
    """Decodes 1×(4+C)×N."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        self.name = outputs[0].name
        rows = (dims(outputs[0], 3) or (None,) * 3)[1]
        extra = len(outputs) > 1  # of masks; how wide it is the labels tell
        self.classes = labels if extra or not rows else rows - 4
        if labels is not None and rows and labels < rows - 4 and (rows - 4 - labels) % 3 == 0:
            self.classes = labels  # key points of three numbers each

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        found = outputs[self.name][0].astype(np.float32, copy=False).T
        end = None if self.classes is None else 4 + self.classes
        rows, scores, classes = best(found[:, 4:end], conf)
        return suppressed(corners(found[rows, :4]), scores, classes, iou)


class PartsDecoder(YoloDecoder):
    """Decodes the same where boxes are in parts of the input."""

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        found = np.array(outputs[self.name], np.float32)
        found[:, :4] *= np.array(size * 2, np.float32)[:, None]
        return super().__call__({self.name: found}, size, conf, iou)


class ObjectnessDecoder:
    """Decodes 1×N×(5+C)."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        self._name = outputs[0].name
        width = (dims(outputs[0], 3) or (None,) * 3)[2]
        self.classes = labels if len(outputs) > 1 or not width else width - 5

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        found = outputs[self._name][0].astype(np.float32, copy=False)
        end = None if self.classes is None else 5 + self.classes
        rows, scores, classes = best(found[:, 4:5] * found[:, 5:end], conf)
        return suppressed(corners(found[rows, :4]), scores, classes, iou)


class EndToEndDecoder:
    """Decodes 1×300×6, in which nothing overlaps any more."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        self._name = outputs[0].name
        self.classes = labels

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        found = outputs[self._name][0].astype(np.float32, copy=False)
        found = found[found[:, 4] >= max(conf, FLOOR)]
        return packed(found[:, :4], found[:, 4], found[:, 5])


def yolo_inside(
    parts: Parts, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """What ``YoloDecoder`` does, inside of the graph."""
    _, _, count = inside.shape_of(outputs[0], 3)
    found = outputs[0].name
    every = parts.part(found, 4, 4 + classes, 1)
    scores, places = inside.picked(parts, parts.highest(every, 1), count)
    best = inside.class_of(parts, parts.gather(every, places, 2), 1)
    boxes = parts.gather(parts.part(found, 0, 4, 1), places, 2)
    boxes = inside.corners(parts, parts.node("Transpose", boxes, perm=[0, 2, 1]))
    return inside.suppressed(parts, boxes, scores, best, count)


def objectness_inside(
    parts: Parts, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """What ``ObjectnessDecoder`` does, inside of the graph."""
    _, count, _ = inside.shape_of(outputs[0], 3)
    found = outputs[0].name
    every = parts.part(found, 5, 5 + classes, 2)
    objectness = parts.reshape(parts.part(found, 4, 5, 2), 1, count)
    scores, places = inside.picked(parts, parts.times(parts.highest(every, 2), objectness), count)
    chosen = parts.gather(found, places, 1)
    best = inside.class_of(parts, parts.part(chosen, 5, 5 + classes, 2), 2)
    boxes = inside.corners(parts, parts.part(chosen, 0, 4, 2))
    return inside.suppressed(parts, boxes, scores, best, count)


def end_to_end_inside(
    parts: Parts, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """What ``EndToEndDecoder`` does, inside of the graph."""
    _, count, _ = inside.shape_of(outputs[0], 3)
    found = outputs[0].name
    scores, numbers = (parts.reshape(parts.part(found, n, n + 1, 2), 1, count) for n in (4, 5))
    return inside.rows(parts, parts.part(found, 0, 4, 2), scores, numbers, count)


def _names(text: str) -> list[str]:
    """Names by number, from the text of a Python dict or list; [] where it is none."""
    try:
        told = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    if isinstance(told, dict):
        if sorted(told) != list(range(len(told))):
            return []
        told = [told[number] for number in range(len(told))]
    return [str(name) for name in told] if isinstance(told, list | tuple) else []


def _size(text: str) -> tuple[int, int] | None:
    """(width, height) from the text of [height, width] or one side."""
    try:
        told = ast.literal_eval(text)
        sides = [told, told] if isinstance(told, int) else [int(side) for side in told]
    except (ValueError, SyntaxError, TypeError):
        return None
    return (sides[1], sides[0]) if len(sides) == 2 and min(sides) > 0 else None


KINDS = {
    "yolo": Kind("detect", YoloDecoder, yolo_inside, anchored=True),
    "yolo-parts": Kind("detect", PartsDecoder),
    "yolo-objectness": Kind("detect", ObjectnessDecoder, objectness_inside),
    "yolo-end-to-end": Kind("detect", EndToEndDecoder, end_to_end_inside, anchored=True),
}
