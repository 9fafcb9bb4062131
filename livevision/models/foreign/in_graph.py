"""Decoding of boxes in the graph: candidates, NMS, and outputs like those of livevision's graphs.

All shapes are fixed, as in ``nets.nms``, so that every engine computes the same and several frames
can be in flight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from livevision.models.foreign.graph_file import Port
from livevision.models.foreign.node_builder import NodeBuilder

IOU = "iou_threshold"

_FEW, _MANY = 512, 1000
"""Maximum number of boxes for NMS: of small grids, and of others.

NMS compares all pairs; with a thousand boxes that would take a tenth of the time of a mobile net.
"""

_LARGE_GRID = 5000

MOST = 300
"""Number of output rows."""

_BLOCK = 512  # boxes whose pairs fit into a processor's cache
_ROUNDS = 20  # see nets.nms

Values = Mapping[str, str]
"""Names of values in the graph, by the names of livevision's outputs."""


class NotInGraph(Exception):
    """The outputs cannot be decoded in the graph, such as when shapes depend on the picture."""


InGraphDecoder = Callable[[NodeBuilder, Sequence[Port], tuple[int, int], int], Values]
"""Adds the nodes of a decoder: builder, outputs, (width, height) of the input, classes."""


def shape_of(port: Port, dimensions: int) -> tuple[int, ...]:
    """The shape of an output with a number of dimensions.

    Raises:
        NotInGraph: It has another number, or a dynamic length.
    """
    shape = port.shape
    if shape is None or len(shape) != dimensions or not all(shape):
        raise NotInGraph(f"{port} has no fixed shape")
    return tuple(int(n or 0) for n in shape)


def candidate_count(count: int) -> int:
    """Number of boxes that NMS takes from ``count`` boxes."""
    return min(_FEW if count < _LARGE_GRID else _MANY, count)


def top_candidates(builder: NodeBuilder, scores: str, count: int) -> tuple[str, str]:
    """The highest of 1×N scores: the scores, 1×M, and their indices, M."""
    most = candidate_count(count)
    best, places = builder.top(scores, most)
    return best, builder.reshape(places, most)


def class_of(builder: NodeBuilder, scores: str, axis: int) -> str:
    """The class with the highest score, int64, without the axis; of equal scores the first."""
    return builder.node("ArgMax", scores, axis=axis, keepdims=0)


def corners(builder: NodeBuilder, boxes: str) -> str:
    """Centre and size, 1×M×4, as x1 y1 x2 y2."""
    middle, size = builder.part(boxes, 0, 2, 2), builder.part(boxes, 2, 4, 2)
    half = builder.times(size, 0.5)
    return builder.joined([builder.node("Sub", middle, half), builder.node("Add", middle, half)], 2)


def rows(builder: NodeBuilder, boxes: str, scores: str, classes: str, count: int) -> Values:
    """The boxes with the highest scores, at most ``MOST``, sorted.

    Args:
        boxes: 1×M×4, corners in pixels of the input.
        scores: 1×M.
        classes: 1×M, integers of any dtype.
        count: M.
    """
    kept = min(MOST, count)
    scores, places = builder.top(scores, kept)
    places = builder.reshape(places, kept)
    return {
        "boxes": builder.gather(boxes, places, 1),
        "scores": scores,
        "classes": builder.cast(builder.gather(classes, places, 1), "int32"),
    }


def nms(builder: NodeBuilder, boxes: str, scores: str, classes: str, count: int) -> Values:
    """NMS by class: of two boxes that overlap too much the higher score stays.

    Args:
        boxes: 1×M×4, corners, highest scores first, as from ``top_candidates``.
        scores, classes: 1×M.
        count: Number of boxes that they were chosen from.
    """
    most = candidate_count(count)
    blocks = -(-most // _BLOCK)
    size = -(-most // blocks)
    kept: list[str] = []
    for start in range(0, most, size):
        stop = min(most, start + size)
        within = _overlaps(builder, boxes, classes, (start, stop), (start, stop))
        better = np.less.outer(np.arange(stop - start), np.arange(stop - start))
        within = builder.cast(
            builder.node("And", within, builder.constant(better[None], bool)), "float32"
        )
        free = ""
        if kept:
            before = builder.cast(
                _overlaps(builder, boxes, classes, (0, start), (start, stop)), "float32"
            )
            free = _few(builder, builder.node("MatMul", builder.joined(kept, 2), before))
        keep = free or builder.constant(np.ones((1, 1, stop - start)))
        for _ in range(_ROUNDS):
            keep = _few(builder, builder.node("MatMul", keep, within))
            keep = builder.times(keep, free) if free else keep
        kept.append(keep)
    keep = builder.reshape(kept[0] if len(kept) == 1 else builder.joined(kept, 2), 1, most)
    # Suppressed boxes get the score -1.
    penalty = builder.plus(keep, -1.0)
    return rows(builder, boxes, builder.plus(builder.times(scores, keep), penalty), classes, most)


def _few(builder: NodeBuilder, sums: str) -> str:
    """1 where a sum of ones is zero, otherwise 0."""
    return builder.cast(builder.node("Less", sums, builder.constant(0.5)), "float32")


def _overlaps(
    builder: NodeBuilder, boxes: str, classes: str, first: tuple[int, int], second: tuple[int, int]
) -> str:
    """Whether pairs have the same class and overlap too much: bool, 1×A×B."""

    def edges(ends: tuple[int, int], column: bool) -> list[str]:
        count = ends[1] - ends[0]
        shape = (1, count, 1) if column else (1, 1, count)
        chosen = builder.part(boxes, *ends, 1)
        four = [builder.reshape(builder.part(chosen, n, n + 1, 2), *shape) for n in range(4)]
        return [*four, builder.reshape(builder.part(classes, *ends, 1), *shape)]

    def length(low: str, high: str) -> str:
        # Some nets output boxes with negative sides; their area must be 0, not positive.
        return builder.node("Max", builder.node("Sub", high, low), builder.constant(0.0))

    ax1, ay1, ax2, ay2, a = edges(first, column=True)
    bx1, by1, bx2, by2, b = edges(second, column=False)
    shared = ""
    for a1, a2, b1, b2 in ((ax1, ax2, bx1, bx2), (ay1, ay2, by1, by2)):
        side = length(builder.node("Max", a1, b1), builder.node("Min", a2, b2))
        shared = builder.times(shared, side) if shared else side
    areas = [
        builder.times(length(x1, x2), length(y1, y2))
        for x1, y1, x2, y2 in ((ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2))
    ]
    union = builder.node("Sub", builder.node("Add", *areas), shared)
    # Multiplied instead of divided, so that empty boxes need no special case.
    beyond = builder.node("Greater", shared, builder.times(union, IOU))
    return builder.node("And", beyond, builder.node("Equal", a, b))
