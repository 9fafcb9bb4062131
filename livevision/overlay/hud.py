"""The rates and the latency of the run, written on every picture."""

from __future__ import annotations

import math

from livevision.frame import Image
from livevision.overlay.text import SMALLEST, TextSize, block_extent, panel
from livevision.protocols import Rates


class HudOverlay:
    """Draws ``Rates`` on a darkened panel in the top left corner.

    The letters grow with the picture. Where a line is too wide it is broken; where even that does
    not fit in letters one can read, the picture stays as it is.
    """

    def draw(self, image: Image, result: Rates) -> Image:
        """Write on ``image`` (uint8, H×W×3, BGR) in place and give it back."""
        height, width = image.shape[:2]
        size = TextSize.for_picture(image, factor=0.8)
        while size.scale >= SMALLEST:
            for lines in _layouts(result):
                wide, high = block_extent(lines, size)
                if wide <= width and high <= height:
                    panel(image, lines, 0, 0, size)
                    return image
            size = TextSize.of_scale(size.scale * 0.85)
        return image


def _layouts(rates: Rates) -> list[list[str]]:
    """The same figures in ever narrower arrangements, the last one leaving out the names."""
    speeds = [
        f"capture {_figure(rates.capture_fps)}",
        f"model {_figure(rates.model_fps)}",
        f"delivered {_figure(rates.delivered_fps)} fps",
    ]
    rest = []
    if rates.latency_ms is not None:
        rest.append(f"latency {_figure(rates.latency_ms, 0)} ms")
    if rates.dropped:
        rest.append(f"dropped {rates.dropped}")
    named = " ".join(word for word in (rates.model, rates.engine) if word)
    names = [named] if named else []
    below = ["  ".join(rest)] if rest else []
    return [
        ["  ".join(speeds + rest), *names],
        ["  ".join(speeds), *below, *names],
        ["  ".join(speeds), *below],
        [*speeds, *rest],
    ]


def _figure(value: float | None, digits: int = 1) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"
