"""NanoDet and NanoDet-Plus: 1×N×(C+4·8), scores and a distribution over each of four distances.

NanoDet has strides 8, 16 and 32 and measures from the cells' middles; NanoDet-Plus has 64 as well
and measures from their corners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from livevision.models.foreign import inside
from livevision.models.foreign.boxes import Boxes, best, suppressed
from livevision.models.foreign.family import Found, Kind, cells, dims
from livevision.models.foreign.graph_file import GraphFile, Port
from livevision.models.foreign.inside import Inside, Unfit, Values
from livevision.models.foreign.parts import Parts
from livevision.models.foreign.yolox import grid

_BINS = 8
_WIDTH = 4 * _BINS


def recognise(graph: GraphFile) -> Found | None:
    """One output with a row for each cell of the grids, wider than the distances are."""
    if len(graph.outputs) != 1 or "names" in graph.metadata:
        return None
    shape = dims(graph.outputs[0], 3)
    if shape is None or graph.fixed_size is None or (shape[2] or 0) <= _WIDTH:
        return None
    known = {"colour": "BGR", "mean": (103.53, 116.28, 123.675), "std": (57.375, 57.12, 58.395)}
    if shape[1] == cells(graph.fixed_size, PlusDecoder.strides):
        return Found("NanoDet-Plus", {**known, "fit": "stretch", "output": "nanodet-plus"})
    # YOLOX has as many rows; NanoDet calls its input "data" or "input.1" and YOLOX "images".
    if shape[1] == cells(graph.fixed_size, NanoDetDecoder.strides) and graph.image.name in (
        "data",
        "input.1",
        "i",
    ):
        return Found("NanoDet", {**known, "fit": "letterbox", "fill": 0, "output": "nanodet"})
    return None


class NanoDetDecoder:
    """Decodes NanoDet."""

    strides: ClassVar[tuple[int, ...]] = (8, 16, 32)
    middle: ClassVar[float] = 0.5

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        self._name = outputs[0].name
        width = (dims(outputs[0], 3) or (None,) * 3)[2]
        self.classes = width - _WIDTH if width else labels

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        found = outputs[self._name][0].astype(np.float32, copy=False)
        rows, scores, classes = best(found[:, :-_WIDTH], conf)
        points, strides = grid(size, self.strides)
        centres = (points[rows] + self.middle) * strides[rows]
        bins = found[rows, -_WIDTH:].reshape(-1, 4, _BINS)
        powers = np.exp(bins - bins.max(2, keepdims=True))
        parts = powers / powers.sum(2, keepdims=True)
        # The mean of the distribution, in strides: to the left, top, right and bottom.
        distances = parts @ np.arange(_BINS, dtype=np.float32) * strides[rows]
        boxes = np.concatenate((centres - distances[:, :2], centres + distances[:, 2:]), 1)
        return suppressed(boxes.clip(0, np.array(size * 2)), scores, classes, iou)


class PlusDecoder(NanoDetDecoder):
    """Decodes NanoDet-Plus."""

    strides: ClassVar[tuple[int, ...]] = (8, 16, 32, 64)
    middle: ClassVar[float] = 0.0


def _inside(decoder: type[NanoDetDecoder]) -> Inside:
    """The same inside of the graph."""

    def decode_inside(
        parts: Parts, outputs: Sequence[Port], size: tuple[int, int], classes: int
    ) -> Values:
        _, count, width = inside.shape_of(outputs[0], 3)
        points, strides = grid(size, decoder.strides)
        if len(points) != count:
            raise Unfit(f"{outputs[0]} has not a row for each cell")
        found = outputs[0].name
        every = parts.part(found, 0, classes, 2)
        scores, places = inside.picked(parts, parts.highest(every, 2), count)
        chosen = parts.gather(found, places, 1)
        best = inside.class_of(parts, parts.part(chosen, 0, classes, 2), 2)
        bins = parts.reshape(parts.part(chosen, width - _WIDTH, width, 2), 1, -1, 4, _BINS)
        # No product of matrices: that would be taken for a layer of the net.
        weighted = parts.times(parts.node("Softmax", bins, axis=3), np.arange(_BINS) * _BINS)
        means = parts.times(
            parts.mean(weighted, 3), parts.gather(parts.constant(strides[None]), places, 1)
        )
        middles = parts.constant(((points + decoder.middle) * strides)[None])
        middle = parts.gather(middles, places, 1)
        boxes = parts.joined(
            [
                parts.node("Sub", middle, parts.part(means, 0, 2, 2)),
                parts.node("Add", middle, parts.part(means, 2, 4, 2)),
            ],
            2,
        )
        boxes = parts.node("Max", boxes, parts.constant(0.0))
        boxes = parts.node("Min", boxes, parts.constant(size * 2))
        return inside.suppressed(parts, boxes, scores, best, count)

    return decode_inside


KINDS = {
    name: Kind("detect", decoder, _inside(decoder), partial(cells, strides=decoder.strides))
    for name, decoder in (("nanodet", NanoDetDecoder), ("nanodet-plus", PlusDecoder))
}
