"""Places a display at the corner or edge where it hides least, and keeps it there.

What each place hides is averaged over recent frames; a display moves only to a place that has been
clearly emptier for a while, so that it does not follow every box.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from livevision.overlay.room import Rect, Room

_FORGETTING = 0.08  # weight of the newest frame in the averages: memory of about 12 frames
_CLEARLY = 0.05  # an object hidden for a frame, or a tenth of one for a second
_TEXT = 100.0  # cost of hiding a text, in objects
_STEPS = (0.0, 1.0, 0.5, 0.25, 0.75)  # positions along an edge, corners first


def place(
    room: Room, name: str, sizes: Sequence[tuple[int, int]], corner: tuple[int, int] = (0, 0)
) -> tuple[int, Rect]:
    """Find the place of a display and reserve it.

    Args:
        room: Room of the picture; its memory under ``name`` is updated.
        name: Name of the display.
        sizes: (width, height) of each layout, most preferred first; all fit the picture.
        corner: The preferred corner, (0, 0) at the top left .. (1, 1) at the bottom right.

    Returns:
        The number of the layout to draw, and its rectangle.
    """
    anchors = _anchors(corner)
    rects = _rects(room, sizes, anchors)
    hidden = _hidden(room, rects)
    memory = room.memory
    before = memory.costs.get(name)
    chosen = memory.places.get(name)
    if before is None or chosen is None or before.shape != hidden.shape:
        before, chosen = hidden, None
    average = before + _FORGETTING * (hidden - before)
    # A display that covers a text must move at once, regardless of averages.
    costs = average + np.where(_on_text(room, rects), _TEXT, 0)
    best = int((costs + _liking(len(sizes), len(anchors))).argmin())
    if chosen is None or costs[chosen] > costs[best] + _CLEARLY:
        chosen = best
    memory.costs[name], memory.places[name] = average, chosen
    left, top, right, bottom = (int(v) for v in rects[chosen])
    room.take(name, (left, top, right, bottom))
    return chosen // len(anchors), (left, top, right, bottom)


@lru_cache(maxsize=4)
def _anchors(corner: tuple[int, int]) -> NDArray[np.float32]:
    """Candidate places along the edges, N×2, 0..1 of the free room in x and y, preferred first."""
    spots = {(x, y) for x in _STEPS for y in _STEPS if x in (0, 1) or y in (0, 1)}

    def liking(spot: tuple[float, float]) -> tuple[bool, float, float]:
        across, down = abs(spot[0] - corner[0]), abs(spot[1] - corner[1])
        return (spot[0] not in (0, 1) or spot[1] not in (0, 1), down + across, down)

    return np.array(sorted(spots, key=liking), np.float32)


@lru_cache(maxsize=16)
def _liking(forms: int, anchors: int) -> NDArray[np.float32]:
    """Tie-breaker between places that hide the same: preferred place, then preferred layout."""
    ranks = np.arange(anchors)[None] * 0.004 + np.arange(forms)[:, None] * 0.02
    return ranks.astype(np.float32).reshape(-1)


def _rects(
    room: Room, sizes: Sequence[tuple[int, int]], anchors: NDArray[np.float32]
) -> NDArray[np.float32]:
    """All places of all layouts, F·A×4, layout by layout."""
    extents = np.array(sizes, np.float32)[:, None]
    corners = np.rint(anchors * (np.array((room.width, room.height), np.float32) - extents))
    return np.concatenate((corners, corners + extents), 2).reshape(-1, 4)


def _hidden(room: Room, rects: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much each rectangle hides, in objects."""
    area = (rects[:, 2] - rects[:, 0]) * (rects[:, 3] - rects[:, 1])
    cost = np.zeros(len(rects), np.float32)
    if len(room.objects):
        shared = _shared(rects, room.objects)
        sizes = (room.objects[:, 2:] - room.objects[:, :2]).prod(1).clip(1)
        cost += (shared / sizes + 0.3 * shared / area[:, None]).sum(1)
    if room.busy is not None:
        cost += 0.5 * _mean(room, rects)
    return cost


def _on_text(room: Room, rects: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether each rectangle covers part of a text."""
    taken = np.array([rect for _, rect in room.taken], np.float32).reshape(-1, 4)
    return np.asarray((_shared(rects, taken) > 0).any(1))


def _shared(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection area of each pair of rectangles: N×4 and M×4 give N×M."""
    wide = np.minimum(a[:, None, 2], b[:, 2]) - np.maximum(a[:, None, 0], b[:, 0])
    high = np.minimum(a[:, None, 3], b[:, 3]) - np.maximum(a[:, None, 1], b[:, 1])
    shared: NDArray[np.float32] = wide.clip(0) * high.clip(0)
    return shared


def _mean(room: Room, rects: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of the coarse map in each rectangle."""
    assert room.busy is not None
    rows, columns = room.busy.shape
    sums = cv2.integral(room.busy)
    x1, x2 = ((rects[:, i] * columns / room.width).astype(int) for i in (0, 2))
    y1, y2 = ((rects[:, i] * rows / room.height).astype(int) for i in (1, 3))
    x2, y2 = np.maximum(x2, x1 + 1).clip(0, columns), np.maximum(y2, y1 + 1).clip(0, rows)
    x1, y1 = np.minimum(x1, x2 - 1), np.minimum(y1, y2 - 1)
    inside = sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]
    return np.asarray(inside / ((x2 - x1) * (y2 - y1)), np.float32)
