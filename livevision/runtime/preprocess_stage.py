"""The preprocess stage: each frame laid into the inputs of the models that look at it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from livevision.frame import Frame, LiveSettings, Prepared
from livevision.models.model import Model
from livevision.protocols import SourceInfo


class PreprocessStage:
    """Lays frames into nets' inputs.

    Args:
        models: The models that look at a source's frames now, by its position.
        settings: The source's settings of this moment, by its position.
    """

    name = "preprocess"

    def __init__(
        self,
        models: Callable[[int], Sequence[Model]],
        settings: Callable[[int], LiveSettings],
    ) -> None:
        self._models, self._settings = models, settings

    def opened(self, source: int, info: SourceInfo) -> None:
        pass

    def ended(self, source: int) -> None:
        pass

    def __call__(self, item: Frame) -> Prepared:
        settings = self._settings(item.source)
        inputs = {m.name: m.prepare(item.image, settings) for m in self._models(item.source)}
        return Prepared(item, inputs, settings)
