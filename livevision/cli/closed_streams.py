"""Standard streams that the process was started without, as services and `2>&-` do."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


def occupy_descriptors() -> None:
    """Lead descriptors 0 to 2 that are closed to nowhere.

    The next file to be opened would get their number, and what libraries print would go into it.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # POSIX gives the lowest free number, which is this one.
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)


@contextlib.contextmanager
def standard_error() -> Iterator[None]:
    """A standard error that takes what is said, where Python has none.

    `print` would turn to standard output instead, which is for results.
    """
    if sys.stderr is not None:
        yield
        return
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        contextlib.redirect_stderr(nowhere),
    ):
        yield
