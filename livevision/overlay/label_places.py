"""Places the label of a box: on or beside its box, clear of other texts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from livevision.overlay.room import Rect, Room

_STACKED = 4  # stacked labels of boxes that cover each other


Slot = tuple[bool, int]
"""A label's place by its box: whether the box is roomy, and the number of the place."""


def find_place(
    room: Room,
    box: tuple[int, int, int, int],
    extent: tuple[int, int],
    before: Slot | None = None,
) -> tuple[tuple[int, int], Slot] | None:
    """The most preferred free place of a label; None if there is none by its box.

    Args:
        room: Room of the picture; nothing is reserved in it.
        box: Left, top, right and bottom of the box with its lines.
        extent: (width, height) of the label.
        before: The label's place in the previous frame; kept if possible.

    Returns:
        Left and top of the label, which is wholly inside the picture, and the place.
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
    """The place moved inside the picture; None if it is taken or too far from its box."""
    left = max(0, min(place[0], room.width - extent[0]))
    top = max(0, min(place[1], room.height - extent[1]))
    rect: Rect = (left, top, left + extent[0], top + extent[1])
    if _touches(rect, box, _STACKED * extent[1]) and room.free(rect):
        return left, top
    return None


def _places(
    box: tuple[int, int, int, int], wide: int, high: int, roomy: bool
) -> Iterator[tuple[int, int]]:
    """Left and top of the candidate places, most preferred first."""
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
    """Whether a label is still beside its box after it was moved inside the picture."""
    return (
        rect[0] <= box[2]
        and rect[2] >= box[0]
        and rect[1] <= box[3] + slack
        and rect[3] >= box[1] - slack
    )
