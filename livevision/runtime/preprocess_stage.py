"""The preprocess stage: prepares each frame for the inputs of its models."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from livevision.frame import Frame, LiveSettings, Prepared
from livevision.models.model import Model
from livevision.protocols import SourceInfo


class PreprocessStage:
    """Resizes frames into the inputs of the nets.

    Args:
        models: Returns the models that process a source now, by its position.
        settings: Returns the current settings of a source, by its position.
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
