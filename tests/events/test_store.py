"""The store of events: order, crashes, a full disk and bounds."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from livevision.errors import OutputError
from livevision.events.sending import Delivery, SendError
from livevision.events.store import EventStore
from tests.events.making import Keeping, event, until

WRITER = """
import sys
from pathlib import Path
from livevision.events.store import EventStore
from tests.events.making import event
store = EventStore(Path(sys.argv[1]))
for number in range(1_000_000):
    each = event(number)
    store.add(each)
    print(each.id, flush=True)
"""


def test_events_are_read_in_order(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "e.sqlite")
    events = [event(n) for n in range(130)]
    for each in events:
        store.add(each)
    store.add(events[0])  # once more; the id is known
    first = store.after(0)
    assert [each.id for each in (*first, *store.after(first[-1].seq))] == [e.id for e in events]
    assert json.loads(first[5].text) == events[5].to_dict()
    assert first[5].body["classes"][2] == "cañon"
    store.close()
    again = EventStore(tmp_path / "e.sqlite")
    assert again.count() == 130
    again.close()


def test_added_events_survive_kill_9(tmp_path: Path) -> None:
    for moment in range(3):
        path = tmp_path / f"{moment}.sqlite"
        pipe = subprocess.PIPE
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=pipe, text=True)
        assert writer.stdout is not None
        told = [writer.stdout.readline().strip() for _ in range(40 + 37 * moment)]
        writer.kill()
        told += [line.strip() for line in writer.stdout if len(line) == 27]
        writer.wait()
        store = EventStore(path)
        kept = [each.id for each in store.after(0, 1_000_000)]
        store.close()
        assert kept[: len(told)] == told


def test_with_a_full_disk_events_stay_in_memory_until_there_is_room(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "e.sqlite")
    store.add(event(0))
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count={pages + 2}")
    events = [event(n) for n in range(1, 200)]
    for each in events:
        store.add(each)
    assert store.count() < 100
    store._connection.execute("PRAGMA max_page_count=1000000")
    time.sleep(0.5)
    store.add(event(200))
    assert [each.id for each in store.after(1, 199)] == [each.id for each in events]
    assert store.lost == 0
    store.close()


def test_the_store_is_bounded_and_counts_undelivered_events(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "e.sqlite", keep=600)
    for n in range(500):
        store.add(event(n))
    store.delivered("slow", 100)
    for n in range(1500):
        store.add(event(n))
    assert 600 <= store.count() <= 1100
    assert store.after(0, 1)[0].seq == 2000 - store.count() + 1
    assert store.dropped == 2000 - store.count() - 100
    store.close()


def test_a_file_that_is_not_a_store_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "e.sqlite"
    file.write_text("these are not the events you are looking for " * 100)
    with pytest.raises(OutputError, match="cannot store events"):
        EventStore(file)
    with pytest.raises(OutputError):
        EventStore(tmp_path / "none" / "e.sqlite")


def test_a_delivery_continues_where_the_last_one_stopped(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "e.sqlite")
    events = [event(n) for n in range(120)]
    for each in events[:70]:
        store.add(each)
    first = Keeping()
    delivery = Delivery(store, first)
    until(lambda: len(first.got) == 70)
    delivery.close()
    store.close()
    store = EventStore(tmp_path / "e.sqlite")
    second = Keeping()
    delivery = Delivery(store, second)
    for each in events[70:]:
        store.add(each)
    delivery.close()
    store.close()
    assert first.got + second.got == [each.id for each in events]
    assert delivery.sent == 50


def test_failures_lose_no_event_and_keep_the_order(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "e.sqlite")

    def fail(call: int) -> SendError | None:
        return SendError("away", done=call % 4) if call < 12 else None

    sender = Keeping(fail)
    delivery = Delivery(store, sender, first=0.01)
    events = [event(n) for n in range(60)]
    for each in events:
        store.add(each)
    until(lambda: delivery.sent == 60)
    delivery.close()
    store.close()
    assert sender.got == [each.id for each in events]
    assert delivery.failures >= 5


def test_a_refused_event_is_skipped(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "e.sqlite")
    events = [event(n) for n in range(10)]
    for each in events:
        store.add(each)
    sender = Keeping(lambda call: SendError("no", done=3, refused=True) if call == 1 else None)
    delivery = Delivery(store, sender, first=0.01)
    until(lambda: delivery.sent == 9)
    delivery.close()
    store.close()
    assert sender.got == [each.id for n, each in enumerate(events) if n != 3]
    assert delivery.refused == 1
