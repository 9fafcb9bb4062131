"""NanoDet and NanoDet-Plus: scores of each cell, and distributions of its four distances.

Either one output, 1×N×(C+4·8), or two for each stride in any order: the scores, N×C, and the
distances, N×32. NanoDet has strides 8, 16 and 32 and measures from the cells' centres;
NanoDet-Plus also has stride 64 and measures from their corners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from livevision.models.foreign import in_graph
from livevision.models.foreign.boxes import Boxes, best_classes, nms
from livevision.models.foreign.family import Kind, Recognised, cells
from livevision.models.foreign.graph_file import GraphFile, Port
from livevision.models.foreign.in_graph import InGraphDecoder, NotInGraph, Values
from livevision.models.foreign.node_builder import NodeBuilder
from livevision.models.foreign.yolox import grid

_BINS = 8
_WIDTH = 4 * _BINS
_NAMES = ("data", "input.1", "i", "image")
"""Names of NanoDet's input; YOLOX, with the same number of rows, has "images"."""


def recognise(graph: GraphFile) -> Recognised | None:
    """Recognise NanoDet by one row per cell with scores and distances, or by pairs of outputs."""
    if "names" in graph.metadata or graph.fixed_size is None:
        return None
    known: dict[str, Any] = {
        "colour": "BGR",
        "mean": (103.53, 116.28, 123.675),
        "std": (57.375, 57.12, 58.395),
        "resize": "bilinear",
    }
    plus = Recognised("NanoDet-Plus", {**known, "fit": "stretch", "output": "nanodet-plus"})
    plain = Recognised("NanoDet", {**known, "fit": "letterbox", "fill": 0, "output": "nanodet"})
    pairs = _pairs(graph.outputs)
    if pairs is not None:
        counts = [_rows(scores)[0] for scores, _ in pairs]
        for decoder, found in ((PlusDecoder, plus), (NanoDetDecoder, plain)):
            if counts == [cells(graph.fixed_size, [stride]) for stride in decoder.strides]:
                return found
        return None
    if len(graph.outputs) != 1 or graph.outputs[0].shape is None:
        return None
    if len(graph.outputs[0].shape) != 3:
        return None
    rows, width = _rows(graph.outputs[0])
    if (width or 0) <= _WIDTH:
        return None
    if rows == cells(graph.fixed_size, PlusDecoder.strides):
        return plus
    if rows == cells(graph.fixed_size, NanoDetDecoder.strides) and graph.image.name in _NAMES:
        return plain
    return None


def _rows(port: Port) -> tuple[int | None, int | None]:
    """Rows and columns of an output 1×N×C or N×C; None for dynamic lengths."""
    shape = (None, *(port.shape or ()))
    return shape[-2], shape[-1]


def _pairs(outputs: Sequence[Port]) -> list[tuple[Port, Port]] | None:
    """Scores and distances of each stride, finest first; None if the outputs are no such pairs."""
    if len(outputs) not in (6, 8):
        return None
    if any(p.shape is None or len(p.shape) not in (2, 3) or None in _rows(p) for p in outputs):
        return None
    count = len(outputs) // 2
    wide = [p for p in outputs if _rows(p)[1] == _WIDTH]
    # With 32 classes too, scores come first, or alternate with the distances.
    for scores, distances in (
        ([p for p in outputs if p not in wide], wide),
        (outputs[:count], outputs[count:]),
        (outputs[::2], outputs[1::2]),
    ):
        scores, distances = (
            sorted(ports, key=lambda port: -(_rows(port)[0] or 0)) for ports in (scores, distances)
        )
        rows = [[_rows(port)[0] for port in ports] for ports in (scores, distances)]
        widths = [{_rows(port)[1] for port in ports} for ports in (scores, distances)]
        if len(set(rows[0])) != count or rows[0] != rows[1]:
            continue
        if len(widths[0]) == 1 and widths[1] == {_WIDTH}:
            return list(zip(scores, distances, strict=True))
    return None


class NanoDetDecoder:
    """Decodes NanoDet."""

    strides: ClassVar[tuple[int, ...]] = (8, 16, 32)
    middle: ClassVar[float] = 0.5

    def __init__(self, outputs: Sequence[Port], labels: int | None) -> None:
        self.pairs = _pairs(outputs)
        self._name = outputs[0].name
        if self.pairs is not None:
            self.classes = _rows(self.pairs[0][0])[1]
        else:
            width = _rows(outputs[0])[1]
            self.classes = width - _WIDTH if width else labels

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> Boxes:
        if self.pairs is None:
            found = outputs[self._name][0].astype(np.float32, copy=False)
        else:
            found = np.concatenate(
                [
                    np.concatenate([outputs[p.name].reshape(_rows(p)) for p in ends])
                    for ends in zip(*self.pairs, strict=True)
                ],
                1,
            ).astype(np.float32, copy=False)
        rows, scores, classes = best_classes(found[:, :-_WIDTH], conf)
        points, strides = grid(size, self.strides)
        centres = (points[rows] + self.middle) * strides[rows]
        bins = found[rows, -_WIDTH:].reshape(-1, 4, _BINS)
        powers = np.exp(bins - bins.max(2, keepdims=True))
        shares = powers / powers.sum(2, keepdims=True)
        # The mean of the distribution in pixels: to the left, top, right and bottom.
        distances = shares @ np.arange(_BINS, dtype=np.float32) * strides[rows]
        boxes = np.concatenate((centres - distances[:, :2], centres + distances[:, 2:]), 1)
        return nms(boxes.clip(0, np.array(size * 2)), scores, classes, iou)


class PlusDecoder(NanoDetDecoder):
    """Decodes NanoDet-Plus."""

    strides: ClassVar[tuple[int, ...]] = (8, 16, 32, 64)
    middle: ClassVar[float] = 0.0


def _joined(builder: NodeBuilder, outputs: Sequence[Port]) -> tuple[str, int, int]:
    """One value with all rows, 1×N×(C+32), and its lengths N and C+32.

    Raises:
        NotInGraph: A shape is dynamic.
    """
    pairs = _pairs(outputs)
    if pairs is None:
        _, count, width = in_graph.shape_of(outputs[0], 3)
        return outputs[0].name, count, width
    ends = []
    for ports in zip(*pairs, strict=True):
        shapes = [(1, *(n or 0 for n in _rows(port))) for port in ports]
        rows = [builder.reshape(p.name, *s) for p, s in zip(ports, shapes, strict=True)]
        ends.append(builder.joined(rows, 1))
    count = sum(_rows(scores)[0] or 0 for scores, _ in pairs)
    return builder.joined(ends, 2), count, (_rows(pairs[0][0])[1] or 0) + _WIDTH


def _in_graph(decoder: type[NanoDetDecoder]) -> InGraphDecoder:
    """The decoder in the graph."""

    def decode_in_graph(
        builder: NodeBuilder, outputs: Sequence[Port], size: tuple[int, int], classes: int
    ) -> Values:
        found, count, width = _joined(builder, outputs)
        points, strides = grid(size, decoder.strides)
        if len(points) != count:
            raise NotInGraph(f"{outputs[0]} has not a row for each cell")
        every = builder.part(found, 0, classes, 2)
        scores, places = in_graph.top_candidates(builder, builder.highest(every, 2), count)
        chosen = builder.gather(found, places, 1)
        best = in_graph.class_of(builder, builder.part(chosen, 0, classes, 2), 2)
        bins = builder.reshape(builder.part(chosen, width - _WIDTH, width, 2), 1, -1, 4, _BINS)
        # Not a matrix product: lowering would take it for a layer of the net.
        weighted = builder.times(builder.node("Softmax", bins, axis=3), np.arange(_BINS) * _BINS)
        means = builder.times(
            builder.mean(weighted, 3), builder.gather(builder.constant(strides[None]), places, 1)
        )
        middles = builder.constant(((points + decoder.middle) * strides)[None])
        middle = builder.gather(middles, places, 1)
        boxes = builder.joined(
            [
                builder.node("Sub", middle, builder.part(means, 0, 2, 2)),
                builder.node("Add", middle, builder.part(means, 2, 4, 2)),
            ],
            2,
        )
        boxes = builder.node("Max", boxes, builder.constant(0.0))
        boxes = builder.node("Min", boxes, builder.constant(size * 2))
        return in_graph.nms(builder, boxes, scores, best, count)

    return decode_in_graph


KINDS = {
    name: Kind("detect", decoder, _in_graph(decoder), partial(cells, strides=decoder.strides))
    for name, decoder in (("nanodet", NanoDetDecoder), ("nanodet-plus", PlusDecoder))
}
