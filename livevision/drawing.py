"""What is drawn on the frames of a run: results, class maps below boxes, and rates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from livevision import registry
from livevision.adaptive import Adaptive
from livevision.frame import Inferred
from livevision.model import Model
from livevision.protocols import Overlay
from livevision.report import Meter, joined
from livevision.run_models import open_specs

if TYPE_CHECKING:
    from livevision.config import Settings


class Overlays:
    """Everything that is drawn on a frame, made when the first one is drawn.

    Args:
        settings: The run's.
        models: Whose results are drawn, in the order of drawing.
        meter: Whose rates are shown.
        adaptive: Whose size and stride are shown beside them.
        copy: Leave the frames' own pictures as they are.
    """

    def __init__(
        self,
        settings: Settings,
        models: Sequence[Model],
        meter: Meter,
        adaptive: Adaptive | None = None,
        copy: bool = True,
    ) -> None:
        self._adaptive = adaptive
        self._copy = copy
        self._settings = settings
        self._models = models
        self._meter = meter

    def draw(self, inferred: Inferred) -> Any:
        """The picture of a frame with its results and the run's rates, uint8 H×W×3 BGR."""
        image = inferred.frame.image
        if self._copy:
            image = image.copy()
        for task, overlay in self._by_task.items():
            image = overlay.draw(image, inferred.results[task])
        if self._settings.hud:
            model, engine = self._names
            if self._adaptive is not None:
                model = f"{model} {self._adaptive.shown}"
            rates = self._meter.rates(inferred.frame.source, model, engine)
            image = self._hud.draw(image, rates)
        return image

    @cached_property
    def _by_task(self) -> dict[str, Overlay]:
        overlays: dict[str, Overlay] = {}
        for model in self._models:
            kind = registry.resolve(registry.OVERLAYS, model.task, "overlay")
            options = {"alpha": self._settings.alpha} if model.task == "segment" else {}
            overlays[model.task] = kind(**options)
        return overlays

    @cached_property
    def _hud(self) -> Overlay:
        hud: Overlay = registry.resolve(registry.OVERLAYS, "hud", "overlay")()
        return hud

    @cached_property
    def _names(self) -> tuple[str, str]:
        return joined(m.name for m in self._models), joined(map(str, open_specs(self._models)))
