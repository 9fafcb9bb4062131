"""A run on a terminal: the signals that end it, and its progress bar."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from livevision.runtime.pipeline import Pipeline
from livevision.runtime.signals import drop_lost_terminal, ending_signals, received

if TYPE_CHECKING:
    from tqdm import tqdm

    from livevision.config import Settings


class Signals:
    """Turns Ctrl-C, SIGTERM and a closed terminal into a clean end of the run.

    A second signal ends it at once and prints what was saved until then. Outside the main thread,
    which alone may handle signals, it does nothing.

    Args:
        pipeline: What a signal stops.
        saved: Returns where results are, one line each.
        reload: Reads the settings again; called on a thread of its own at a SIGHUP that no closed
            terminal sent. None where SIGHUP ends the run.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        saved: Callable[[], Sequence[str]] = list,
        reload: Callable[[], object] | None = None,
    ) -> None:
        self.signal: int | None = None
        self._pipeline, self._saved, self._reload = pipeline, saved, reload
        self._had_terminal = _has_terminal()
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in ending_signals():
                self._previous[number] = signal.signal(number, self._handle)
            for number in received[:1]:
                self._handle(number, None)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: object) -> None:
        drop_lost_terminal()
        hung_up = number == getattr(signal, "SIGHUP", None)
        if hung_up and self._reload is not None and _has_terminal() == self._had_terminal:
            threading.Thread(target=self._reload, name="reload", daemon=True).start()
            return
        if self.signal is None:
            self.signal = number
            self._pipeline.stop()
            return
        # Nothing that could wait for the interrupted code: no logging, no Python file objects.
        lines = ["", "livevision: stopped at once, with unfinished files"]
        lines += [f"livevision: saved until now: {where}" for where in self._saved()]
        with contextlib.suppress(OSError):
            os.write(2, "\n".join([*lines, ""]).encode(errors="backslashreplace"))
        os._exit(128 + number)


def _has_terminal() -> bool:
    """Whether this process has a terminal that could be closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True


class Bar:
    """A tqdm bar of frames on a terminal, nothing elsewhere."""

    def __init__(self, settings: Settings) -> None:
        quiet = settings.quiet or settings.log_format == "json" or not settings.progress
        self._hidden = quiet or not sys.stderr.isatty()
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> Self:
        if not self._hidden:
            from tqdm import tqdm

            self._bar = tqdm(total=None, unit="frame", dynamic_ncols=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


class Progress(Bar):
    """The bar of a run."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._max_frames = settings.max_frames
        self._total: int | None = 0

    def expect(self, frames: int | None) -> None:
        """A source with about this many frames has opened; None if unknown."""
        if self._max_frames is not None:
            frames = min(frames or self._max_frames, self._max_frames)
        self._total = None if frames is None or self._total is None else self._total + frames
        if self._bar is not None:
            self._bar.total = self._total
            self._bar.refresh()

    def advance(self) -> None:
        """One more frame was delivered."""
        if self._bar is not None:
            self._bar.update()
