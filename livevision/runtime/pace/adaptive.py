"""Keeps a run's latency below a target by changing input size and stride.

The control in ``latency`` decides; this module carries it out. Engines of other sizes are opened
once, on a thread of their own, while the run continues. A frame is computed by the net whose input
it was prepared for, so a change needs no pause.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from livevision.errors import LivevisionError
from livevision.frame import Frame
from livevision.models.model import Model
from livevision.runtime.metering import Meter
from livevision.runtime.pace.latency import SHARE, STRIDES, LatencyControl, Level
from livevision.runtime.pace.sizes import GraphMaker, Sizes, sizes_of

_log = logging.getLogger(__name__)

_REMEMBERED = 1000


class Adaptive:
    """The nets of a run, at the size that the target latency allows.

    ``begin`` and ``close`` belong to the inference thread, ``delivered`` to the thread that takes
    the frames; the others may be called on any.

    Args:
        target_ms: Target in milliseconds from capture to delivery.
        models: The run's nets at their own sizes; the run opens and closes them.
        meter: Measures the work of the stages.

    Attributes:
        current: The nets that new frames are prepared for, one for each task.
    """

    def __init__(self, target_ms: float, models: Sequence[Model], meter: Meter) -> None:
        self.current: Sequence[Model] = models
        self._target_ms = target_ms
        self._meter = meter
        self._ladder: list[Sequence[Model]] = [models]
        self._by_size = {_key(model): model for model in models}
        self._control = LatencyControl(target_ms / 1e3, (1.0,))
        self._maker = GraphMaker()
        self._opener: threading.Thread | None = None
        self._opened: tuple[int, BaseException | None] | None = None
        self._closing = False
        self._told_exhausted = False
        self._frames = self._below = self._count = 0
        self._changes: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)
        self._first: float | None = None

    def begin(self) -> None:
        """Find which sizes are available, and log them; the nets are open."""
        found = [sizes_of(model.files, model.engine_name, model.reads) for model in self.current]
        for step in range(1, max(len(sizes.files) for sizes in found)):
            above = self._ladder[-1]
            self._ladder.append(
                [
                    model.at(sizes.files[step]) if step < len(sizes.files) else model
                    for model, sizes in zip(above, found, strict=True)
                ]
            )
        self._control = LatencyControl(self._target_ms / 1e3, [_pixels(s) for s in self._ladder])
        _log.info(
            "target latency %g ms; levers: every frame to every %dth; %s",
            self._target_ms,
            STRIDES[-1],
            "; ".join(_levers(m, s) for m, s in zip(self.current, found, strict=True)),
        )

    @property
    def stride(self) -> int:
        """Current stride: every Nth frame of a live source is processed."""
        return self._control.level.stride

    @property
    def shown(self) -> str:
        """Size and stride, for display."""
        return _words(self.current, self.stride)

    def model(self, name: str, input_size: tuple[int, int]) -> Model:
        """The net of this name that a frame was prepared for."""
        return self._by_size[name, input_size]

    def delivered(self, frame: Frame, now: float) -> None:
        """Record a delivered frame of a live source."""
        # The lag of the stream itself does not depend on size or stride.
        latency = now - frame.wall_time - frame.lag
        self._first = now if self._first is None else self._first
        self._frames += 1
        self._below += latency * 1e3 <= self._target_ms
        control, before = self._control, self.shown
        self._take_opened()
        control.delivered(now, latency)
        late, work = control.percentile(), self._meter.recent_work()
        chosen = control.decide(now, work)
        if chosen is not None and late is not None:
            self._change(chosen, now, late, work, before)
        elif control.asked is not None and self._opener is None and not self._closing:
            self._opener = threading.Thread(
                target=self._open, args=(control.asked,), name="engine", daemon=True
            )
            self._opener.start()
        if control.exhausted and not self._told_exhausted:
            self._told_exhausted = True
            _log.warning(
                "latency stays above %g ms: no smaller input or longer stride is left "
                "(the stages work %.0f ms on a frame)",
                self._target_ms,
                1e3 * work,
            )

    def report(self) -> dict[str, Any]:
        """The report: target, share below it, and changes."""
        return {
            "target_ms": self._target_ms,
            "below_target": round(self._below / self._frames, 4) if self._frames else None,
            "input_sizes": [_sizes_in_words(models) for models in self._ladder],
            "input_size": _sizes_in_words(self.current),
            "stride": self.stride,
            "changes": list(self._changes),
            "changes_in_all": self._count,
        }

    def close(self) -> None:
        """Close the nets of other sizes."""
        self._closing = True
        self._maker.cancel()
        opener = self._opener
        if opener is not None:
            opener.join()
        for models in self._ladder[1:]:
            for model in models:
                model.close()

    def _change(self, level: Level, now: float, late: float, work: float, before: str) -> None:
        self.current = self._ladder[level.size]
        self._meter.changed()
        self._count += 1
        self._changes.append(
            {
                "after_s": round(now - (self._first or now), 2),
                "input_size": _sizes_in_words(self.current),
                "stride": level.stride,
                "latency_ms": round(1e3 * late, 1),
                "work_ms": round(1e3 * work, 1),
            }
        )
        _log.info(
            "p%.0f of the latency is %.0f ms, the target %g ms: %s -> %s",
            100 * SHARE,
            1e3 * late,
            self._target_ms,
            before,
            self.shown,
        )

    def _open(self, size: int) -> None:
        """Open the nets of another size, on a thread that no frame waits for."""
        models = self._ladder[size]
        try:
            for model in models:
                if model.needs_graph:
                    self._maker.make(model.files, model.card)
                if self._closing:
                    return
                model.open()
                # The first call initialises, and takes as long as many others.
                width, height = model.files.input_size
                model.infer(model.prepare(np.full((height, width, 3), 128, np.uint8))[0])
            self._by_size |= {_key(model): model for model in models}
            self._opened = (size, None)
        except BaseException as error:  # raised or logged on the thread that delivers frames
            self._opened = (size, error)

    def _take_opened(self) -> None:
        """Hand an opened size to the control, or log why it could not be opened."""
        if self._opened is None:
            return
        (size, error), self._opened, self._opener = self._opened, None, None
        if error is None:
            self._control.offer(size)
        elif isinstance(error, LivevisionError):
            _log.warning("%s; continuing without that size", error)
            self._control.refuse(size)
        else:
            raise error


def _key(model: Model) -> tuple[str, tuple[int, int]]:
    return model.name, model.files.input_size


def _pixels(models: Sequence[Model]) -> float:
    return float(sum(m.files.input_size[0] * m.files.input_size[1] for m in models))


def _levers(model: Model, sizes: Sizes) -> str:
    listed = ", ".join("x".join(map(str, files.input_size)) for files in sizes.files)
    only = "" if len(sizes.files) > 1 else " only"
    return f"{model.name} at {listed}{only} ({sizes.note})"


def _sizes_in_words(models: Sequence[Model]) -> str:
    return "+".join("x".join(map(str, model.files.input_size)) for model in models)


def _words(models: Sequence[Model], stride: int) -> str:
    ending = {1: "", 2: "nd", 3: "rd"}.get(stride, "th")
    every = "every frame" if stride == 1 else f"every {stride}{ending} frame"
    return f"{_sizes_in_words(models)} {every}"
