"""A run and the terminal that it was started from: signals that end it, and its progress."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from livevision.pipeline import Pipeline

if TYPE_CHECKING:
    from tqdm import tqdm

    from livevision.config import Settings


class Signals:
    """Turns Ctrl-C and SIGTERM into a clean end of the run; a second one ends it at once."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.signal: int | None = None
        self._pipeline = pipeline
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: object) -> None:
        if self.signal is not None:
            os._exit(128 + number)
        self.signal = number
        self._pipeline.stop()


class Progress:
    """A tqdm bar on a terminal, nothing elsewhere."""

    def __init__(self, settings: Settings) -> None:
        self._hidden = settings.quiet or not settings.progress or not sys.stderr.isatty()
        self._max_frames = settings.max_frames
        self._bar: tqdm[Any] | None = None
        self._total: int | None = 0

    def __enter__(self) -> Progress:
        if not self._hidden:
            from tqdm import tqdm

            self._bar = tqdm(total=None, unit="frame", dynamic_ncols=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def expect(self, frames: int | None) -> None:
        """A source has opened that will give about so many frames; None: nobody knows."""
        if self._max_frames is not None:
            frames = min(frames or self._max_frames, self._max_frames)
        self._total = None if frames is None or self._total is None else self._total + frames
        if self._bar is not None:
            self._bar.total = self._total
            self._bar.refresh()

    def advance(self) -> None:
        """One more frame has been delivered."""
        if self._bar is not None:
            self._bar.update()
