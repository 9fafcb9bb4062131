"""The index of recorded segments: an SQLite file beside them, for any program to read.

segments    file, source, start_utc, end_utc, bytes, complete
events      file, id, time, rule, phase, body

Times are in UTC, as ISO 8601 writes them; ``body`` is the event as JSON. ``complete`` is 0 for a
segment that is being written, or that the end of a process left behind.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from livevision.analysis.event import Event, as_text
from livevision.errors import OutputError
from livevision.sqlite import open_shared

log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS segments (
    file TEXT PRIMARY KEY, source TEXT NOT NULL, start_utc TEXT NOT NULL, end_utc TEXT NOT NULL,
    bytes INTEGER NOT NULL, complete INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS segments_time ON segments (source, start_utc);
CREATE TABLE IF NOT EXISTS events (
    file TEXT NOT NULL, id TEXT NOT NULL, time TEXT NOT NULL, rule TEXT NOT NULL,
    phase TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (file, id));
"""
_BUSY_S = 2.0
_JOURNAL_BYTES = 1024**2
_WAITING = 10_000  # changes that wait in memory while the file cannot be written


@dataclass(frozen=True, slots=True)
class Segment:
    """A row of the index.

    Attributes:
        file: Path within the folder.
        source: Name of the source.
        start, end: In UTC, as ISO 8601 writes it.
        bytes: Size of the file.
        complete: It was finished.
    """

    file: str
    source: str
    start: str
    end: str
    bytes: int
    complete: bool


class SegmentIndex:
    """The index. Safe from any thread. A change that cannot be written waits for the next one.

    Args:
        path: The file; created if missing.

    Raises:
        OutputError: It cannot be created, or is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, tuple[Any, ...]]] = deque(maxlen=_WAITING)
        self._told = False
        try:
            self._connection = open_shared(
                path, _SCHEMA, timeout=_BUSY_S, journal_bytes=_JOURNAL_BYTES
            )
        except sqlite3.Error as error:
            raise OutputError(f"cannot keep an index in {path}: {error}") from None

    def put(
        self, file: str, source: str, start: datetime, end: datetime, size: int, *, complete: bool
    ) -> None:
        """Store the present state of a segment."""
        row = (file, source, as_text(start), as_text(end), size, int(complete))
        self._write("INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?, ?, ?)", row)

    def happened(self, file: str, event: Event) -> None:
        """Store that a segment shows an event."""
        body = json.dumps(event.to_dict(), ensure_ascii=False)
        row = (file, event.id, event.time, event.rule, event.phase, body)
        self._write("INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?)", row)

    def forget(self, files: Collection[str]) -> None:
        """Delete the rows of deleted segments."""
        for file in files:
            self._write("DELETE FROM segments WHERE file = ?", (file,))
            self._write("DELETE FROM events WHERE file = ?", (file,))

    def segments(self) -> list[Segment]:
        """All segments, by source and time.

        Raises:
            OutputError: The index cannot be read.
        """
        return [_segment(row) for row in self._read("ORDER BY source, start_utc")]

    def newest(
        self, source: str | None, between: tuple[datetime, datetime] | None, most: int
    ) -> list[Segment]:
        """Segments, newest first.

        Args:
            source: Of one source; None for all.
            between: That show something of this time; None for any.
            most: How many at most.

        Raises:
            OutputError: The index cannot be read.
        """
        where, values = ["1"], list[str | int]()
        if source is not None:
            where.append("source = ?")
            values.append(source)
        if between is not None:
            where.append("end_utc >= ? AND start_utc < ?")
            values += [as_text(moment) for moment in between]
        rows = self._read(
            f"WHERE {' AND '.join(where)} ORDER BY start_utc DESC LIMIT ?", *values, most
        )
        return [_segment(row) for row in rows]

    def one(self, file: str) -> Segment | None:
        """The segment of a file; None if the index has none.

        Raises:
            OutputError: The index cannot be read.
        """
        return next(map(_segment, self._read("WHERE file = ?", file)), None)

    def events(self, files: Collection[str]) -> dict[str, list[dict[str, Any]]]:
        """The events that segments show, by file.

        Raises:
            OutputError: The index cannot be read.
        """
        marks = ", ".join("?" * len(files))
        rows = self._ask(
            f"SELECT file, id, time, rule, phase FROM events WHERE file IN ({marks}) ORDER BY time",
            *files,
        )
        found: dict[str, list[dict[str, Any]]] = {}
        for file, *values in rows:
            event = dict(zip(("id", "time", "rule", "phase"), values, strict=True))
            found.setdefault(file, []).append(event)
        return found

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._connection.close()

    def _read(self, which: str, *values: str | int) -> list[tuple[Any, ...]]:
        columns = "file, source, start_utc, end_utc, bytes, complete"
        return self._ask(f"SELECT {columns} FROM segments {which}", *values)

    def _ask(self, statement: str, *values: str | int) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise OutputError(f"cannot read {self.path}: {error}") from None

    def _write(self, statement: str, row: tuple[Any, ...]) -> None:
        with self._lock:
            self._waiting.append((statement, row))
            try:
                with self._connection:
                    for each in self._waiting:
                        self._connection.execute(*each)
            except sqlite3.Error as error:
                if not self._told:
                    log.warning("cannot write %s now, and try later: %s", self.path, error)
                self._told = True
                return
            self._waiting.clear()
            self._told = False


def _segment(row: tuple[Any, ...]) -> Segment:
    file, source, start, end, size, complete = row
    return Segment(file, source, start, end, size, bool(complete))
