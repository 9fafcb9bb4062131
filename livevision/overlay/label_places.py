"""Where the label of a box stands: on its box, or by it, clear of every other text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from livevision.overlay.room import Rect, Room

_STACKED = 4  # labels one above the other on boxes that lie on each other


Slot = tuple[bool, int]
"""Which of the places by its box a label has: whether the box is roomy, and the place's number."""


def find_place(
    room: Room,
    box: tuple[int, int, int, int],
    extent: tuple[int, int],
    before: Slot | None = None,
) -> tuple[tuple[int, int], Slot] | None:
    """The best liked free place of a label; None where there is none by its box.

    Args:
        room: Of the picture; nothing is taken in it.
        box: Left, top, right and bottom of the box with its lines.
        extent: (width, height) of the label.
        before: Where the label of this box stood in the frame before; it stays if it can.

    Returns:
        Left and top of the label, which then lies wholly in the picture, and which place that is.
    """
    wide, high = extent
    if wide > room.width or high > room.height:
        return None
    roomy = box[3] - box[1] >= 3 * high
    if before is not None and before[0] == roomy:
        kept = next(islice(_places(box, wide, high, roomy), before[1], None), None)
        spot = None if kept is None else _free(room, box, extent, kept)
        if spot is not None:
            return spot, before
    tried = set()
    for number, place in enumerate(_places(box, wide, high, roomy)):
        if place not in tried:
            tried.add(place)
            spot = _free(room, box, extent, place)
            if spot is not None:
                return spot, (roomy, number)
    return None


def _free(
    room: Room, box: tuple[int, int, int, int], extent: tuple[int, int], place: tuple[int, int]
) -> tuple[int, int] | None:
    """The place moved into the picture; None where something else is or its box is far."""
    left = max(0, min(place[0], room.width - extent[0]))
    top = max(0, min(place[1], room.height - extent[1]))
    rect: Rect = (left, top, left + extent[0], top + extent[1])
    if _touches(rect, box, _STACKED * extent[1]) and room.free(rect):
        return left, top
    return None


def _places(
    box: tuple[int, int, int, int], wide: int, high: int, roomy: bool
) -> Iterator[tuple[int, int]]:
    """Left and top of the places for a label, the best liked first."""
    x1, y1, x2, y2 = box
    above, below, flush_right = y1 - high, y2, x2 - wide
    yield x1, above
    if roomy:
        yield x1, y1
    yield flush_right, above
    yield x1, below
    yield flush_right, below
    if roomy:
        yield flush_right, y1
        yield x1, y2 - high
        yield flush_right, y2 - high
    else:
        yield x2, y1
        yield x1 - wide, y1
    for part in (1, 2, 3):
        along = x1 + part * (x2 - x1 - wide) // 4
        yield along, above
        yield along, below
    for step in range(1, _STACKED):
        yield x1, above - step * high
        yield x1, below + step * high
    for step in range(1, min(8, (y2 - y1) // high)):
        yield x1, y1 + step * high
    yield x1, y1


def _touches(rect: Rect, box: tuple[int, int, int, int], slack: int) -> bool:
    """Whether a label is still by its box after it was moved into the picture."""
    return (
        rect[0] <= box[2]
        and rect[2] >= box[0]
        and rect[1] <= box[3] + slack
        and rect[3] >= box[1] - slack
    )
