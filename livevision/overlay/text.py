"""Text on pictures: sized by the picture, on a background that keeps it legible.

Pictures are uint8, H×W×3, BGR, and are modified in place; text outside them is clipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from livevision.frame import Image
from livevision.overlay.letters import line, line_height
from livevision.overlay.palette import Colour, ink_on

SMALLEST = 9
"""Minimum legible font size in pixels."""

_DARKENED = 0.28  # remaining brightness behind white text


@dataclass(frozen=True, slots=True)
class TextSize:
    """Font size on a picture.

    Attributes:
        size: In pixels: about four thirds of a capital's height.
    """

    size: int

    @classmethod
    def for_picture(cls, image: Image, factor: float = 1.0) -> TextSize:
        """The size for a picture: 1/38 of its shorter side, and at least legible."""
        return cls.for_side(min(image.shape[:2]), factor)

    @classmethod
    def for_side(cls, shorter: int, factor: float = 1.0) -> TextSize:
        """The size for a picture with this shorter side, in pixels."""
        return cls(max(12 if shorter >= 160 else 10, round(factor * shorter / 38)))

    @property
    def pad(self) -> int:
        """Horizontal padding of a text in pixels; half as much above and below."""
        return max(2, round(self.size * 0.28))

    @property
    def line_height(self) -> int:
        """Rows of one line, without the padding of its background."""
        return line_height(self.size)

    def smaller(self) -> TextSize | None:
        """The next smaller size; None if it would be illegible."""
        return TextSize(round(self.size * 0.87)) if self.size > SMALLEST else None

    def extent(self, *lines: str) -> tuple[int, int]:
        """(width, height) in pixels of lines stacked vertically, with padding."""
        wide = max((line(text, self.size).shape[1] for text in lines), default=0)
        return wide + 2 * self.pad, len(lines) * self.line_height + 2 * (self.pad // 2)

    def cut(self, text: str, width: int) -> str:
        """The beginning of a text that fits the width, with "…" for the rest; possibly ""."""
        if self.extent(text)[0] <= width:
            return text
        for end in range(len(text) - 1, 0, -1):
            shown = f"{text[:end].rstrip()}…"
            if self.extent(shown)[0] <= width:
                return shown
        return ""


def tag(image: Image, text: str, left: int, top: int, size: TextSize, ground: Colour) -> None:
    """Write one line on a background of one colour, given its top left corner."""
    _paste(image, _plate(text, size, ground), left, top)


def panel(image: Image, lines: Sequence[str], left: int, top: int, size: TextSize) -> None:
    """Write white lines on a darkened part of the picture, given its top left corner."""
    wide, high = size.extent(*lines)
    darken(image, left, top, wide, high)
    for i, text in enumerate(lines):
        ink(image, text, left + size.pad, top + size.pad // 2 + i * size.line_height, size)


def darken(image: Image, left: int, top: int, width: int, height: int) -> None:
    """Darken a part of the picture enough for white text on any content."""
    ground = image[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
    if ground.size:
        ground[:] = cv2.convertScaleAbs(ground, alpha=_DARKENED)


def ink(image: Image, text: str, left: int, top: int, size: TextSize) -> None:
    """Write one line in white; left and top are those of the letters."""
    mask = line(text, size.size)[: max(0, image.shape[0] - top), : max(0, image.shape[1] - left)]
    if mask.size and left >= 0 and top >= 0:
        ground = image[top : top + mask.shape[0], left : left + mask.shape[1]]
        ground[:] = cv2.add(ground, cv2.cvtColor(np.ascontiguousarray(mask), cv2.COLOR_GRAY2BGR))


@lru_cache(maxsize=512)
def _plate(text: str, size: TextSize, ground: Colour) -> Image:
    """A text in black or white on one colour; read-only."""
    wide, high = size.extent(text)
    cover = np.zeros((high, wide, 1), np.float32)
    letters = line(text, size.size)
    top = size.pad // 2
    cover[top : top + letters.shape[0], size.pad : size.pad + letters.shape[1], 0] = letters
    cover /= 255
    plate = np.array(ground, np.float32) * (1 - cover) + np.array(ink_on(ground)) * cover
    return np.rint(plate).astype(np.uint8)


def _paste(image: Image, plate: Image, left: int, top: int) -> None:
    """Copy a background into the picture, clipped to it."""
    height, width = image.shape[:2]
    x1, y1 = max(0, left), max(0, top)
    x2, y2 = min(width, left + plate.shape[1]), min(height, top + plate.shape[0])
    if x1 < x2 and y1 < y2:
        image[y1:y2, x1:x2] = plate[y1 - top : y2 - top, x1 - left : x2 - left]
