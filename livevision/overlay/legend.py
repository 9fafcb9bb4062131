"""The legend of a class map: the names of the colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from livevision.frame import Image
from livevision.overlay.placing import place
from livevision.overlay.room import Room
from livevision.overlay.text import TextSize, darken, ink

_APPEARS, _GOES = 0.005, 0.002  # shares of the picture; two thresholds avoid flicker
_SMALLEST_PICTURE = 240  # pixels of the shorter side; below it a legend hides too much


def plan_legend(
    room: Room, shares: NDArray[np.float64], labels: Sequence[str], colours: NDArray[np.uint8]
) -> None:
    """Write the names of the largest classes, up to half the height, where there is room.

    Args:
        room: Room of the picture.
        shares: Share of the picture by class id; 0 for transparent classes.
        labels: Class names.
        colours: N×3, BGR.
    """
    if min(room.width, room.height) < _SMALLEST_PICTURE:
        return
    size = TextSize.for_side(min(room.width, room.height), 0.9)
    before = room.memory.shown.get("legend", frozenset())
    rows = max(1, room.height // 2 // size.line_height - 1)
    largest = np.argsort(-shares, kind="stable")[:rows].tolist()
    seen = [i for i in largest if shares[i] > (_GOES if i in before else _APPEARS)]
    room.memory.shown["legend"] = frozenset(seen)
    if not seen:
        return
    seen.sort()
    swatch = size.line_height * 2 // 3
    names = [size.cut(str(labels[i]), room.width // 2) for i in seen]
    wide, high = size.extent(*names)
    wide += swatch + size.pad
    if wide > room.width or high > room.height:
        return
    _, (left, top, right, bottom) = place(room, "legend", [(wide, high)], corner=(0, 1))

    def draw(image: Image) -> None:
        darken(image, left, top, right - left, bottom - top)
        for row, (class_id, name) in enumerate(zip(seen, names, strict=True)):
            y = top + size.pad // 2 + row * size.line_height
            x, edge = left + size.pad, y + (size.line_height - swatch) // 2
            image[edge : edge + swatch, x : x + swatch] = colours[class_id]
            ink(image, name, x + swatch + size.pad, y, size)

    room.on_top.append(draw)
