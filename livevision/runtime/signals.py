"""The signals that end a command, and how the process then ends."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import threading

received: list[int] = []
"""Signals that came before a pipeline took them over.

What a handler raises is lost where it interrupts a callback whose errors Python swallows, such as
that of a weak reference. So who takes over looks here too.
"""

_WORKERS = ("capture", "preprocess", "inference", "overlay", "engine")


def ending_signals() -> list[int]:
    """Ctrl-C, SIGTERM, and SIGHUP (a terminal is closed) unless ``nohup`` wants it ignored.

    Ctrl-C is taken even where a shell script started the program in the background, which leaves it
    ignored: who sends it wants the files finished.
    """
    found: list[int] = [signal.SIGINT, signal.SIGTERM]
    for name in ("SIGHUP", "SIGBREAK"):  # the first on POSIX, the second on Windows
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            found.append(number)
    return found


def drop_lost_terminal() -> None:
    """Let what is written to a terminal that was closed go nowhere, rather than fail."""
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
    """End this process here where threads of a pipeline were left behind at work.

    Python would take down the libraries below them, which then end the process by a signal.
    """
    if not any(thread.name in _WORKERS for thread in threading.enumerate()):
        return
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)
