"""Queries of a store of events, by source, rule, class and day; a run may be writing to it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path

from livevision.analysis.event import as_text
from livevision.analysis.passage import Passage
from livevision.errors import UsageError
from livevision.events.store import Stored
from livevision.sqlite import open_for_reading

_BUSY_S = 5.0
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Conditions on events; without any, all events match.

    Attributes:
        source, rule: Names.
        class_: Class of one of the event's tracks.
        phase: "began" or "ended".
        day: A day of ``zone``.
        zone: Time zone of the day; None for the machine's.
        since, until: Times, ``until`` excluded; None for no limit.
    """

    source: str | None = None
    rule: str | None = None
    class_: str | None = None
    phase: str | None = None
    day: date | None = None
    zone: tzinfo | None = None
    since: datetime | None = None
    until: datetime | None = None

    def where(self) -> tuple[str, list[str]]:
        """The conditions as SQL, and their values."""
        conditions, values = ["1"], list[str]()
        for column, value in (("source", self.source), ("rule", self.rule)):
            if value is not None:
                conditions.append(f"{column} = ?")
                values.append(value)
        if self.phase is not None:
            conditions.append("json_extract(body, '$.phase') = ?")
            values.append(self.phase)
        if self.class_ is not None:
            conditions.append("EXISTS (SELECT 1 FROM json_each(body, '$.classes') WHERE value = ?)")
            values.append(self.class_)
        first, last = self.since, self.until
        if self.day is not None:
            midnights = [
                datetime.combine(self.day + timedelta(days), time.min, self.zone).astimezone(UTC)
                for days in (0, 1)
            ]
            first = midnights[0] if first is None else max(first, midnights[0])
            last = midnights[1] if last is None else min(last, midnights[1])
        for sign, moment in ((">=", first), ("<", last)):
            if moment is not None:
                conditions.append(f"time {sign} ?")
                values.append(as_text(moment))
        return " AND ".join(conditions), values


class EventReader:
    """Reads a store. Thread-safe.

    Args:
        path: The store's file.

    Raises:
        UsageError: The file is missing, or is not a store.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        if not path.is_file():
            raise UsageError(f"there is no store of events {path}")
        try:
            self._connection = open_for_reading(path, timeout=_BUSY_S)
            self._connection.execute("SELECT seq, id, body FROM events LIMIT 1").fetchall()
        except sqlite3.Error as error:
            raise UsageError(f"{path} is not a store of events: {error}") from None

    def find(
        self, chosen: EventFilter | None = None, *, before: int | None = None, most: int = 100
    ) -> list[Stored]:
        """The newest events, newest first.

        Args:
            chosen: Conditions; None for all.
            before: Only events before this ``seq``, such as the last one of an earlier result.
            most: Maximum number of events.
        """
        condition, values = (chosen or EventFilter()).where()
        if before is not None:
            condition += f" AND seq < {int(before)}"
        query = f"SELECT seq, id, body FROM events WHERE {condition} ORDER BY seq DESC LIMIT ?"
        with self._lock:
            rows = self._connection.execute(query, (*values, most)).fetchall()
        return [Stored(*row) for row in rows]

    def one(self, name: str) -> Stored | None:
        """The event with an id; None if there is none."""
        query = "SELECT seq, id, body FROM events WHERE id = ?"
        with self._lock:
            row = self._connection.execute(query, (name,)).fetchone()
        return None if row is None else Stored(*row)

    def each(self, chosen: EventFilter | None = None) -> Iterator[Stored]:
        """All events in order."""
        condition, values = (chosen or EventFilter()).where()
        query = (
            f"SELECT seq, id, body FROM events WHERE {condition} AND seq > ? ORDER BY seq LIMIT ?"
        )
        seq = 0
        while True:
            with self._lock:
                rows = self._connection.execute(query, (*values, seq, _AT_ONCE)).fetchall()
            yield from (Stored(*row) for row in rows)
            if len(rows) < _AT_ONCE:
                return
            seq = rows[-1][0]

    def passages(self, chosen: EventFilter | None = None) -> Iterator[Passage]:
        """All crossings and visits in order, independent of rules; older stores have none."""
        chosen = chosen or EventFilter()
        class_ = chosen.class_
        condition, values = replace(chosen, rule=None, phase=None, class_=None).where()
        if class_ is not None:
            condition, values = f"{condition} AND class = ?", [*values, class_]
        query = (
            "SELECT seq, source, time, place, kind, class, seconds FROM passages "
            f"WHERE {condition} AND seq > ? ORDER BY seq LIMIT ?"
        )
        seq = 0
        while True:
            with self._lock:
                try:
                    rows = self._connection.execute(query, (*values, seq, _AT_ONCE)).fetchall()
                except sqlite3.OperationalError:
                    return
            yield from (Passage(*row[1:]) for row in rows)
            if len(rows) < _AT_ONCE:
                return
            seq = rows[-1][0]

    def names(self) -> dict[str, list[str]]:
        """The sources, rules and classes that have events."""
        queries = {
            "sources": "SELECT DISTINCT source FROM events ORDER BY 1",
            "rules": "SELECT DISTINCT rule FROM events ORDER BY 1",
            "classes": "SELECT DISTINCT value FROM events, json_each(body, '$.classes') ORDER BY 1",
        }
        with self._lock:
            return {
                name: [str(row[0]) for row in self._connection.execute(query)]
                for name, query in queries.items()
            }

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
