"""Pipes as sources: an interruptible wait for their writer, which FFmpeg lacks."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_LOOK_EVERY_S = 0.1


@contextmanager
def written_pipe(path: str | None, given_up: Callable[[], bool]) -> Iterator[int | None]:
    """Open a pipe for reading, once data has been written to it.

    Args:
        path: A named pipe; None for standard input.
        given_up: Polled while waiting; True ends the wait.

    Yields:
        A descriptor, open until the context ends; None if given up. Standard input may be of any
        kind, and stays open.
    """
    if sys.platform == "win32":
        yield 0
        return
    if path is None:
        yield 0 if not _is_pipe(0) or _written(0, given_up) else None
        return
    # A blocking open would wait for a writer, uninterruptibly.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        written = _written(descriptor, given_up)
        os.set_blocking(descriptor, True)
        yield descriptor if written else None
    finally:
        os.close(descriptor)


def is_named_pipe(path: str) -> bool:
    return sys.platform != "win32" and Path(path).is_fifo()


def _is_pipe(descriptor: int) -> bool:
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _written(descriptor: int, given_up: Callable[[], bool]) -> bool:
    """Wait until there is data or the end of it."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while not given_up():
        if poll.poll(1000 * _LOOK_EVERY_S):
            return True
    return False
