"""Log messages of livevision as plain lines on standard error."""

from __future__ import annotations

import logging
import sys


class _Lines(logging.Handler):
    """Writes each record as `livevision: …`, above the progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        try:
            line = f"livevision: {level}{self.format(record)}"
            bars = getattr(sys.modules.get("tqdm"), "tqdm", None)
            if bars is not None:
                bars.write(line, file=sys.stderr)
            else:
                print(line, file=sys.stderr)
        except OSError:  # standard error is gone: nobody is left to read it
            self.handleError(record)


def set_up(verbose: bool = False, quiet: bool = False) -> None:
    """Show livevision's log messages on standard error.

    Args:
        verbose: Show details too.
        quiet: Show errors only.
    """
    logger = logging.getLogger("livevision")
    logger.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO)
    logger.handlers[:] = [_Lines()]
