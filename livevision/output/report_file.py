"""The report file of a run: checked before the work, written atomically after it."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from livevision.errors import OutputError, UsageError
from livevision.files import write_whole
from livevision.output.place import end_of_links, same, special

log = logging.getLogger(__name__)

STANDARD_OUTPUT = Path("-")
_OPEN = re.compile(r"-|/dev/(stdout|stderr|fd/(\d+))")
_NAMED = {None: 1, "stdout": 1, "stderr": 2}


def check_report(path: Path, inputs: Iterable[Path] = ()) -> None:
    """Check that a report can be written, before the work rather than after it.

    Args:
        path: The report. An existing file is replaced; a pipe or device is written to; "-" is
            standard output.
        inputs: Files that the run reads.

    Raises:
        UsageError: The path is a folder, or one of the inputs.
        OutputError: It cannot be written.
    """
    if path.is_dir():
        raise UsageError(f"--report {path} is a folder; it must be a file, such as {path}/run.json")
    if any(source.exists() and same(source, path) for source in inputs):
        raise UsageError(f"--report {path} is the input; give the report another name")
    if path == STANDARD_OUTPUT:
        if sys.stdout is None:
            raise OutputError("--report -: standard output is closed; give --report a file")
        return
    if _goes_through(path):
        if not os.access(path, os.W_OK):
            raise OutputError(f"--report {path} is not writable")
        return
    folder = end_of_links(path).parent
    if not folder.is_dir():
        raise OutputError(f"--report {path}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"--report {path}: the folder {folder} is not writable")


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write a report as JSON, and log where; an existing file is replaced atomically.

    Raises:
        OutputError: It cannot be written.
    """
    text = json.dumps(report, indent=2) + "\n"
    try:
        if _goes_through(path):
            _write_through(path, text)
        else:
            write_whole(end_of_links(path), text)
    except OSError as error:
        raise OutputError(f"cannot write the report {path}: {error.strerror}") from error
    if path != STANDARD_OUTPUT:
        log.info("report in %s", path)


def _goes_through(path: Path) -> bool:
    """Whether a path is written in place: a pipe, a device, or an open file of this process."""
    return special(path) is not None or _OPEN.fullmatch(str(path)) is not None


def _write_through(path: Path, text: str) -> None:
    """Write to a pipe or device. A pipe without a reader is an error; it is not waited for."""
    found = _OPEN.fullmatch(str(path))
    if found is not None:
        # Not reopened, which would start again at the beginning of a file.
        descriptor = os.dup(_NAMED.get(found[1], -1) if found[2] is None else int(found[2]))
    else:
        descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
        if hasattr(os, "set_blocking"):
            os.set_blocking(descriptor, True)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode())
