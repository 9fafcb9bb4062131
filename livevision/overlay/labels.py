"""The most likely classes of a picture, written on it."""

from __future__ import annotations

from livevision.frame import Image
from livevision.overlay.text import SMALLEST, TextSize, block_extent, panel
from livevision.results import Label


class LabelsOverlay:
    """Draws ``Label`` at the bottom left: a line a class with its probability, likeliest first.

    The letters grow with the picture and shrink as far as they can be read; where that does not
    do, the less likely classes and the ends of long names are left out. In the upper half, where
    the rates stand, nothing is drawn.
    """

    def draw(self, image: Image, result: Label) -> Image:
        """Write on ``image`` (uint8, H×W×3, BGR) in place and give it back."""
        height, width = image.shape[:2]
        lines = [
            f"{confidence:4.0%} {result.labels[number]}"
            for number, confidence in zip(
                result.class_id.tolist(), result.confidence.tolist(), strict=True
            )
        ]
        size = TextSize.for_picture(image)
        while not _fits(lines, size, width, height // 2):
            if size.scale * 0.85 < SMALLEST:
                lines = _shortened(lines, size, width, height // 2)
                break
            size = TextSize.of_scale(size.scale * 0.85)
        if lines:
            panel(image, lines, 0, height - block_extent(lines, size)[1], size)
        return image


def _fits(lines: list[str], size: TextSize, width: int, height: int) -> bool:
    wide, high = block_extent(lines, size)
    return wide <= width and high <= height


def _shortened(lines: list[str], size: TextSize, width: int, height: int) -> list[str]:
    """As many lines as there is room for, each cut off where the room ends; none at worst."""
    while lines and block_extent(lines, size)[1] > height:
        lines = lines[:-1]
    cut = []
    for line in lines:
        shown = line
        while shown and size.extent(shown)[0] > width:
            shown = shown.removesuffix("..")[:-1].rstrip()
            shown = f"{shown}.." if shown else ""
        cut.append(shown)
    # The probability alone is better than nothing; less than that tells nothing.
    return cut if all(len(line) >= len("100%") for line in cut) else []
