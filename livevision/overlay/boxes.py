"""Draws boxes with class and confidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from livevision.frame import Image
from livevision.overlay.label_places import Slot, find_place
from livevision.overlay.palette import Colour, box_palette, bright
from livevision.overlay.room import Room
from livevision.overlay.text import TextSize, tag

if TYPE_CHECKING:
    import supervision as sv

_CASING: Colour = (16, 16, 16)


class BoxOverlay:
    """Draws ``sv.Detections``: a box per detection, coloured by class, labelled if there is room.

    Line widths and letters scale with the picture. A line has a dark casing, so that it is visible
    on its own colour, and is never so thin that H.264 loses it. Labels cover neither each other nor
    other texts; one without a free place by its box is left out.

    Args:
        labels: Names of all classes, which decide the colours; without them class numbers do.
        confidence: Write the confidence after the class.
        edges: "box", or "corners" for the ends of the edges only.
    """

    def __init__(
        self, labels: Sequence[str] = (), *, confidence: bool = True, edges: str = "box"
    ) -> None:
        self._outline = _corners if edges == "corners" else _outline
        self._confidence = confidence
        self._colours = box_palette(labels) if labels else bright()

    def plan(self, result: sv.Detections, room: Room) -> Callable[[Image], None]:
        """Register the boxes in the room; returns a function that draws them and places labels.

        The strip above a box, the preferred place of its label, counts as part of it.
        """
        if len(result):
            strip = TextSize.for_side(min(room.width, room.height)).extent("A")[1]
            objects = np.asarray(result.xyxy, np.float32) - np.array((0, strip, 0, 0), np.float32)
            room.objects = objects.clip(0, np.array((room.width, room.height) * 2, np.float32))
        return lambda image: self._draw(image, result, room)

    def draw(self, image: Image, result: sv.Detections, room: Room | None = None) -> Image:
        """Draw on ``image`` (uint8, H×W×3, BGR) in place and return it.

        Args:
            image: The picture.
            result: Boxes in the picture's pixels; parts outside the picture are clipped.
            room: Texts already on the picture; the labels are added to it.
        """
        room = Room(image) if room is None else room
        room.draw(image, [self.plan(result, room)])
        return image

    def _draw(self, image: Image, result: sv.Detections, room: Room) -> None:
        line = line_width(image)
        boxes = _whole(np.asarray(result.xyxy, np.float64), line, room)
        colours = self._colours_of(result)
        sizes = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        # Small boxes last, so that their lines are on top of large ones.
        for i in np.argsort(-sizes, kind="stable").tolist():
            self._outline(image, boxes[i].tolist(), colours[i], line)
        size = TextSize.for_picture(image)
        slots = room.memory.slots_of(boxes)
        for i in _order(result, boxes):
            slots[i] = self._label(
                image, room, result, i, boxes[i].tolist(), size, colours[i], slots[i]
            )
        room.memory.boxes, room.memory.slots = boxes, slots

    def _label(
        self,
        image: Image,
        room: Room,
        result: sv.Detections,
        i: int,
        box: list[int],
        size: TextSize,
        colour: Colour,
        before: Slot | None,
    ) -> Slot | None:
        """Write a box's label in the longest form that has a place; returns the place."""
        x1, y1, x2, y2 = box
        texts = self._texts(result, i)
        # On very small pictures even the shortest form is cut.
        for text in (*texts, size.cut(texts[-1], room.width)) if texts else ():
            extent = size.extent(text)
            found = find_place(room, (x1, y1, x2, y2), extent, before) if text else None
            if found is not None:
                spot, slot = found
                tag(image, text, *spot, size, colour)
                room.take("box label", (*spot, spot[0] + extent[0], spot[1] + extent[1]))
                return slot
        return None

    def _texts(self, result: sv.Detections, i: int) -> list[str]:
        """Forms of a label: class, track number and confidence; then without the confidence."""
        words = []
        names = result.data.get("class_name")
        if names is not None:
            words.append(str(names[i]))
        elif result.class_id is not None:
            words.append(str(int(result.class_id[i])))
        if result.tracker_id is not None and result.tracker_id[i] >= 0:
            words.append(f"#{int(result.tracker_id[i])}")
        if not self._confidence or result.confidence is None:
            return [" ".join(words)] if words else []
        sure = f"{float(result.confidence[i]):.2f}"
        return [" ".join((*words, sure)), " ".join(words)] if words else [sure]

    def _colours_of(self, result: sv.Detections) -> list[Colour]:
        if result.class_id is None:
            rows = np.repeat(self._colours[:1], len(result), 0)
        else:
            rows = self._colours[result.class_id % len(self._colours)]
        return [(int(b), int(g), int(r)) for b, g, r in rows.tolist()]


def line_width(image: Image) -> int:
    """Line width of a box in pixels, without its casing: 1/240 of the shorter side.

    At least two pixels, since video stores colour for 2×2 pixels; one on pictures so small that two
    would hide their content.
    """
    shorter: int = min(image.shape[:2])
    return max(2 if shorter >= 120 else 1, round(shorter / 240))


def _whole(xyxy: NDArray[np.float64], line: int, room: Room) -> NDArray[np.int64]:
    """The boxes around the lines in whole pixels; edges outside the picture stay outside.

    An edge within the picture has its whole line within it, so that a box that ends at the border
    is visible there.
    """
    reach = 3 * line + 3
    sides = np.array((room.width, room.height) * 2, np.float64)
    # Far outside, integers would overflow.
    edges = np.nan_to_num(xyxy).clip(-reach, sides + reach)
    boxes = np.rint(edges - line / 2).astype(np.int64)
    inside = (edges >= 0) & (edges <= sides)
    shifted = boxes.clip(0, np.maximum(sides - line, 0).astype(np.int64))
    boxes = np.where(inside, shifted, boxes)
    boxes[:, 2:] += line
    return boxes


def _order(result: sv.Detections, boxes: NDArray[np.int64]) -> list[int]:
    """Order of label placement: confident boxes first, then by position, which is stable.

    By confidence alone, two adjacent boxes would swap places, and their labels too, with every
    frame.
    """
    sure = np.zeros(len(boxes)) if result.confidence is None else result.confidence
    where = boxes[:, 0] + boxes[:, 1]
    order: list[int] = np.lexsort((where, -np.floor(sure * 4))).tolist()
    return order


def _outline(image: Image, box: list[int], colour: Colour, line: int) -> None:
    """Draw the four edges of a box, each a coloured line between two dark ones."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    casing = max(1, line // 3)
    band = _band(colour, line, casing, max(width, height))
    left, right = max(0, x1), min(width, x2)
    for start in (y1 - casing, y2 - line - casing):
        first, last = max(0, start), min(height, start + len(band))
        if first < last and left < right:
            image[first:last, left:right] = band[first - start : last - start, : right - left]
    # Between the horizontal ones, so that no casing crosses a line at the corners.
    top, bottom = max(0, y1 + line), min(height, y2 - line)
    for start in (x1 - casing, x2 - line - casing):
        first, last = max(0, start), min(width, start + len(band))
        if first < last and top < bottom:
            image[top:bottom, first:last] = band[first - start : last - start, 0]


def _corners(image: Image, box: list[int], colour: Colour, line: int) -> None:
    """Draw the ends of the four edges, each a quarter of the shorter edge."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    reach = max(2 * line, min(x2 - x1, y2 - y1) // 4)
    for x, across in ((x1, (x1, x1 + reach)), (x2 - line, (x2 - reach, x2))):
        for y, down in ((y1, (y1, y1 + reach)), (y2 - line, (y2 - reach, y2))):
            arms = ((*across, y, y + line), (x, x + line, *down))
            # All casings before the lines, so that none crosses a corner.
            for more, shade in ((max(1, line // 3), _CASING), (0, colour)):
                for left, right, top, bottom in arms:
                    rows = slice(max(0, top - more), max(0, min(height, bottom + more)))
                    columns = slice(max(0, left - more), max(0, min(width, right + more)))
                    image[rows, columns] = shade


@lru_cache(maxsize=64)
def _band(colour: Colour, line: int, casing: int, length: int) -> Image:
    """A horizontal line with its casings, as long as any edge; read-only.

    It is copied, since filling with three bytes repeatedly takes several times as long.
    """
    band = np.full((line + 2 * casing, length, 3), _CASING, np.uint8)
    band[casing:-casing] = colour
    return band
