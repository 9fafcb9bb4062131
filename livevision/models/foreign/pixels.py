"""YOLO-NAS, and YOLOs exported with NMS: boxes as corners in pixels of the input.

``boxes-scores`` outputs boxes 1×N×4 and scores 1×N×C, one row per cell of the grids.
``boxes-counted`` outputs final boxes: their number 1×1, boxes 1×N×4, scores and classes 1×N.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from livevision.models.foreign import in_graph
from livevision.models.foreign.boxes import FLOOR, Boxes, best_classes, nms, packed
from livevision.models.foreign.family import UNIT, Kind, Recognised, cells, dims
from livevision.models.foreign.graph_file import GraphFile, Port
from livevision.models.foreign.in_graph import Values
from livevision.models.foreign.node_builder import NodeBuilder

_STRIDES = (8, 16, 32)


def recognise(graph: GraphFile) -> Recognised | None:
    """Recognise them by shapes and dtypes, since names differ by exporter."""
    known: dict[str, Any] = {
        **{"colour": "RGB", "fit": "letterbox", "fill": 114, "resize": "bilinear"},
        **UNIT,
    }
    if _counted(graph.outputs) is not None:
        return Recognised("a YOLO with NMS", {**known, "output": "boxes-counted"})
    pair = _pair(graph.outputs)
    if pair is None or graph.fixed_size is None:
        return None
    if (dims(pair[0], 3) or (None, None))[1] != cells(graph.fixed_size, _STRIDES):
        return None
    return Recognised("YOLO-NAS", {**known, "output": "boxes-scores"})


def _pair(outputs: Sequence[Port]) -> tuple[Port, Port] | None:
    """Boxes 1×N×4 and scores 1×N×C; None if the outputs are not exactly these."""
    boxes = [p for p in outputs if (s := dims(p, 3)) and s[2] == 4]
    others = [p for p in outputs if dims(p, 3) and p not in boxes]
    if (len(outputs), len(boxes), len(others)) != (2, 1, 1):
        return None
    same = (dims(boxes[0], 3) or (0,))[1] == (dims(others[0], 3) or (1,))[1]
    return (boxes[0], others[0]) if same else None


def _counted(outputs: Sequence[Port]) -> tuple[Port, Port, Port, Port] | None:
    """Count, boxes, scores and classes; None if the outputs are not exactly these."""
    boxes = [p for p in outputs if (s := dims(p, 3)) and s[2] == 4]
    flat = [p for p in outputs if dims(p, 2)]
    scores = [p for p in flat if p.dtype.startswith("float")]
    whole = [p for p in flat if p.dtype.startswith("int")]
    counts = [p for p in whole if (dims(p, 2) or (0, 0))[1] == 1]
    classes = [p for p in whole if p not in counts]
    if len(outputs) != 4 or [len(x) for x in (boxes, scores, counts, classes)] != [1] * 4:
        return None
    return counts[0], boxes[0], scores[0], classes[0]


class BoxesScoresDecoder:
    """Decodes boxes and the scores of all classes."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        pair = _pair(outputs)
        if pair is None:
            raise IndexError("no boxes and scores")
        self.boxes, self.scores = pair
        self.classes = (dims(self.scores, 3) or (None,) * 3)[2] or labels

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        boxes = outputs[self.boxes.name][0].astype(np.float32, copy=False)
        scores = outputs[self.scores.name][0].astype(np.float32, copy=False)
        rows, highest, classes = best_classes(scores, conf)
        return nms(boxes[rows], highest, classes, iou)


class CountedDecoder:
    """Decodes final boxes."""

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        found = _counted(outputs)
        if found is None:
            raise IndexError("no final boxes")
        self.ports = found
        self.classes = labels

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        counted, *rest = (np.asarray(outputs[port.name])[0] for port in self.ports)
        boxes, scores, classes = (values[: int(counted[0])] for values in rest)
        kept = scores >= max(conf, FLOOR)
        return packed(boxes[kept], scores[kept], classes[kept])


def boxes_scores_in_graph(
    builder: NodeBuilder, outputs: Sequence[Port], size: tuple[int, int], classes: int
) -> Values:
    """``BoxesScoresDecoder`` in the graph."""
    decoder = BoxesScoresDecoder(outputs, classes)
    _, count, _ = in_graph.shape_of(decoder.scores, 3)
    every = decoder.scores.name
    scores, places = in_graph.top_candidates(builder, builder.highest(every, 2), count)
    numbers = in_graph.class_of(builder, builder.gather(every, places, 1), 2)
    boxes = builder.gather(decoder.boxes.name, places, 1)
    return in_graph.nms(builder, boxes, scores, numbers, count)


KINDS = {
    "boxes-scores": Kind("detect", BoxesScoresDecoder, boxes_scores_in_graph),
    "boxes-counted": Kind("detect", CountedDecoder),
}
