"""Text on pictures: sized by the picture, on a ground that makes it legible anywhere.

Pictures are uint8, H×W×3, BGR, and are written to in place; nothing outside them is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2

from livevision.frame import Image
from livevision.overlay.palette import Colour, ink_on

FONT = cv2.FONT_HERSHEY_SIMPLEX
SMALLEST = 0.32
"""The smallest scale of FONT at which letters can still be read."""


@dataclass(frozen=True, slots=True)
class TextSize:
    """How large to write on a picture.

    Attributes:
        scale: Factor of the font's own size.
        thickness: Width of its strokes in pixels.
        pad: Free pixels around a text.
    """

    scale: float
    thickness: int
    pad: int

    @classmethod
    def for_picture(cls, image: Image, factor: float = 1.0) -> TextSize:
        """The size for a picture: about a 45th of its shorter side is the height of a letter."""
        height, width = image.shape[:2]
        return cls.of_scale(max(0.4, factor * min(height, width) / 1000))

    @classmethod
    def of_scale(cls, scale: float) -> TextSize:
        """The size whose strokes and margins suit a scale of the font."""
        return cls(scale, max(1, round(scale * 1.6)), max(2, round(scale * 6)))

    def extent(self, text: str) -> tuple[int, int]:
        """(width, height) in pixels of one line with its margins."""
        (width, ascent), descent = cv2.getTextSize(text, FONT, self.scale, self.thickness)
        return width + 2 * self.pad, ascent + descent + 2 * self.pad


def tag(image: Image, text: str, left: int, top: int, size: TextSize, ground: Colour) -> None:
    """Write one line on a plate of one colour whose top left corner is given, moved to fit in."""
    height, width = image.shape[:2]
    wide, high = size.extent(text)
    left = max(0, min(left, width - wide))
    top = max(0, min(top, height - high))
    # Filled by slicing, which clips at the picture's edges by itself.
    image[top : top + high, left : left + wide] = ground
    _write(image, text, left, top, size, ink_on(ground))


def panel(image: Image, lines: Sequence[str], left: int, top: int, size: TextSize) -> None:
    """Write white lines on a darkened part of the picture whose top left corner is given."""
    wide, high = block_extent(lines, size)
    ground = image[max(0, top) : max(0, top + high), max(0, left) : max(0, left + wide)]
    if ground.size == 0:
        return
    ground[:] = cv2.convertScaleAbs(ground, alpha=0.3)
    line_height = size.extent("Ag")[1]
    for i, line in enumerate(lines):
        _write(image, line, left, top + i * (line_height - size.pad), size, (255, 255, 255))


def block_extent(lines: Sequence[str], size: TextSize) -> tuple[int, int]:
    """(width, height) in pixels of several lines, one below the other, with their margins."""
    line_height = size.extent("Ag")[1]
    wide = max((size.extent(line)[0] for line in lines), default=0)
    return wide, len(lines) * (line_height - size.pad) + size.pad


def _write(image: Image, text: str, left: int, top: int, size: TextSize, colour: Colour) -> None:
    ascent = cv2.getTextSize(text, FONT, size.scale, size.thickness)[0][1]
    origin = (left + size.pad, top + size.pad + ascent)
    cv2.putText(image, text, origin, FONT, size.scale, colour, size.thickness, cv2.LINE_AA)
