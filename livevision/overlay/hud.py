"""Draws the rates and latency of the run on every picture."""

from __future__ import annotations

import math
from collections.abc import Callable

from livevision.frame import Image
from livevision.overlay.letters import DIGIT_SPACE
from livevision.overlay.placing import place
from livevision.overlay.room import Room
from livevision.overlay.text import TextSize, panel
from livevision.protocols import Rates

_WHOLE = 4  # layouts with all the figures
_LARGEST = 0.2  # share of the picture that the rates may cover
_TOLD_LAG_MS = 50.0  # a smaller lag is network jitter


class HudOverlay:
    """Draws ``Rates`` on a darkened panel at the corner or edge where it hides least.

    It stays there until another place has been clearly emptier for a while. Letters scale with the
    picture; if the figures would cover too much, fewer are shown, and if not even one fits legibly,
    none.
    """

    def plan(self, result: Rates, room: Room) -> Callable[[Image], None]:
        """Place the panel clear of objects and texts; returns a function that draws it."""
        forms = _forms(result, room)
        if not forms:
            return lambda image: None
        extents = [size.extent(*lines) for lines, size in forms]
        form, (left, top, _, _) = place(room, "hud", extents)
        lines, size = forms[form]
        return lambda image: panel(image, lines, left, top, size)

    def draw(self, image: Image, result: Rates, room: Room | None = None) -> Image:
        """Write on ``image`` (uint8, H×W×3, BGR) in place and return it."""
        room = Room(image) if room is None else room
        room.draw(image, [self.plan(result, room)])
        return image


def _forms(rates: Rates, room: Room) -> list[tuple[list[str], TextSize]]:
    """Layouts and letter sizes that fit and cover a small part of the picture, best first."""
    size: TextSize | None = TextSize.for_side(min(room.width, room.height))
    layouts = _layouts(rates)
    while size is not None:
        fitting = [lines for lines in layouts if _fits(size.extent(*lines), room)]
        if fitting:
            whole = [lines for lines in fitting if lines in layouts[:_WHOLE]]
            return [(lines, size) for lines in whole or fitting[:1]]
        size = size.smaller()
    return []


def _fits(extent: tuple[int, int], room: Room) -> bool:
    wide, high = extent
    small = wide * high <= _LARGEST * room.width * room.height
    return small and wide <= room.width and high <= room.height


def _layouts(rates: Rates) -> list[list[str]]:
    """The same figures in ever smaller layouts; the last ones omit some."""
    capture, model, delivered = (
        _figure(fps, 1, 4) for fps in (rates.capture_fps, rates.model_fps, rates.delivered_fps)
    )
    speeds = [f"capture {capture}", f"model {model}", f"delivered {delivered} fps"]
    rest = []
    if rates.latency_ms is not None:
        rest.append(f"latency {_figure(rates.latency_ms, 0, 2)} ms")
    if rates.lag_ms is not None and rates.lag_ms >= _TOLD_LAG_MS:
        rest.append(f"lag {_figure(rates.lag_ms, 0, 2)} ms")
    if rates.dropped:
        rest.append(f"dropped {rates.dropped}")
    names = [name for name in (rates.model, rates.engine) if name]
    brief = [f"{delivered} fps"]
    second = ["  ".join(rest)] if rest else []
    return [
        ["   ".join(speeds + rest), *(["   ".join(names)] if names else [])],
        ["   ".join(speeds), *second, *names],
        ["   ".join(speeds), *second],
        [*speeds, *rest],
        [*brief, *rest[:1]],
        brief,
    ]


def _figure(value: float | None, digits: int, columns: int) -> str:
    """A number with fixed decimals, padded on the left so that it keeps its place."""
    shown = "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"
    return shown.rjust(columns, DIGIT_SPACE)
