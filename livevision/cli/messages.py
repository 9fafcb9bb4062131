"""Log messages of livevision as lines on standard error: text for people, JSON for programs."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from livevision.redact import redact


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


class _Objects(logging.Handler):
    """Writes each record as one line of JSON: time, level, logger and message.

    A record with ``fields`` (``extra={"fields": {…}}``) has them too, one with an error its
    traceback as ``error``.
    """

    def emit(self, record: logging.LogRecord) -> None:
        row: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            row["error"] = redact(logging.Formatter().formatException(record.exc_info))
        with contextlib.suppress(OSError):
            print(json.dumps(row, ensure_ascii=False, default=str), file=sys.stderr, flush=True)


def set_up(verbose: bool = False, quiet: bool = False, as_json: bool = False) -> None:
    """Show livevision's log messages on standard error.

    Args:
        verbose: Show details too.
        quiet: Show errors only.
        as_json: As lines of JSON.
    """
    logger = logging.getLogger("livevision")
    logger.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO)
    logger.handlers[:] = [_Objects() if as_json else _Lines()]


def say(line: str, level: int = logging.INFO) -> None:
    """Print a line that is not a log message, in the format that ``set_up`` chose."""
    handlers = logging.getLogger("livevision").handlers
    if handlers and isinstance(handlers[0], _Objects):
        logging.getLogger("livevision").log(level, "%s", line)
        return
    prefix = "error: " if level >= logging.ERROR else ""
    with contextlib.suppress(OSError):
        print(f"livevision: {prefix}{line}", file=sys.stderr)
