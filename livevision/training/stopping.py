"""Ctrl-C and SIGTERM in a training run: they end it between two steps, with a checkpoint."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# A terminal and torchrun both pass Ctrl-C on, so what follows at once is the same one.
_SAME_SECONDS = 3.0


class BrokenOff(Exception):
    """What ran within `Stop.at_once` was not finished."""


class Stop:
    """Whether the run was asked to stop, and by which signal."""

    def __init__(self) -> None:
        self.signal = 0
        self._at = 0.0
        self._at_once = False

    def __bool__(self) -> bool:
        return self.signal != 0

    def note(self, number: int, frame: FrameType | None) -> None:
        """Take a signal; a second Ctrl-C by hand does not wait for the step's end."""
        if self.signal and number == signal.SIGINT and time.monotonic() > self._at + _SAME_SECONDS:
            raise KeyboardInterrupt
        if not self.signal:
            self._at = time.monotonic()
        self.signal = self.signal or number
        if self._at_once:
            self._at_once = False
            raise BrokenOff

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within it, a signal breaks off what runs, which changes nothing that is kept.

        Raises:
            BrokenOff: there was a signal, now or before.
        """
        if self:
            raise BrokenOff
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def end_run(self) -> None:
        """End the process the way the signal asks for.

        Raises:
            KeyboardInterrupt: after Ctrl-C, or where another process was the one that was told.
            SystemExit: after SIGTERM, with 143.
        """
        if self.signal == signal.SIGTERM:
            raise SystemExit(143)
        raise KeyboardInterrupt


@contextmanager
def stop_asked() -> Iterator[Stop]:
    """Within it, Ctrl-C and SIGTERM are noted instead of breaking off what runs."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # signals go to the main thread, whoever runs there
        return
    before = {n: signal.signal(n, stop.note) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
