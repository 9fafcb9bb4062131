"""Crossings and visits in the store, and its summary as tables, CSV and a page."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from livevision.analysis.event import as_text
from livevision.analysis.passage import Passage
from livevision.analysis.watching import Watching
from livevision.cli import main
from livevision.config.scene import scene_of
from livevision.events.reading import EventFilter, EventReader
from livevision.events.store import EventStore
from livevision.events.summary import EDGES, Place, bar_label, summarise
from livevision.events.summary_page import page
from livevision.protocols import SourceInfo
from tests.analysis.making import Walker, watched
from tests.events.making import event

MORNING = datetime(2026, 11, 29, 8, 10, tzinfo=UTC)
TILL, GATE = Place("door", "till"), Place("door", "gate <b>")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of a morning: people at the till, and crossings at the gate."""
    path = tmp_path / "shop.sqlite"
    made = EventStore(path)
    stays = [2, 4, 8, 20, 20, 50, 100, 400, 4000]
    for n, seconds in enumerate(stays):
        time = as_text(MORNING + timedelta(minutes=20 * n))
        made.add_passage(Passage("door", time, "till", "visit", "person", float(seconds)))
    for n in range(7):
        time = as_text(MORNING + timedelta(hours=3 * (n % 2)))
        made.add_passage(Passage("door", time, "gate <b>", "in" if n < 5 else "out", "car", None))
    for n in range(6):
        time = as_text(MORNING + timedelta(minutes=30 * n))
        made.add(event(n, time=time, source="door", phase="ended" if n == 5 else "began"))
    made.close()
    return path


def test_hours_classes_and_durations(store: Path) -> None:
    reader = EventReader(store)
    found = summarise(reader, zone=UTC)
    assert found.hours == [f"2026-11-29T{hour:02d}:00+00:00" for hour in (8, 9, 10, 11)]
    eight, nine, ten, eleven = found.hours
    visits = [found.counts[hour, TILL, "visit", "person"] for hour in found.hours]
    assert visits == [3, 3, 3, 0]
    assert found.counts[eight, GATE, "in", "car"] == 3
    assert found.counts[eleven, GATE, "in", "car"] == 2
    assert found.counts[eleven, GATE, "out", "car"] == 1
    assert [found.events[hour, "door", "long queue"] for hour in (eight, nine, ten)] == [2, 2, 1]
    stay = found.durations[TILL, "person"]
    assert dict(zip(EDGES, stay.bars, strict=True)) == {
        **{0.0: 2, 5.0: 1, 15.0: 2, 30.0: 1, 60.0: 1},
        **{120.0: 0, 300.0: 1, 900.0: 0, 3600.0: 1},
    }
    assert (stay.visits, stay.median, stay.longest) == (9, 20.0, 4000.0)
    assert abs(stay.mean - sum([2, 4, 8, 20, 20, 50, 100, 400, 4000]) / 9) < 1e-9
    half = summarise(reader, zone=timezone(timedelta(hours=5, minutes=30)))
    assert half.hours[0] == "2026-11-29T13:00+05:30"
    by_day = summarise(reader, zone=timezone(timedelta(hours=15)), by="day")
    assert by_day.hours == ["2026-11-29", "2026-11-30"]
    assert by_day.counts["2026-11-30", TILL, "visit", "person"] == 6
    some = summarise(reader, EventFilter(class_="car"), UTC)
    assert some.places == [GATE]
    assert not summarise(reader, EventFilter(source="yard"), UTC).hours
    reader.close()


def test_crossings_and_visits_are_stored_independent_of_rules(tmp_path: Path) -> None:
    path = tmp_path / "e.sqlite"
    store = EventStore(path)
    scene = scene_of(
        {
            "lines": {"gate": {"points": [[320, 0], [320, 480]]}},
            "zones": {"right": {"points": [[330, 0], [640, 0], [640, 480], [330, 480]]}},
        }
    )
    stage = Watching(scene, store.add, store.add_passage)
    stage.opened(0, SourceInfo("door", live=True, size=(640, 480)))
    # Each walks from the left over the line, and stays on the right until he is gone.
    walkers = [Walker(n, (200 - 20 * n, 300), (50, 0), seen=(0, 6 + n / 2)) for n in range(4)]
    for inferred in watched(walkers, 12):
        stage(inferred)
    stage.ended(0)
    store.close()
    reader = EventReader(path)
    kinds = [(p.place, p.kind, p.class_) for p in reader.passages()]
    assert kinds.count(("gate", "in", "person")) + kinds.count(("gate", "out", "person")) == 4
    assert kinds.count(("right", "visit", "person")) == 4
    lengths = sorted(p.seconds or 0 for p in reader.passages() if p.kind == "visit")
    # From x = 330 on, 130 + 20 n pixels at 50 a second, until they are gone.
    expected = sorted(6 + n / 2 - (130 + 20 * n) / 50 for n in range(4))
    assert all(abs(a - b) < 0.15 for a, b in zip(lengths, expected, strict=True))
    reader.close()


def test_the_summary_page_is_complete_and_loads_nothing(store: Path) -> None:
    reader = EventReader(store)
    html = page(summarise(reader, zone=UTC), "Events & more", "a morning")
    reader.close()
    assert not re.search(r"(src|href)\s*=|url\(|@import|<script|https?://", html)
    assert "gate &lt;b&gt;" in html
    assert "<b>" not in html
    plots = [ET.fromstring(plot) for plot in re.findall(r"<svg.*?</svg>", html)]
    assert len(plots) == 5, "in, out, visits, lengths, events"
    told = [title.text for plot in plots for title in plot.iter("title")]
    assert "2026-11-29T08:00+00:00: person 3" in told
    assert f"{bar_label(2)}: person 2" in told
    bars = [float(bar.attrib["height"]) for bar in plots[2].iter("rect")]
    assert bars == [200.0] * 3, "as high as the most, three an hour"


def test_the_command(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", str(store), "--timezone", "UTC"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"08:00\+00:00 +till +person +3 ", told)
    assert re.search(r"08:00\+00:00 +gate <b> +car +3 ", told)
    assert re.search(r"till +person +9 +511\.6 +20\.0 +4000\.0", told)
    html = tmp_path / "a.html"
    arguments = ["summary", str(store), "--csv", "-", "--html", str(html), "--timezone", "UTC"]
    assert main(arguments) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    counted = {(r["hour"][11:13], r["place"], r["measure"]): r["value"] for r in rows}
    assert counted["08", "gate <b>", "in"] == "3"
    assert counted["", "till", bar_label(0)] == "2"
    assert counted["08", "long queue", "began"] == "2"
    assert html.read_text().startswith("<!doctype html>")
    later = ["--from", "2026-11-30", "--to", "2026-12-01"]
    assert main(["summary", str(store), *later]) == 0
    assert "no events" in capsys.readouterr().out
    same_day = ["--from", "2026-11-29", "--to", "2026-11-29", "--timezone", "UTC"]
    assert main(["summary", str(store), *same_day]) == 0
    assert "till" in capsys.readouterr().out
    for wrong in (["--by", "week"], ["--from", "monday"], ["--timezone", "Mars"]):
        assert main(["summary", str(store), *wrong]) == 2
        assert wrong[1] in capsys.readouterr().err
    assert main(["summary", str(tmp_path / "none.sqlite")]) == 2
    assert "there is no store" in capsys.readouterr().err
