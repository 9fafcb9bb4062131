"""The overlay stage: draws results and rates on each frame, class maps below boxes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from livevision import registry
from livevision.errors import UsageError, unknown
from livevision.frame import Image, Inferred, Rendered
from livevision.models.for_run import open_specs
from livevision.models.model import Model
from livevision.overlay import letters
from livevision.overlay.room import Memory, Room
from livevision.protocols import Overlay, SourceInfo
from livevision.runtime.metering import Meter
from livevision.runtime.pace.adaptive import Adaptive
from livevision.runtime.report import joined

if TYPE_CHECKING:
    from livevision.config import Settings

log = logging.getLogger(__name__)


class OverlayStage:
    """Draws on frames. The overlays are created with the first frame that is drawn.

    Args:
        settings: The run's settings.
        models: The models whose results are drawn.
        meter: Source of the rates shown.
        adaptive: Source of the input size and stride shown.
        wanted: Returns whether pictures of a source are wanted now; its frames are else passed on
            undrawn.
        copy: Draw on copies of the frames' images.
        pictures: Positions of sources of pictures, which have no rates.

    Raises:
        UsageError: A class to hide is not among the models' classes.
    """

    name = "overlay"

    def __init__(
        self,
        settings: Settings,
        models: Sequence[Model],
        meter: Meter,
        adaptive: Adaptive | None = None,
        wanted: Callable[[int], bool] = lambda source: True,
        copy: bool = True,
        pictures: Collection[int] = (),
    ) -> None:
        _check_hidden(settings, models)
        self._settings, self._models, self._meter = settings, models, meter
        self._adaptive, self._wanted, self._copy, self._pictures = adaptive, wanted, copy, pictures
        self._memories: dict[int, Memory] = {}
        self._added = [
            registry.added(registry.OVERLAYS, name, "overlay")() for name in settings.overlay
        ]

    def opened(self, source: int, info: SourceInfo) -> None:
        self._memories[source] = Memory()

    def ended(self, source: int) -> None:
        self._memories.pop(source, None)

    def __call__(self, item: Inferred) -> Rendered:
        if self._wanted(item.frame.source):
            return Rendered(item.frame, item.results, self.draw(item))
        return Rendered(item.frame, item.results, item.frame.image, undrawn=item)

    def warm(self) -> None:
        """Prepare overlays, colours and glyphs before the first frame."""
        letters.line("0", 12)
        made = [*self._overlays.values(), self._hud]
        log.debug("%d overlays are ready", len(made))

    def draw(self, inferred: Inferred) -> Image:
        """Draw results and rates on the image of a frame: uint8, H×W×3, BGR."""
        frame = inferred.frame
        image = frame.image.copy() if self._copy else frame.image
        if self._hide is not None:
            # Before all else, so that other overlays have nothing to draw it from.
            for found in inferred.hidable:
                self._hide.plan(found, Room(image))(image)
            if self._added:
                frame = replace(frame, image=image.copy())
        room = Room(image, self._memories.setdefault(frame.source, Memory()))
        # Planned from the top layer down: displays avoid boxes, and labels avoid both.
        steps = [
            overlay.plan(inferred.results[name], room)
            for name, overlay in reversed(self._overlays.items())
            if name in inferred.results
        ]
        steps.reverse()
        if inferred.counts is not None and self._settings.style != "none":
            steps.append(self._scene.plan(inferred.counts, room))
        shown = Rendered(frame, inferred.results, frame.image)
        steps += [overlay.plan(shown, room) for overlay in self._added]
        if self._settings.shows_rates(frame.source in self._pictures):
            model, engine = self._names
            if self._adaptive is not None:
                model = f"{model} {self._adaptive.shown}"
            steps.append(self._hud.plan(self._meter.rates(frame.source, model, engine), room))
        room.draw(image, steps)
        return image

    @cached_property
    def _overlays(self) -> dict[str, Overlay]:
        """The overlay of each model by name, in drawing order."""
        overlays: dict[str, Overlay] = {}
        for model in sorted(self._models, key=lambda model: model.task != "segment"):
            # Boxes have several styles.
            name = "style" if model.task == "detect" else model.task
            kind = registry.resolve(registry.OVERLAYS, name, "overlay")
            options: dict[str, dict[str, Any]] = {
                "segment": {"alpha": self._settings.alpha},
                "detect": {"labels": model.labels, "style": self._settings.style},
            }
            overlays[model.name] = kind(**options.get(model.task, {}))
        return overlays

    @cached_property
    def _hide(self) -> Overlay | None:
        """The overlay that hides the classes of --blur; None if there are none."""
        if not self._settings.blur:
            return None
        hide = registry.resolve(registry.OVERLAYS, "hide", "overlay")
        return hide(classes=frozenset(self._settings.blur))

    @cached_property
    def _scene(self) -> Overlay:
        return registry.resolve(registry.OVERLAYS, "scene", "overlay")()

    @cached_property
    def _hud(self) -> Overlay:
        return registry.resolve(registry.OVERLAYS, "hud", "overlay")()

    @cached_property
    def _names(self) -> tuple[str, str]:
        return joined(m.name for m in self._models), joined(map(str, open_specs(self._models)))


def _check_hidden(settings: Settings, models: Sequence[Model]) -> None:
    """Check that each class to hide is looked for: it would stay visible without notice."""
    labels = [label for model in models if model.task != "classify" for label in model.labels]
    kept = {
        labels[each] if isinstance(each, int) and each < len(labels) else each
        for each in settings.classes
    }
    for name in settings.blur:
        if name not in labels:
            raise UsageError(f"--blur: {unknown('class', name, dict.fromkeys(labels))}")
        if kept and name not in kept:
            raise UsageError(f"--blur {name}: --classes excludes {name}, so it would stay visible")
