"""The ends of graphs that give boxes: candidates, suppression, and rows as livevision's graphs do.

Everything has a fixed shape, as in ``nets.nms``, so that every engine computes the same and several
frames can be on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from livevision.models.foreign.graph_file import Port
from livevision.models.foreign.parts import Parts

IOU = "iou_threshold"

_FEW, _MANY = 512, 1000
"""At most so many boxes go into suppression, the strongest: of small grids, and of others.

All pairs are looked at, which in a net for phones would cost a tenth of its time with a thousand.
"""

_LARGE_GRID = 5000

MOST = 300
"""Rows that come out."""

_BLOCK = 512  # boxes whose pairs stay in a processor's nearest memory
_ROUNDS = 20  # see nets.nms

Values = Mapping[str, str]
"""Names of the graph's values by the names of livevision's outputs."""


class Unfit(Exception):
    """The outputs cannot be decoded inside the graph: their shapes depend on the picture."""


Inside = Callable[[Parts, Sequence[Port], tuple[int, int], int], Values]
"""Adds the nodes that decode outputs: parts, outputs, (width, height) of the input, classes."""


def shape_of(port: Port, dimensions: int) -> tuple[int, ...]:
    """The shape of an output with so many dimensions.

    Raises:
        Unfit: It has others, or one of them is not fixed.
    """
    shape = port.shape
    if shape is None or len(shape) != dimensions or not all(shape):
        raise Unfit(f"{port} has no fixed shape")
    return tuple(int(n or 0) for n in shape)


def candidates(count: int) -> int:
    """How many of so many boxes go into suppression."""
    return min(_FEW if count < _LARGE_GRID else _MANY, count)


def picked(parts: Parts, scores: str, count: int) -> tuple[str, str]:
    """The strongest candidates of 1×N scores: their scores, 1×M, and their places, M."""
    most = candidates(count)
    best, places = parts.top(scores, most)
    return best, parts.reshape(places, most)


def class_of(parts: Parts, scores: str, axis: int) -> str:
    """The class with the highest score, the first of equals, int64 without the axis."""
    return parts.node("ArgMax", scores, axis=axis, keepdims=0)


def corners(parts: Parts, boxes: str) -> str:
    """Centre and size, 1×M×4, as x1 y1 x2 y2."""
    middle, size = parts.part(boxes, 0, 2, 2), parts.part(boxes, 2, 4, 2)
    half = parts.times(size, 0.5)
    return parts.joined([parts.node("Sub", middle, half), parts.node("Add", middle, half)], 2)


def rows(parts: Parts, boxes: str, scores: str, classes: str, count: int) -> Values:
    """The strongest of 1×M boxes, at most ``MOST``, padded where there are fewer than that.

    Args:
        boxes: 1×M×4, corners in pixels of the input.
        scores: 1×M.
        classes: 1×M, whole numbers of any dtype.
        count: M.
    """
    kept = min(MOST, count)
    scores, places = parts.top(scores, kept)
    places = parts.reshape(places, kept)
    return {
        "boxes": parts.gather(boxes, places, 1),
        "scores": scores,
        "classes": parts.cast(parts.gather(classes, places, 1), "int32"),
    }


def suppressed(parts: Parts, boxes: str, scores: str, classes: str, count: int) -> Values:
    """Rows of the boxes that stay: of two of a class that overlap too much the stronger.

    Args:
        boxes: 1×M×4, corners, strongest first, as ``picked`` gives them.
        scores, classes: 1×M.
        count: How many they were picked from.
    """
    most = candidates(count)
    blocks = -(-most // _BLOCK)
    size = -(-most // blocks)
    kept: list[str] = []
    for start in range(0, most, size):
        stop = min(most, start + size)
        within = _overlaps(parts, boxes, classes, (start, stop), (start, stop))
        better = np.less.outer(np.arange(stop - start), np.arange(stop - start))
        within = parts.cast(
            parts.node("And", within, parts.constant(better[None], bool)), "float32"
        )
        free = ""
        if kept:
            before = parts.cast(
                _overlaps(parts, boxes, classes, (0, start), (start, stop)), "float32"
            )
            free = _few(parts, parts.node("MatMul", parts.joined(kept, 2), before))
        keep = free or parts.constant(np.ones((1, 1, stop - start)))
        for _ in range(_ROUNDS):
            keep = _few(parts, parts.node("MatMul", keep, within))
            keep = parts.times(keep, free) if free else keep
        kept.append(keep)
    keep = parts.reshape(kept[0] if len(kept) == 1 else parts.joined(kept, 2), 1, most)
    # What goes has the score -1.
    gone = parts.plus(keep, -1.0)
    return rows(parts, boxes, parts.plus(parts.times(scores, keep), gone), classes, most)


def _few(parts: Parts, sums: str) -> str:
    """1 where a sum of ones is zero, else 0."""
    return parts.cast(parts.node("Less", sums, parts.constant(0.5)), "float32")


def _overlaps(
    parts: Parts, boxes: str, classes: str, first: tuple[int, int], second: tuple[int, int]
) -> str:
    """Whether pairs are of a class and overlap too much: bool, 1×A×B."""

    def edges(ends: tuple[int, int], column: bool) -> list[str]:
        count = ends[1] - ends[0]
        shape = (1, count, 1) if column else (1, 1, count)
        chosen = parts.part(boxes, *ends, 1)
        four = [parts.reshape(parts.part(chosen, n, n + 1, 2), *shape) for n in range(4)]
        return [*four, parts.reshape(parts.part(classes, *ends, 1), *shape)]

    def length(low: str, high: str) -> str:
        # Some nets give boxes that end before they begin: they have no area, and not one below 0.
        return parts.node("Max", parts.node("Sub", high, low), parts.constant(0.0))

    ax1, ay1, ax2, ay2, a = edges(first, column=True)
    bx1, by1, bx2, by2, b = edges(second, column=False)
    shared = ""
    for a1, a2, b1, b2 in ((ax1, ax2, bx1, bx2), (ay1, ay2, by1, by2)):
        side = length(parts.node("Max", a1, b1), parts.node("Min", a2, b2))
        shared = parts.times(shared, side) if shared else side
    areas = [
        parts.times(length(x1, x2), length(y1, y2))
        for x1, y1, x2, y2 in ((ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2))
    ]
    union = parts.node("Sub", parts.node("Add", *areas), shared)
    # Not divided, so that empty boxes need no care: they overlap nothing.
    beyond = parts.node("Greater", shared, parts.times(union, IOU))
    return parts.node("And", beyond, parts.node("Equal", a, b))
