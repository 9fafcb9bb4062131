"""The inference stage: the nets of a run, and what they find in each frame."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from livevision.frame import Inferred, Prepared
from livevision.models.model import Model
from livevision.protocols import SourceInfo
from livevision.runtime.pace.adaptive import Adaptive
from livevision.runtime.pace.together import frames_at_once, infer_together

_log = logging.getLogger(__name__)


class InferenceStage:
    """Runs the nets, a frame at a time or several (``Computing``).

    Args:
        models: All of the run's.
        overlap: Every frame counts: let the engines compute several at once.
        adaptive: Chooses among the nets' sizes; None where they keep theirs.
        live: How many live sources there are, whose frames may go through the nets in one call.
        batch: How many of them the user wants in one call at most; None leaves it to measurement.
        while_opening: Called on another thread while the engines open.
    """

    name = "inference"

    def __init__(
        self,
        models: Sequence[Model],
        overlap: bool,
        adaptive: Adaptive | None = None,
        live: int = 0,
        batch: int | None = None,
        while_opening: Callable[[], None] | None = None,
    ) -> None:
        self.most = 1
        self._models, self._overlap, self._adaptive = models, overlap, adaptive
        self._live, self._batch, self._while_opening = live, batch, while_opening
        self._by_name = {model.name: model for model in models}

    @property
    def depth(self) -> int:
        """How many frames to have begun with the open nets."""
        return min(model.depth for model in self._models)

    @property
    def streams(self) -> int:
        """How many frames the open nets compute at the same moment."""
        return min(model.streams for model in self._models)

    def opened(self, source: int, info: SourceInfo) -> None:
        pass

    def ended(self, source: int) -> None:
        pass

    def open(self) -> None:
        """Load the nets."""
        # Engines wait for files and compilers meanwhile.
        beside = threading.Thread(target=self._while_opening)
        beside.start()
        try:
            for model in self._models:
                model.open(self._overlap)
        finally:
            beside.join()
        if self._adaptive is not None:
            self._adaptive.begin()
        elif not self._overlap:
            self.most = frames_at_once(self._models, self._live, self._batch)
        elif (self._batch or 1) > 1:
            _log.warning("--batch is for live sources; where every frame counts it changes nothing")

    def close(self) -> None:
        """Let go of the nets."""
        if self._adaptive is not None:
            self._adaptive.close()
        for model in self._models:
            model.close()

    def __call__(self, item: Prepared) -> Inferred:
        results = {}
        for name, (batch, placement) in item.inputs.items():
            model = self._by_name[name]
            if self._adaptive is not None:
                model = self._adaptive.model(name, placement.input_size)
            results[name] = model.decode(model.infer(batch), placement, item.settings)
        return Inferred(item.frame, results, item.settings)

    def together(self, items: Sequence[Prepared]) -> list[Inferred]:
        """Results of several frames, each net called once."""
        return infer_together(self._models, items)

    def start(self, item: Prepared) -> Callable[[], tuple[Inferred, float | None]]:
        """Begin on a frame with all nets that look at it at once."""
        begun = {name: self._by_name[name].start(batch) for name, (batch, _) in item.inputs.items()}

        def finish() -> tuple[Inferred, float | None]:
            results = {}
            for name, outputs in begun.items():
                placement = item.inputs[name][1]
                results[name] = self._by_name[name].decode(outputs(), placement, item.settings)
            done = [outputs.done for outputs in begun.values() if outputs.done is not None]
            known = len(done) == len(begun)
            latest = max(done, default=None) if known else None
            return Inferred(item.frame, results, item.settings), latest

        return finish
