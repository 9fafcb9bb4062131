"""Draws a scene: its lines, zones and ignored regions, with their counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from livevision.config.scene.values import Points, in_pixels
from livevision.frame import Image
from livevision.overlay.boxes import line_width
from livevision.overlay.label_places import Slot, find_place
from livevision.overlay.palette import Colour
from livevision.overlay.room import Room
from livevision.overlay.text import TextSize, tag

if TYPE_CHECKING:
    from livevision.config.scene import Line
    from livevision.frame import Counts

_GROUND: Colour = (255, 255, 255)  # not a class colour
_CASING: Colour = (16, 16, 16)
_IGNORED: Colour = (128, 128, 128)
_SHIFT = 4  # fractional bits of coordinates, for smooth slanted lines


class SceneOverlay:
    """Draws ``Counts``: white lines and outlines with names and figures; ignored regions grey.

    A line has an arrow that points "in".
    """

    def plan(self, result: Counts, room: Room) -> Callable[[Image], None]:
        """Reserve places for the names, which other texts avoid; returns a function that draws."""
        size = TextSize.for_side(min(room.width, room.height))
        slots: dict[str, Slot] = room.memory.kept.setdefault("scene", {})
        tags: list[tuple[str, tuple[int, int]]] = []
        for key, text, (x, y) in _texts(result, (room.width, room.height)):
            extent = size.extent(text)
            found = find_place(room, (x, y, x, y), extent, slots.get(key))
            if found is not None:
                spot, slots[key] = found
                room.take("scene", (*spot, spot[0] + extent[0], spot[1] + extent[1]))
                tags.append((text, spot))
        return lambda image: _draw(image, result, tags, size)

    def draw(self, image: Image, result: Counts, room: Room | None = None) -> Image:
        """Draw on ``image`` (uint8, H×W×3, BGR) in place and return it."""
        room = Room(image) if room is None else room
        room.draw(image, [self.plan(result, room)])
        return image


def _texts(counts: Counts, size: tuple[int, int]) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Key, text and anchor pixel for each line and zone."""
    for line in counts.scene.lines:
        come, gone = counts.lines.get(line.name, (0, 0))
        x, y = in_pixels(line.points, size)[0]
        where = _within((round(x), round(y)), size)
        yield f"line {line.name}", f"{line.name}: {come} in, {gone} out", where
    for zone in counts.scene.zones:
        corners = in_pixels(zone.points, size)
        top = min(corners, key=lambda corner: (corner[1], corner[0]))
        where = _within((round(top[0]), round(top[1])), size)
        yield f"zone {zone.name}", f"{zone.name}: {counts.zones.get(zone.name, 0)}", where


def _within(at: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """The nearest pixel of the picture."""
    return max(0, min(at[0], size[0] - 1)), max(0, min(at[1], size[1] - 1))


def _draw(
    image: Image, counts: Counts, tags: list[tuple[str, tuple[int, int]]], text: TextSize
) -> None:
    size = (image.shape[1], image.shape[0])
    width = line_width(image)
    scene = counts.scene
    shapes = [(region, True, _IGNORED) for region in scene.ignore]
    shapes += [(zone.points, True, _GROUND) for zone in scene.zones]
    shapes += [(line.points, False, _GROUND) for line in scene.lines]
    for points, closed, colour in shapes:
        _stroke(image, in_pixels(points, size), closed, colour, width)
    for line in scene.lines:
        _stroke(image, _arrow(line, size, 9 * width), False, _GROUND, width)
    for words, (left, top) in tags:
        tag(image, words, left, top, text, _GROUND)


def _arrow(line: Line, size: tuple[int, int], reach: float) -> Points:
    """An arrow head at the middle of a line that points "in": to the left of its direction."""
    (x1, y1), (x2, y2) = in_pixels(line.points, size)
    length = math.hypot(x2 - x1, y2 - y1) or 1.0
    dx, dy = (x2 - x1) / length * reach, (y2 - y1) / length * reach
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    tip = x + dy, y - dx
    back = x + dy / 2, y - dx / 2
    return (
        *((x, y), tip, (back[0] - dx / 2, back[1] - dy / 2)),
        *(tip, (back[0] + dx / 2, back[1] + dy / 2)),
    )


def _stroke(image: Image, points: Points, closed: bool, colour: Colour, width: int) -> None:
    """Draw a polyline with a dark casing, visible on any ground."""
    fixed: NDArray[np.int32] = np.rint(np.array(points) * (1 << _SHIFT)).astype(np.int32)
    casing = 2 * max(1, width // 3)
    for thickness, shade in ((width + casing, _CASING), (width, colour)):
        cv2.polylines(image, [fixed], closed, shade, thickness, cv2.LINE_AA, _SHIFT)
