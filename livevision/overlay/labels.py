"""Draws the most likely classes of a picture."""

from __future__ import annotations

from collections.abc import Callable

from livevision.frame import Image
from livevision.overlay.letters import DIGIT_SPACE
from livevision.overlay.room import Room
from livevision.overlay.text import TextSize, panel
from livevision.results import Label


class LabelsOverlay:
    """Draws ``Label`` at the bottom left: one line per class with its probability, likeliest first.

    Letters scale with the picture and shrink as far as they are legible; if that is not enough,
    less likely classes and the ends of long names are cut. The upper half, where the rates usually
    are, stays free.
    """

    def plan(self, result: Label, room: Room) -> Callable[[Image], None]:
        """Reserve the room for the text; returns a function that draws it."""
        lines, size = _layout(result, room)
        if not lines:
            return lambda image: None
        wide, high = size.extent(*lines)
        top = room.height - high
        room.take("labels", (0, top, wide, room.height))
        return lambda image: panel(image, lines, 0, top, size)

    def draw(self, image: Image, result: Label, room: Room | None = None) -> Image:
        """Write on ``image`` (uint8, H×W×3, BGR) in place and return it."""
        room = Room(image) if room is None else room
        room.draw(image, [self.plan(result, room)])
        return image


def _layout(result: Label, room: Room) -> tuple[list[str], TextSize]:
    """The lines and the letter size."""
    lines = [
        f"{f'{confidence:.0%}'.rjust(4, DIGIT_SPACE)} {result.labels[number]}"
        for number, confidence in zip(
            result.class_id.tolist(), result.confidence.tolist(), strict=True
        )
    ]
    size = TextSize.for_side(min(room.width, room.height), 1.2)
    while not _fits(lines, size, room.width, room.height // 2):
        smaller = size.smaller()
        if smaller is None:
            return _shortened(lines, size, room.width, room.height // 2), size
        size = smaller
    return lines, size


def _fits(lines: list[str], size: TextSize, width: int, height: int) -> bool:
    wide, high = size.extent(*lines)
    return wide <= width and high <= height


def _shortened(lines: list[str], size: TextSize, width: int, height: int) -> list[str]:
    """The lines that fit, each cut to the width; possibly none."""
    while lines and size.extent(*lines)[1] > height:
        lines = lines[:-1]
    cut = [size.cut(line, width) for line in lines]
    # A probability alone is still useful; anything shorter is not.
    return cut if all(len(line) >= len("100%") for line in cut) else []
