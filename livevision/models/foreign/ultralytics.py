"""YOLOv5 to YOLO26 as Ultralytics exports them, recognised by metadata or shapes.

Three kinds: ``yolo`` 1×(4+C)×N, centre, size and scores; ``yolo-objectness`` 1×N×(5+C), with the
objectness as the fifth value; ``yolo-end-to-end`` 1×300×6, corners, score and class. Boxes are in
pixels of the input. Values after the classes, of masks or key points, are ignored.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from livevision.errors import ModelError
from livevision.models.foreign import in_graph
from livevision.models.foreign.boxes import FLOOR, Boxes, best_classes, corners, nms, packed
from livevision.models.foreign.family import UNIT, Kind, Recognised, cells, dims
from livevision.models.foreign.graph_file import GraphFile, Port
from livevision.models.foreign.in_graph import Values
from livevision.models.foreign.node_builder import NodeBuilder

_STRIDES = (8, 16, 32)
_TASKS = {"detect", "segment", "pose"}


def recognise(graph: GraphFile) -> Recognised | None:
    """Recognise them by Ultralytics' metadata, or else by one column or row per cell."""
    names = _names(graph.metadata.get("names", ""))
    task = graph.metadata.get("task", "detect")
    known: dict[str, Any] = {"colour": "RGB", "fill": 114, "resize": "bilinear", **UNIT}
    if names:
        known["labels"] = names
        known["input_size"] = _size(graph.metadata.get("imgsz", ""))
        if task == "classify" and dims(graph.outputs[0], 2):
            return Recognised(
                "an Ultralytics classifier",
                {
                    **known,
                    "output": "scores",
                    "fit": "centre-square",
                    "resize": "antialiased",
                },
            )
        if task == "semantic":
            kind = "logits" if "float" in graph.outputs[0].dtype else "class-map"
            return Recognised(
                "an Ultralytics segmenter", {**known, "output": kind, "fit": "letterbox"}
            )
        if task not in _TASKS:
            raise ModelError(
                f"{str(graph.path)!r} is an Ultralytics model for the task {task!r}; livevision "
                f"reads detect, segment and pose (boxes only), semantic and classify"
            )
    if names and _is_rtdetr(graph, len(names)):
        rows = "end-to-end" if (dims(graph.outputs[0], 3) or (0,) * 3)[2] == 6 else "rows"
        return Recognised(
            "Ultralytics' RT-DETR", {**known, "output": f"detr-{rows}", "fit": "stretch"}
        )
    known["fit"] = "letterbox"
    kind_of = _kind(graph, len(names))
    if graph.path.suffix == ".tflite" and kind_of is not None:
        # TensorFlow's exports have boxes as fractions of the image.
        kind_of = "yolo-parts" if kind_of == "yolo" else None
    return Recognised("an Ultralytics YOLO", {**known, "output": kind_of}) if kind_of else None


def _is_rtdetr(graph: GraphFile, labels: int) -> bool:
    """Whether it is RT-DETR: by the head in newer metadata, otherwise by its shape."""
    shape = dims(graph.outputs[0], 3)
    if shape is None or len(graph.outputs) != 1:
        return False
    named = graph.metadata.get("head", "") == "RTDETRDecoder"
    named = named or "rtdetr" in graph.metadata.get("description", "").lower().replace("-", "")
    return named or (shape[1] == 300 and shape[2] == 4 + labels != 6)


def _kind(graph: GraphFile, labels: int) -> str | None:
    shape = dims(graph.outputs[0], 3)
    if shape is None:
        return None
    known = bool(labels)
    if not known and len(graph.outputs) != 1:
        return None
    middle, last = shape[1:]
    if last is not None and (last == 6 or known) and middle == 300 and last >= 6:
        return "yolo-end-to-end"
    if known:
        # Metadata do not name the kind; rows of the older kind have one value more than labels + 4.
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
        extra = len(outputs) > 1  # masks follow the classes, so only the labels give their number
        self.classes = labels if extra or not rows else rows - 4
        if labels is not None and rows and labels < rows - 4 and (rows - 4 - labels) % 3 == 0:
            self.classes = labels  # key points of three numbers each

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        found = outputs[self.name][0].astype(np.float32, copy=False).T
        end = None if self.classes is None else 4 + self.classes
        rows, scores, classes = best_classes(found[:, 4:end], conf)
        return nms(corners(found[rows, :4]), scores, classes, iou)


class FractionsDecoder(YoloDecoder):
    """Decodes 1×(4+C)×N with boxes as fractions of the input."""

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
        rows, scores, classes = best_classes(found[:, 4:5] * found[:, 5:end], conf)
        return nms(corners(found[rows, :4]), scores, classes, iou)


class EndToEndDecoder:
    """Decodes 1×300×6; NMS is not needed."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        self._name = outputs[0].name
        self.classes = labels

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        found = outputs[self._name][0].astype(np.float32, copy=False)
        found = found[found[:, 4] >= max(conf, FLOOR)]
        return packed(found[:, :4], found[:, 4], found[:, 5])


def yolo_in_graph(
    builder: NodeBuilder, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """``YoloDecoder`` in the graph."""
    _, _, count = in_graph.shape_of(outputs[0], 3)
    found = outputs[0].name
    every = builder.part(found, 4, 4 + classes, 1)
    scores, places = in_graph.top_candidates(builder, builder.highest(every, 1), count)
    best = in_graph.class_of(builder, builder.gather(every, places, 2), 1)
    boxes = builder.gather(builder.part(found, 0, 4, 1), places, 2)
    boxes = in_graph.corners(builder, builder.node("Transpose", boxes, perm=[0, 2, 1]))
    return in_graph.nms(builder, boxes, scores, best, count)


def objectness_in_graph(
    builder: NodeBuilder, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """``ObjectnessDecoder`` in the graph."""
    _, count, _ = in_graph.shape_of(outputs[0], 3)
    found = outputs[0].name
    every = builder.part(found, 5, 5 + classes, 2)
    objectness = builder.reshape(builder.part(found, 4, 5, 2), 1, count)
    scores, places = in_graph.top_candidates(
        builder, builder.times(builder.highest(every, 2), objectness), count
    )
    chosen = builder.gather(found, places, 1)
    best = in_graph.class_of(builder, builder.part(chosen, 5, 5 + classes, 2), 2)
    boxes = in_graph.corners(builder, builder.part(chosen, 0, 4, 2))
    return in_graph.nms(builder, boxes, scores, best, count)


def end_to_end_in_graph(
    builder: NodeBuilder, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """``EndToEndDecoder`` in the graph."""
    _, count, _ = in_graph.shape_of(outputs[0], 3)
    found = outputs[0].name
    scores, numbers = (builder.reshape(builder.part(found, n, n + 1, 2), 1, count) for n in (4, 5))
    return in_graph.rows(builder, builder.part(found, 0, 4, 2), scores, numbers, count)


def _names(text: str) -> list[str]:
    """Names by number from the text of a Python dict or list; [] if it is neither."""
    try:
        names = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    if isinstance(names, dict):
        if sorted(names) != list(range(len(names))):
            return []
        names = [names[number] for number in range(len(names))]
    return [str(name) for name in names] if isinstance(names, list | tuple) else []


def _size(text: str) -> tuple[int, int] | None:
    """(width, height) from the text of [height, width] or one side."""
    try:
        value = ast.literal_eval(text)
        sides = [value, value] if isinstance(value, int) else [int(side) for side in value]
    except (ValueError, SyntaxError, TypeError):
        return None
    return (sides[1], sides[0]) if len(sides) == 2 and min(sides) > 0 else None


KINDS = {
    "yolo": Kind("detect", YoloDecoder, yolo_in_graph, anchored=True),
    "yolo-parts": Kind("detect", FractionsDecoder),
    "yolo-objectness": Kind("detect", ObjectnessDecoder, objectness_in_graph),
    "yolo-end-to-end": Kind("detect", EndToEndDecoder, end_to_end_in_graph, anchored=True),
}
