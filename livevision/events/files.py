"""Events as rows of a file: JSON lines, or a table."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from livevision.errors import OutputError
from livevision.events.sending import Sender, SendError
from livevision.events.store import Stored

COLUMNS = (
    *("id", "time", "source", "rule", "phase", "place", "kind", "value", "way", "tracks"),
    *("classes", "frame", "frame_time", "began", "lasted", "picture", "clip"),
)
"""Columns of a .csv file; tracks are separated by spaces, classes by ``;``."""


class FileSender(Sender):
    """Appends events to a .jsonl or .csv file. After a crash some may be written twice.

    Args:
        path: The file; created if missing.

    Raises:
        OutputError: The suffix is another one, or the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        if path.suffix.lower() not in (".jsonl", ".csv"):
            raise OutputError(f"cannot write {path}: events are written to .jsonl or .csv")
        self._table = path.suffix.lower() == ".csv"
        self._columns: Sequence[str] = COLUMNS
        try:
            self._file = path.open("ab")
            if self._table and path.stat().st_size:
                # A file begun by an earlier version keeps its columns.
                with path.open(newline="", encoding="utf-8", errors="replace") as before:
                    self._columns = next(csv.reader(before), COLUMNS)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from None

    def send(self, events: Sequence[Stored]) -> None:
        """Write events and flush them to disk."""
        rows = b"".join(self._row(event) for event in events)
        start = os.fstat(self._file.fileno()).st_size
        if self._table and not start:
            rows = _line(dict(zip(COLUMNS, COLUMNS, strict=True)), COLUMNS) + rows
        try:
            self._file.write(rows)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            # A partial row would corrupt the next one.
            self._file = _reopened(self._file.name, start)
            raise SendError(f"cannot write: {error.strerror}") from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _row(self, event: Stored) -> bytes:
        if not self._table:
            return event.text.encode(errors="backslashreplace") + b"\n"
        body = event.body
        body["tracks"] = " ".join(map(str, body.get("tracks", ())))
        body["classes"] = ";".join(body.get("classes", ()))
        return _line(body, self._columns)


def _line(row: dict[str, object], columns: Sequence[str]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writerow(row)
    return text.getvalue().encode(errors="backslashreplace")


def _reopened(name: str, size: int) -> io.BufferedWriter:
    file = Path(name).open("ab")  # noqa: SIM115 - the sender closes it
    file.truncate(size)
    return file
