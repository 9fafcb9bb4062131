"""Ctrl-C and SIGTERM in a training run: they end it between two steps, with a checkpoint."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Both the terminal and torchrun pass Ctrl-C on, so a second one shortly after is the same.
_SAME_SECONDS = 3.0


class BrokenOff(Exception):
    """Work inside `Stop.at_once` was interrupted."""


class Stop:
    """Whether the run was asked to stop, and by which signal."""

    def __init__(self) -> None:
        self.signal = 0
        self._at = 0.0
        self._at_once = False

    def __bool__(self) -> bool:
        return self.signal != 0

    def note(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal; a second Ctrl-C by the user does not wait for the end of the step."""
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
        """Context in which a signal interrupts the work, which must not change any state.

        Raises:
            BrokenOff: there is a signal, now or before.
        """
        if self:
            raise BrokenOff
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def end_run(self) -> None:
        """End the process as the signal demands.

        Raises:
            KeyboardInterrupt: after Ctrl-C, or if another process got the signal.
            SystemExit: after SIGTERM, with 143.
        """
        if self.signal == signal.SIGTERM:
            raise SystemExit(143)
        raise KeyboardInterrupt


@contextmanager
def stop_asked() -> Iterator[Stop]:
    """Context in which Ctrl-C and SIGTERM are noted and interrupt nothing."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # signals go to the main thread, whatever runs there
        return
    before = {n: signal.signal(n, stop.note) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
