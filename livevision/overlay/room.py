"""The layout of one picture: where objects and texts are, so that texts avoid both.

Rectangles are (left, top, right, bottom) in pixels, the last two exclusive.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livevision.frame import Image

Rect = tuple[int, int, int, int]
"""Left, top, right, bottom; right and bottom are exclusive."""


@dataclass(slots=True)
class Memory:
    """Layout of a source's previous pictures, so that displays and labels do not jump.

    Attributes:
        size: (width, height) of the pictures; another size starts anew.
        costs: By display, the average of what each of its places hides.
        places: By display, the number of its place.
        shown: By display, what it names.
        boxes: N×4, the boxes of the previous picture.
        slots: The place of the label of each of them; None for none.
        kept: By drawing style, its state.
    """

    size: tuple[int, int] = (0, 0)
    costs: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    shown: dict[str, frozenset[int]] = field(default_factory=dict)
    boxes: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 4), np.int64))
    slots: list[tuple[bool, int] | None] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)

    def slots_of(self, boxes: NDArray[np.int64]) -> list[tuple[bool, int] | None]:
        """The previous label place of each of N×4 boxes, if it had one.

        A box is matched with the previous box that overlaps it most, by at least half.
        """
        if not len(self.boxes) or not len(boxes):
            return [None] * len(boxes)
        a, b = boxes[:, None].astype(np.float32), self.boxes.astype(np.float32)
        wide = np.minimum(a[..., 2], b[:, 2]) - np.maximum(a[..., 0], b[:, 0])
        high = np.minimum(a[..., 3], b[:, 3]) - np.maximum(a[..., 1], b[:, 1])
        shared = wide.clip(0) * high.clip(0)
        areas = [(x[..., 2] - x[..., 0]) * (x[..., 3] - x[..., 1]) for x in (a, b)]
        overlap = shared / (areas[0] + areas[1] - shared).clip(1)
        best = overlap.argmax(1).tolist()
        return [self.slots[j] if overlap[i, j] >= 0.5 else None for i, j in enumerate(best)]


class Room:
    """The objects and texts on one picture.

    Args:
        image: The picture: uint8, H×W×3; only its size matters.
        memory: Memory of the source; None for a single picture.

    Attributes:
        objects: float32, N×4, rectangles that should stay visible.
        busy: uint8, coarse map of the picture, 0 where it is empty, else 1; None if unknown.
        on_top: Functions that draw the texts above everything else.
        taken: The rectangles of texts, each with the name of its owner.
    """

    def __init__(self, image: Image, memory: Memory | None = None) -> None:
        self.height: int = image.shape[0]
        self.width: int = image.shape[1]
        self.memory = Memory() if memory is None else memory
        if self.memory.size != (self.width, self.height):
            self.memory.size = (self.width, self.height)
            for kept in (self.memory.costs, self.memory.places, self.memory.shown):
                kept.clear()
            self.memory.kept.clear()
            self.memory.boxes, self.memory.slots = np.empty((0, 4), np.int64), []
        self.objects: NDArray[np.float32] = np.empty((0, 4), np.float32)
        self.busy: NDArray[np.uint8] | None = None
        self.on_top: list[Callable[[Image], None]] = []
        self.taken: list[tuple[str, Rect]] = []
        # By band of rows, so that few rectangles have to be compared.
        self._bands: defaultdict[int, list[Rect]] = defaultdict(list)
        self._band = max(16, self.height // 24)

    def rects(self, name: str) -> list[Rect]:
        """The rectangles of an owner: "hud", "legend", "labels" or "box label"."""
        return [rect for taken, rect in self.taken if taken == name]

    def draw(self, image: Image, steps: Sequence[Callable[[Image], None]]) -> None:
        """Run the planned drawing steps, then draw the texts on top."""
        for step in (*steps, *self.on_top):
            step(image)

    def free(self, rect: Rect) -> bool:
        """Whether no text overlaps a rectangle."""
        left, top, right, bottom = rect
        for band in self._bands_of(rect):
            for x1, y1, x2, y2 in self._bands.get(band, ()):
                if x1 < right and x2 > left and y1 < bottom and y2 > top:
                    return False
        return True

    def take(self, name: str, rect: Rect) -> None:
        """Reserve a rectangle for a text."""
        self.taken.append((name, rect))
        for band in self._bands_of(rect):
            self._bands[band].append(rect)

    def _bands_of(self, rect: Rect) -> range:
        return range(rect[1] // self._band, (rect[3] - 1) // self._band + 1)
