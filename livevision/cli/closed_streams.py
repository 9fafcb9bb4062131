"""Replacements for standard streams that were closed at start, as services and `2>&-` do."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


def occupy_descriptors() -> None:
    """Open the null device on those of descriptors 0 to 2 that are closed.

    Otherwise the next file to be opened gets that number, and libraries print into it.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # POSIX returns the lowest free number, which is this one.
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)


@contextlib.contextmanager
def standard_error() -> Iterator[None]:
    """Provide a standard error where Python has none.

    Without one `print` falls back to standard output, which is for results.
    """
    if sys.stderr is not None:
        yield
        return
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        contextlib.redirect_stderr(nowhere),
    ):
        yield
