"""Pipes as sources: a wait for their writer that can be ended, as FFmpeg's own cannot."""

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
    """A pipe, open for reading, once something has been written to it.

    Args:
        path: A named pipe; None for standard input.
        given_up: Asked now and then; once it says True, the wait is over.

    Yields:
        A descriptor, open until the context is left; None once given up. That of standard input
        may be of any kind, and stays open.
    """
    if sys.platform == "win32":
        yield 0
        return
    if path is None:
        yield 0 if not _is_pipe(0) or _written(0, given_up) else None
        return
    # Opening it plainly would wait for a writer, and nothing could wake that.
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
    """Wait until there is something to read, or the end of it."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while not given_up():
        if poll.poll(1000 * _LOOK_EVERY_S):
            return True
    return False
