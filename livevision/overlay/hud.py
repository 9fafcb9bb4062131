"""The rates and the latency of the run, written on every picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

from livevision.frame import Image
from livevision.overlay.text import SMALLEST, TextSize, block_extent, panel


@dataclass(frozen=True, slots=True)
class Rates:
    """What a run does just now, over the recent past; None where nothing is known yet.

    Attributes:
        capture_fps: Frames per second that the source gives.
        model_fps: Frames per second that the net gets through.
        delivered_fps: Frames per second that reach the outputs.
        latency_ms: Milliseconds from capture to here.
        dropped: Frames lost so far, wherever and for whatever cause.
        model: Name of the model, or of several, as the user knows it.
        engine: What computes it, such as "openvino cpu fp32".
    """

    capture_fps: float | None = None
    model_fps: float | None = None
    delivered_fps: float | None = None
    latency_ms: float | None = None
    dropped: int = 0
    model: str = ""
    engine: str = ""


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
    rest = [f"latency {_figure(rates.latency_ms, 0)} ms"]
    if rates.dropped:
        rest.append(f"dropped {rates.dropped}")
    named = " ".join(word for word in (rates.model, rates.engine) if word)
    names = [named] if named else []
    return [
        ["  ".join(speeds + rest), *names],
        ["  ".join(speeds), "  ".join(rest), *names],
        ["  ".join(speeds), "  ".join(rest)],
        [*speeds, *rest],
    ]


def _figure(value: float | None, digits: int = 1) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"
