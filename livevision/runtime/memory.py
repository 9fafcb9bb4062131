"""Memory that nothing uses any more, given back to the system: a run may last for weeks."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import threading
from collections.abc import Callable, Iterator

_EVERY_S = 30.0


@contextlib.contextmanager
def unused_memory_returned(own_process: bool, every: float = _EVERY_S) -> Iterator[None]:
    """Return unused memory to the system now and then, while the context lasts.

    - Containers of PyAV refer to each other in circles: a finished segment or a lost connection
      keeps its buffers until Python looks for such circles. Among the hundred thousand objects of a
      run it may do that once in half an hour.
    - glibc keeps what was freed between blocks still in use, for each of a dozen groups of threads.

    With cameras that came and went, and recordings, a run grew by 60 MB in half an hour.

    Args:
        own_process: Nothing is done without one, in a program that called livevision.
        every: Seconds between two times.
    """
    if not own_process:
        yield
        return
    ended, trim = threading.Event(), _trim()
    gc.freeze()  # what is there now stays: looking through it would hold up frames

    def go() -> None:
        while not ended.wait(every):
            gc.collect()
            if trim is not None:
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
