"""The store of events: an SQLite file from which senders deliver; processes and threads share it.

An event is in the file once ``add`` returns, and survives a crash of the process. Each sender has
a position: the last event that it has delivered.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from livevision.analysis.event import Event
from livevision.analysis.passage import Passage
from livevision.errors import OutputError
from livevision.sqlite import open_shared

log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, source TEXT NOT NULL,
    time TEXT NOT NULL, rule TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_time ON events (time);
CREATE TABLE IF NOT EXISTS passages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, time TEXT NOT NULL,
    place TEXT NOT NULL, kind TEXT NOT NULL, class TEXT NOT NULL, seconds REAL);
CREATE TABLE IF NOT EXISTS positions (sender TEXT PRIMARY KEY, seq INTEGER NOT NULL);
"""
_BUSY_S = 5.0
_JOURNAL_BYTES = 8 * 1024**2
_MAX_PENDING = 10_000  # events kept in memory while the disk is full
_TOGETHER_S = 1.0
_AT_ONCE = 200
_RETRY_S = 5.0
_TRIM_EVERY = 500  # events between deletions of old ones


@dataclass(frozen=True, slots=True)
class Stored:
    """An event in the store.

    Attributes:
        seq: Its position, from 1, ascending.
        id: The event's id.
        text: The event as JSON.
    """

    seq: int
    id: str
    text: str

    @property
    def body(self) -> dict[str, Any]:
        """The event as a dictionary."""
        body: dict[str, Any] = json.loads(self.text)
        return body


class EventStore:
    """Stores events in order, the newest ``keep`` of them. Thread-safe.

    Args:
        path: The file; created if missing.
        keep: Maximum number of events; the oldest are deleted, whether delivered or not.

    Attributes:
        lost: Events that were never written, since the disk was full for too long.
        dropped: Events deleted before every sender had delivered them.

    Raises:
        OutputError: The file cannot be created, or is not a store.
    """

    def __init__(self, path: Path, keep: int = 1_000_000) -> None:
        self.path, self._keep = path, keep
        self.lost = self.dropped = 0
        self._lock = threading.Lock()
        self._pending: deque[Event] = deque()
        self._passages: deque[Passage] = deque(maxlen=_MAX_PENDING)
        self._written = self._retry_at = 0.0
        self._added = threading.Condition()
        self._until_trim = _TRIM_EVERY
        self._reported = False
        try:
            self._connection = open_shared(
                path, _SCHEMA, timeout=_BUSY_S, journal_bytes=_JOURNAL_BYTES
            )
        except sqlite3.Error as error:
            raise OutputError(f"cannot store events in {path}: {error}") from None

    def add(self, event: Event) -> None:
        """Store an event; if it cannot be written now, it stays in memory until the next write."""
        with self._lock:
            self._pending.append(event)
            if len(self._pending) > _MAX_PENDING:
                self._pending.popleft()
                self.lost += 1
            self._write()
        with self._added:
            self._added.notify_all()

    def add_passage(self, passage: Passage) -> None:
        """Store a crossing or a visit; those within a second are written together."""
        with self._lock:
            self._passages.append(passage)
            if time.monotonic() - self._written >= _TOGETHER_S:
                self._write()

    def after(self, seq: int, most: int = 100) -> list[Stored]:
        """The next events after a position, in order."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT seq, id, body FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (seq, most)
            ).fetchall()
        return [Stored(*row) for row in rows]

    def position(self, sender: str) -> int:
        """The position of the last event that a sender has delivered; 0 for none."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT seq FROM positions WHERE sender = ?", (sender,)
            ).fetchone()
        return 0 if row is None else int(row[0])

    def delivered(self, sender: str, seq: int) -> None:
        """Save that a sender has delivered all events up to a position.

        Raises:
            sqlite3.Error: It cannot be written now; the events will be sent again.
        """
        with self._lock, self._connection:
            self._connection.execute(
                "INSERT INTO positions VALUES (?, ?) ON CONFLICT (sender) DO UPDATE SET seq = ?",
                (sender, seq, seq),
            )

    def wait(self, seconds: float) -> None:
        """Wait until an event is added, at most for a time."""
        with self._added:
            self._added.wait(seconds)

    def wake(self) -> None:
        """End all waits."""
        with self._added:
            self._added.notify_all()

    def count(self) -> int:
        """Number of events in the store."""
        with self._reading() as connection:
            return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])

    def close(self) -> None:
        """Write what is pending and close the file."""
        with self._lock:
            self._write(last=True)
            self.lost += len(self._pending)
            self._connection.close()
        if self.lost:
            log.warning("%d events could not be written to %s", self.lost, self.path)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._connection

    def _write(self, *, last: bool = False) -> None:
        """Write what is pending, as far as possible.

        A failure is retried after ten times its duration, so that a full disk does not block
        ``add``.
        """
        while self._pending or self._passages:
            begun = time.monotonic()
            if begun < self._retry_at and not last:
                return
            events = [self._pending[n] for n in range(min(_AT_ONCE, len(self._pending)))]
            passages = [self._passages[n] for n in range(min(_AT_ONCE, len(self._passages)))]
            try:
                with self._connection:
                    self._insert(events, passages)
            except sqlite3.Error as error:
                if not self._reported:
                    log.error(
                        "cannot write events to %s; they are kept in memory: %s", self.path, error
                    )
                self._reported = True
                now = time.monotonic()
                self._retry_at = now + min(_RETRY_S, 10 * (now - begun))
                return
            for _ in events:
                self._pending.popleft()
            for _ in passages:
                self._passages.popleft()
            self._reported = False
        self._written = time.monotonic()

    def _insert(self, events: Sequence[Event], passages: Sequence[Passage]) -> None:
        rows = []
        for event in events:
            text = json.dumps(event.to_dict(), ensure_ascii=False, separators=(", ", ": "))
            rows.append((event.id, event.source, event.time, event.rule, text))
        self._connection.executemany(
            "INSERT OR IGNORE INTO events (id, source, time, rule, body) VALUES (?, ?, ?, ?, ?)",
            rows,
        )
        self._connection.executemany(
            "INSERT INTO passages (source, time, place, kind, class, seconds) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [astuple(passage) for passage in passages],
        )
        self._until_trim -= len(rows) + len(passages)
        if self._until_trim <= 0:
            self._until_trim = _TRIM_EVERY
            self._trim()

    def _trim(self) -> None:
        """Delete the oldest events if there are too many."""
        self._connection.execute(
            f"DELETE FROM passages WHERE seq <= (SELECT max(seq) FROM passages) - {int(self._keep)}"
        )
        over = f"SELECT max(seq) - {int(self._keep)} FROM events"
        last = self._connection.execute(over).fetchone()[0] or 0
        if last <= 0:
            return
        slowest = self._connection.execute("SELECT min(seq) FROM positions").fetchone()[0]
        if slowest is not None:
            behind = self._connection.execute(
                "SELECT count(*) FROM events WHERE seq <= ? AND seq > ?", (last, slowest)
            )
            self.dropped += int(behind.fetchone()[0])
        self._connection.execute("DELETE FROM events WHERE seq <= ?", (last,))
