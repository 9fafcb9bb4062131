"""The signals that end a command, and the exit of the process."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import threading

received: list[int] = []
"""Signals that arrived before a pipeline took over.

An exception of a handler is lost if it interrupts a callback whose errors Python discards, such as
that of a weak reference. The pipeline therefore checks here too.
"""

_WORKERS = (
    "capture", "preprocess", "inference", "overlay", "engine", "stream", "gstreamer", "closing"
)  # fmt: skip
"""Threads that use libraries which Python's shut-down frees; a source's number may follow."""


def ending_signals() -> list[int]:
    """Ctrl-C, SIGTERM, and SIGHUP (terminal closed) unless ``nohup`` ignores it.

    Ctrl-C is handled even if a shell script started the program in the background, which ignores
    it: whoever sends it wants the files finished.
    """
    found: list[int] = [signal.SIGINT, signal.SIGTERM]
    for name in ("SIGHUP", "SIGBREAK"):  # the first on POSIX, the second on Windows
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            found.append(number)
    return found


def drop_lost_terminal() -> None:
    """Redirect output to a closed terminal to the null device, so that it does not fail."""
    try:
        import termios
    except ImportError:  # Windows
        return
    for descriptor in (1, 2):
        try:
            termios.tcgetattr(descriptor)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)


def leave_if_busy(code: int) -> None:
    """End this process here if threads of a pipeline were abandoned at work.

    Python's own shut-down would free the libraries they use, which crashes the process.
    """
    if not any(t.name.partition(" ")[0] in _WORKERS for t in threading.enumerate()):
        return
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)
