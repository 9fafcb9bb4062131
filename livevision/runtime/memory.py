"""Memory that was freed, given back to the system: a run may last for weeks."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Callable, Iterator

_EVERY_S = 30.0


@contextlib.contextmanager
def freed_memory_returned(own_process: bool, every: float = _EVERY_S) -> Iterator[None]:
    """Return freed memory to the system now and then, while the context lasts.

    glibc keeps what was freed between blocks still in use, for each of a dozen or more groups of
    threads. With cameras that come and go, and a recording, that grew by 60 MB in half an hour.

    Args:
        own_process: Nothing is done without one, in a program that called livevision.
        every: Seconds between two times.
    """
    trim = _trim() if own_process else None
    if trim is None:
        yield
        return
    ended = threading.Event()

    def go() -> None:
        while not ended.wait(every):
            trim(0)  # without Python's lock, in some milliseconds

    thread = threading.Thread(target=go, name="memory", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _trim() -> Callable[[int], int] | None:
    """glibc's malloc_trim(3); None with another C library."""
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return found
