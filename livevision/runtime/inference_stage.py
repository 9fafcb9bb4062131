"""The inference stage: runs the nets on each frame."""

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
    """Runs the nets, on one frame or on several at a time (``Computing``).

    Args:
        models: All models of the run.
        overlap: No frame may be dropped: keep several frames in flight.
        adaptive: Chooses the input size; None for fixed sizes.
        live: Number of live sources, whose frames may share a call.
        batch: Maximum frames in a call; None decides by measurement.
        crowded: Many live sources share light nets: a CPU computes several frames at once, each on
            fewer threads.
        while_opening: Called on another thread while the engines open.
        keep: The nets stay open at the end.
    """

    name = "inference"

    def __init__(
        self,
        models: Sequence[Model],
        overlap: bool,
        adaptive: Adaptive | None = None,
        live: int = 0,
        batch: int | None = None,
        crowded: bool = False,
        while_opening: Callable[[], None] | None = None,
        keep: bool = False,
    ) -> None:
        self.most = 1
        self._models, self._overlap, self._adaptive = models, overlap, adaptive
        self._live, self._batch, self._while_opening = live, batch, while_opening
        self._crowded = crowded and adaptive is None and batch is None
        self._keep = keep
        self._by_name = {model.name: model for model in models}

    @property
    def depth(self) -> int:
        """Frames to keep in flight with the open nets."""
        return min(model.depth for model in self._models)

    @property
    def streams(self) -> int:
        """Frames that the open nets compute at the same time."""
        return min(model.streams for model in self._models)

    def opened(self, source: int, info: SourceInfo) -> None:
        pass

    def ended(self, source: int) -> None:
        pass

    def open(self) -> None:
        """Load the nets."""
        # Engines mostly wait for files and compilers here.
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
            if self._crowded and self.most == 1:
                self._open_for_many()
        elif (self._batch or 1) > 1:
            _log.warning("--batch is for live sources; it has no effect where every frame counts")

    def _open_for_many(self) -> None:
        """Load the nets again for several frames at once, if a CPU computes them.

        The threads that share a frame of a light net mostly wait for each other. Where frames of
        other sources wait, each thread has one of its own.
        """
        specs = [model.engine_spec for model in self._models]
        if any(spec is None or spec.device != "cpu" for spec in specs):
            return
        for model in self._models:
            model.close()
            model.open(overlap=True)

    def close(self) -> None:
        """Release the nets."""
        if self._adaptive is not None:
            self._adaptive.close()
        if self._keep:
            return
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
        """Results of several frames, with one call of each net."""
        return infer_together(self._models, items)

    def start(self, item: Prepared) -> Callable[[], tuple[Inferred, float | None]]:
        """Start all nets of a frame at once."""
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
