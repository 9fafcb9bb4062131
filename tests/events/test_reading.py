"""Queries of a store by source, rule, class and day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from livevision.analysis.event import as_text
from livevision.errors import UsageError
from livevision.events.reading import EventFilter, EventReader
from livevision.events.store import EventStore
from tests.events.making import event

START = datetime(2026, 11, 28, 21, 30, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Sixty events, one every ten minutes, from 21:30 on."""
    place = tmp_path / "an odd name?.sqlite"
    store = EventStore(place)
    for n in range(60):
        more: dict[str, Any] = {
            "source": ("door", "yard")[n % 2],
            "rule": ("queue", "came in", "waits")[n % 3],
            "classes": ("person", "car") if n % 4 == 0 else ("person",),
            "tracks": (n, n + 1) if n % 4 == 0 else (n,),
            "time": as_text(START + timedelta(minutes=10 * n)),
            "phase": "ended" if n % 5 == 4 else "began",
        }
        store.add(event(n, **more, picture=f"c/{n}.jpg", clip=f"c/{n}.mp4"))
    store.close()
    return place


def frames(reader: EventReader, **more: Any) -> list[int]:
    return [each.body["frame"] for each in reader.find(EventFilter(**more))]


def test_filter_by_source_rule_class_and_phase(path: Path) -> None:
    reader = EventReader(path)
    assert frames(reader) == list(range(59, -1, -1)), "newest first"
    assert frames(reader, source="yard", rule="queue") == list(range(57, 0, -6))
    assert frames(reader, class_="car") == list(range(56, -1, -4))
    assert frames(reader, class_="bus") == []
    assert frames(reader, phase="ended") == list(range(59, 0, -5))
    assert frames(reader, rule="x' OR '1'='1") == []
    assert reader.find()[0].body["clip"] == "c/59.mp4"
    assert reader.names() == {
        "sources": ["door", "yard"],
        "rules": ["came in", "queue", "waits"],
        "classes": ["car", "person"],
    }
    one = reader.find(most=1)[0]
    assert reader.one(one.id) == one
    assert reader.one("nobody") is None
    reader.close()


def test_filter_by_day_in_a_time_zone(path: Path) -> None:
    reader = EventReader(path)
    # Midnight in UTC is two and a half hours, fifteen events, behind the first.
    assert frames(reader, day=date(2026, 11, 28), zone=UTC) == list(range(14, -1, -1))
    assert frames(reader, day=date(2026, 11, 29), zone=UTC) == list(range(59, 14, -1))
    east = timezone(timedelta(hours=1))
    assert frames(reader, day=date(2026, 11, 28), zone=east) == list(range(8, -1, -1))
    assert frames(reader, day=date(2026, 11, 30), zone=UTC) == []
    later = START + timedelta(hours=9)
    assert frames(reader, since=later, source="door") == [58, 56, 54]
    assert frames(reader, until=START + timedelta(minutes=10)) == [0]


def test_paging_and_all_events_in_order_while_a_run_writes(path: Path) -> None:
    reader, store = EventReader(path), EventStore(path)
    first = reader.find(most=25)
    store.add(event(1000, source="door"))
    second = reader.find(before=first[-1].seq, most=25)
    rest = reader.find(before=second[-1].seq, most=25)
    assert [e.body["frame"] for e in (*first, *second, *rest)] == list(range(59, -1, -1))
    assert [e.body["frame"] for e in reader.each()] == [*range(60), 1000]
    store.close()
    assert len(list(reader.each(EventFilter(source="yard")))) == 30
    reader.close()


def test_files_that_are_not_stores_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no store"):
        EventReader(tmp_path / "none.sqlite")
    assert not list(tmp_path.iterdir()), "nothing is made by looking"
    (tmp_path / "e.sqlite").write_text("no database" * 100)
    with pytest.raises(UsageError, match="is not a store"):
        EventReader(tmp_path / "e.sqlite")
