"""Standard output for rows: written as they come, without blocking the end of a run."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import sys
import time
from collections.abc import Callable

from livevision.errors import OutputError

log = logging.getLogger(__name__)

_AT_ONCE = 4096  # bytes that a writable pipe takes without blocking
_POLL_S = 0.1
_PATIENCE_S = 1.0


class StandardOutput:
    """Takes rows, like ``OutputFile``.

    A slow reader is waited for, since every row counts. If a reader stops reading when the run is
    stopping, it is waited for a second; the rows it missed are then logged.

    Args:
        stopping: Whether the run is stopping.

    Raises:
        OutputError: Standard output is closed.
        BrokenPipeError: From ``write``: the reader has gone.
    """

    def __init__(self, stopping: Callable[[], bool] = lambda: False) -> None:
        self._stopping = stopping
        self._lost = 0
        self._patience = _PATIENCE_S
        self._descriptor: int | None = None
        if sys.stdout is None:
            raise OutputError("cannot write to standard output: it is closed; give --output a file")
        sys.stdout.flush()
        # Notebooks have no descriptor, and Windows cannot poll pipes.
        if os.name != "nt":
            with contextlib.suppress(OSError, ValueError):
                self._descriptor = sys.stdout.fileno()

    def write(self, data: bytes) -> int:
        """Write a row; if nobody reads and the run is stopping, none or only its beginning."""
        if self._descriptor is None:
            sys.stdout.write(data.decode())
            sys.stdout.flush()
            return len(data)
        rest = memoryview(data)
        while rest and not self._lost:
            if self._takes(self._descriptor):
                rest = rest[os.write(self._descriptor, rest[:_AT_ONCE]) :]
            elif self._patience <= 0:
                break
        self._lost += bool(rest)
        return len(data)

    def close(self) -> None:
        """Log rows that were not read; standard output stays open."""
        if self._lost:
            log.warning("standard output was not read: %d rows are lost", self._lost)
            self._lost = 0

    def _takes(self, descriptor: int) -> bool:
        """Whether something can be written now; waits for a moment."""
        asked = time.monotonic()
        _, ready, _ = select.select([], [descriptor], [], _POLL_S)
        if not ready and self._stopping():
            self._patience -= time.monotonic() - asked
        return bool(ready)
