"""A command's own process: when it started, and when Python collects garbage in it."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path


def process_start() -> float:
    """``time.monotonic()`` when this process began, to a hundredth of a second on Linux.

    Elsewhere to a second or so, as the system's clock may have been set since the machine started.
    """
    try:
        # Fields of proc(5) behind the program's name, which may contain spaces and brackets.
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        began = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return time.monotonic() - (time.clock_gettime(time.CLOCK_BOOTTIME) - began)
    except (OSError, ValueError, AttributeError):  # not Linux
        import psutil

        return time.monotonic() - (time.time() - psutil.Process().create_time())


@contextlib.contextmanager
def without_collection(own_process: bool = True) -> Iterator[None]:
    """Seek no garbage while packages are imported, nor among them later.

    Importing makes some hundred thousand objects that stay; Python looks through them again and
    again, a tenth of a second of CPU at a start.

    Args:
        own_process: Nothing changes without one, in a program that called livevision.
    """
    if not own_process:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def end_soon() -> None:
    """Free nothing when the process ends, which would take a fifth of a second."""
    gc.freeze()
