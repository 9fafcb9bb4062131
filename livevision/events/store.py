"""Events on disk until they are delivered: an SQLite file that processes and threads share.

An event is in the file once ``add`` returns, and survives the end of the process, however it ends.
Each sender has a position of its own, which it moves on when something is delivered.
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
_WAITING = 10_000  # events that wait in memory while the disk is full
_TOGETHER_S = 1.0
_AT_ONCE = 200
_RETRY_S = 5.0
_TRIM_EVERY = 500  # events between looks at whether there are too many


@dataclass(frozen=True, slots=True)
class Stored:
    """An event in the store.

    Attributes:
        seq: Its place, from 1; later ones are higher.
        id: The event's id.
        text: The event as JSON.
    """

    seq: int
    id: str
    text: str

    @property
    def body(self) -> dict[str, Any]:
        """The event as a mapping."""
        body: dict[str, Any] = json.loads(self.text)
        return body


class EventStore:
    """Keeps events in their order, the newest ``keep`` of them. May be used by several threads.

    Args:
        path: The file; made where it is missing.
        keep: Most events in it; the oldest go first, delivered or not, and those that no sender had
            are told of.

    Attributes:
        lost: Events that never came to the disk, since it was full for too long.
        dropped: Events that went before every sender had them.

    Raises:
        OutputError: The file cannot be made, or is something else.
    """

    def __init__(self, path: Path, keep: int = 1_000_000) -> None:
        self.path, self._keep = path, keep
        self.lost = self.dropped = 0
        self._lock = threading.Lock()
        self._waiting: deque[Event] = deque()
        self._passages: deque[Passage] = deque(maxlen=_WAITING)
        self._written = self._retry_at = 0.0
        self._added = threading.Condition()
        self._until_trim = _TRIM_EVERY
        self._told = False
        try:
            self._connection = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            # In WAL the file survives the end of the process; a power cut may cost the last ones.
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("PRAGMA journal_size_limit=8388608")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise OutputError(f"cannot keep events in {path}: {error}") from None

    def add(self, event: Event) -> None:
        """Keep an event; one that cannot be written now waits in memory for the next one."""
        with self._lock:
            self._waiting.append(event)
            if len(self._waiting) > _WAITING:
                self._waiting.popleft()
                self.lost += 1
            self._write()
        with self._added:
            self._added.notify_all()

    def note(self, passage: Passage) -> None:
        """Keep a crossing or a visit; several within a second are written together."""
        with self._lock:
            self._passages.append(passage)
            if time.monotonic() - self._written >= _TOGETHER_S:
                self._write()

    def after(self, seq: int, most: int = 100) -> list[Stored]:
        """The next events behind a place, in their order."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT seq, id, body FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (seq, most)
            ).fetchall()
        return [Stored(*row) for row in rows]

    def position(self, sender: str) -> int:
        """The place of the last event that a sender has delivered; 0 for none."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT seq FROM positions WHERE sender = ?", (sender,)
            ).fetchone()
        return 0 if row is None else int(row[0])

    def delivered(self, sender: str, seq: int) -> None:
        """A sender has delivered everything up to a place.

        Raises:
            sqlite3.Error: It cannot be written now; the events will be sent again.
        """
        with self._lock, self._connection:
            self._connection.execute(
                "INSERT INTO positions VALUES (?, ?) ON CONFLICT (sender) DO UPDATE SET seq = ?",
                (sender, seq, seq),
            )

    def waited(self, seconds: float) -> None:
        """Wait for an event to be added, but no longer than this."""
        with self._added:
            self._added.wait(seconds)

    def wake(self) -> None:
        """End all waits."""
        with self._added:
            self._added.notify_all()

    def count(self) -> int:
        """How many events are in the store."""
        with self._reading() as connection:
            return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])

    def close(self) -> None:
        """Write what waits, and let go of the file."""
        with self._lock:
            self._write(last=True)
            self.lost += len(self._waiting)
            self._connection.close()
        if self.lost:
            log.warning("%d events could not be written to %s", self.lost, self.path)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._connection

    def _write(self, *, last: bool = False) -> None:
        """Bring what waits to the disk, as far as it takes it.

        What fails is tried again after ten times as long as it took, so that a full disk does not
        hold up those who add.
        """
        while self._waiting or self._passages:
            begun = time.monotonic()
            if begun < self._retry_at and not last:
                return
            events = [self._waiting[n] for n in range(min(_AT_ONCE, len(self._waiting)))]
            passages = [self._passages[n] for n in range(min(_AT_ONCE, len(self._passages)))]
            try:
                with self._connection:
                    self._insert(events, passages)
            except sqlite3.Error as error:
                if not self._told:
                    log.error(
                        "cannot write events to %s, and keep them meanwhile: %s", self.path, error
                    )
                self._told = True
                now = time.monotonic()
                self._retry_at = now + min(_RETRY_S, 10 * (now - begun))
                return
            for _ in events:
                self._waiting.popleft()
            for _ in passages:
                self._passages.popleft()
            self._told = False
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
        """Let the oldest go where there are too many."""
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
