"""Rules on synthetic tracks: events are not early, repeated or caused by a gap."""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livevision.analysis.event import Event, Ulids
from livevision.analysis.rule_state import MAX_GAP_S, RuleState
from livevision.analysis.watching import Watching
from livevision.config.scene import Rule, scene_of
from livevision.frame import Frame, Inferred
from livevision.protocols import SourceInfo
from livevision.results import ClassMap
from tests.analysis.making import PICTURE, RATE, Walker, detections, inferred, watched

INFO = SourceInfo("shop", False, (640, 480))


def events_of(frames: Sequence[Inferred] | Any, when: dict[str, Any], **more: Any) -> list[Event]:
    scene = scene_of(
        {
            "zones": {"till": {"points": [[0.25, 0.25], [0.75, 0.25], [0.75, 1], [0.25, 1]]}},
            "lines": {"gate": {"points": [[0, 0.5], [1, 0.5]]}},
            "rules": {"r": {"when": when, **more}},
        }
    )
    events: list[Event] = []
    stage = Watching(scene, events.append)
    stage.opened(0, INFO)
    for frame in frames:
        stage(frame)
    stage.ended(0)
    return events


def three_people() -> list[Walker]:
    """Three people in the zone, the third from 4 s until 12 s."""
    return [
        Walker(1, (200, 300), (0, 0)),
        Walker(2, (300, 300), (0, 0)),
        Walker(3, (400, 300), (0, 0), seen=(4, 12)),
    ]


def test_a_count_for_a_time() -> None:
    when = {"zone": "till", "class": "person", "count": ">= 3", "for": "5s"}
    began, ended = events_of(watched(three_people(), 20), when)
    assert (began.phase, began.rule, began.place, began.kind) == ("began", "r", "till", "count")
    assert began.frame_time == pytest.approx(9)
    assert (began.tracks, began.classes, began.value) == ((1, 2, 3), ("person",) * 3, 3)
    assert began.source == "shop"
    # The third one is thought to be there for two seconds more, as who is hidden is.
    assert ended.phase == "ended"
    assert ended.frame_time == pytest.approx(14, abs=0.05)
    assert ended.lasted == pytest.approx(5, abs=0.05)
    assert ended.began == began.id
    assert events_of(watched(three_people(), 20), {**when, "for": "11s"}) == []
    assert events_of(watched(three_people(), 20), {**when, "class": "car"}) == []


def test_dropping_every_third_frame_changes_the_time_by_a_frame() -> None:
    when = {"zone": "till", "count": ">= 3", "for": "5s"}
    began, _ = events_of(watched(three_people(), 20, drop=3), when)
    assert began.frame_time == pytest.approx(9, abs=2 / RATE + 1e-6)


def test_an_event_ends_with_its_source() -> None:
    began, ended = events_of(watched(three_people(), 8), {"zone": "till", "count": ">= 3"})
    assert (began.phase, ended.phase, ended.began) == ("began", "ended", began.id)


def test_an_event_is_a_frozen_value_that_json_can_write() -> None:
    (began, _) = events_of(watched(three_people(), 8), {"zone": "till", "count": ">= 3"})
    with pytest.raises(FrozenInstanceError):
        began.rule = "other"  # type: ignore[misc]
    told = began.to_dict()
    assert told["tracks"] == [1, 2, 3]
    assert "lasted" not in told
    moment = datetime.fromisoformat(told["time"])
    assert moment.utcoffset() is not None
    assert told["time"].endswith("Z")
    # Made frames were captured when the monotonic clock began.
    assert moment.timestamp() == pytest.approx(clock.time() - clock.monotonic(), abs=5)


def test_hysteresis_holds_between_the_bounds() -> None:
    def counts(values: Sequence[int]) -> list[Inferred]:
        boxes = [[200 + 40 * n, 200, 220 + 40 * n, 300] for n in range(6)]
        # Steps of ten seconds, over which nobody who left is thought to be there.
        return [
            inferred(0, detections(boxes[:v], numbers=list(range(v))), time=t)
            for i, v in enumerate(values)
            for t in np.arange(10 * i, 10 * i + 10, 0.5)
        ]

    values = [1, 4, 2, 4, 3, 1, 4]
    when = {"zone": "till", "count": ">= 4"}
    loose = events_of(counts(values), when)
    kept = events_of(counts(values), when, until="<= 1")
    assert [e.phase for e in loose] == ["began", "ended"] * 3
    assert [e.phase for e in kept] == ["began", "ended"] * 2
    assert kept[1].frame_time == pytest.approx(50, abs=2.6)
    cooled = events_of(counts(values), when, cooldown="25s")
    assert [e.frame_time for e in cooled if e.phase == "began"] == [10, 35, 60]


def test_each_long_dwell_is_reported_once() -> None:
    walkers = [
        Walker(5, (200, 300), (0, 0), seen=(0, 30)),
        Walker(6, (300, 300), (0, 0), seen=(5, 30)),
        Walker(7, (400, 300), (0, 0), seen=(5, 9)),
    ]
    when = {"zone": "till", "dwell": ">= 8s"}
    told = events_of(watched(walkers, 30), when)
    assert [(e.tracks, round(e.frame_time)) for e in told] == [((5,), 8), ((6,), 13)]
    cooled = events_of(watched(walkers, 30), when, cooldown="10s")
    assert [(e.tracks, round(e.frame_time)) for e in cooled] == [((5,), 8), ((6,), 18)]


def test_the_queue_and_moving_tracks() -> None:
    when = {"zone": "till", "queue": ">= 2"}
    assert events_of(watched(three_people(), 20), when)[0].frame_time == pytest.approx(5)
    walkers = [Walker(1, (600, 300), (-60, 0)), Walker(2, (20, 320), (60, 0))]
    left = events_of(watched(walkers, 6), {"zone": "till", "moving": "left"})
    assert left[0].tracks == (1,)


def test_single_crossings_and_a_count_within_a_time() -> None:
    walkers = [
        Walker(n + 1, (100 + 40 * n, 100 - 60 * n), (0, 60), (n, n + 5), name=name)
        for n, name in enumerate(["person", "car", "person", "person"])
    ]
    out = {"line": "gate", "crosses": "out", "class": "person"}
    each = events_of(watched(walkers, 12), out)
    assert [(e.tracks, e.way, e.kind) for e in each] == [
        ((n,), "out", "crosses") for n in (1, 3, 4)
    ]
    assert events_of(watched(walkers, 12), {"line": "gate", "crosses": "in"}) == []
    many = {"line": "gate", "count": ">= 3", "within": "2.5s"}
    told = events_of(watched(walkers, 12), many)
    assert [e.phase for e in told] == ["began", "ended"] * 2
    assert [e.tracks for e in told if e.phase == "began"] == [(1, 2, 3), (2, 3, 4)]
    assert (told[0].value, told[1].began) == (3, told[0].id)
    assert events_of(watched(walkers, 12), {**many, "within": "1.5s"}) == []


def test_a_share_of_a_class_map() -> None:
    def frame(index: int, columns: int) -> Inferred:
        pixels = np.zeros((480, 640), np.uint8)
        pixels[:, 160 : 160 + columns] = 1
        at = Frame(0, index, index / RATE, 0.0, PICTURE)
        return Inferred(at, {"segment": ClassMap(pixels, ["road", "car", "bus"])})

    frames = [frame(i, columns) for i, columns in enumerate([0, 64, 128, 128, 64, 0])]
    when = {"zone": "till", "class": ["car", "bus"], "share": "> 30%"}
    began, ended = events_of(frames, when)
    assert (began.frame, ended.frame) == (2, 4)
    assert began.value == pytest.approx(0.4, abs=0.01)


def test_outside_its_schedule_a_rule_is_silent() -> None:
    when = {"zone": "till", "count": ">= 3"}
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    # Made frames were captured when the monotonic clock began.
    captured = datetime.fromtimestamp(clock.time() - clock.monotonic()).astimezone()
    today, other = days[captured.weekday()], days[(captured.weekday() + 3) % 7]
    frames = list(watched(three_people(), 8))
    assert len(events_of(frames, when, schedule={"days": [today]})) == 2
    assert events_of(frames, when, schedule={"days": [other]}) == []


def rule(bound: str, lasting: float, cooldown: float, until: str | None) -> Rule:
    when = {"zone": "z", "count": bound, "for": lasting}
    more = {} if until is None else {"until": until}
    zones = {"z": {"points": [[0, 0], [1, 0], [1, 1]]}}
    rules = {"r": {"when": when, "cooldown": cooldown, **more}}
    return scene_of({"zones": zones, "rules": rules}).rules[0]


FRAMES = st.lists(
    st.tuples(st.floats(0.01, 8.0), st.integers(0, 5), st.booleans()), min_size=1, max_size=80
)


@settings(max_examples=150, deadline=None)
@given(
    frames=FRAMES,
    lasting=st.floats(0, 12),
    cooldown=st.floats(0, 20),
    until=st.sampled_from([None, "< 1", "< 3"]),
)
def test_properties_of_every_rule(
    frames: list[tuple[float, int, bool]], lasting: float, cooldown: float, until: str | None
) -> None:
    made = rule(">= 3", lasting, cooldown, until)
    holding = RuleState(made)
    time, seen, changes = 0.0, [], []
    for step, value, applies in frames:
        time += step
        seen.append((time, value, applies))
        change = holding.update(value, time, applies)
        if change is not None:
            changes.append((time, value, applies, change))
    assert [c.began for *_, c in changes] == [n % 2 == 0 for n in range(len(changes))]
    begun = [time for time, *_, c in changes if c.began]
    assert all(b - a >= cooldown - 1e-9 for a, b in pairwise(begun))
    for at in begun:
        # Back from where it began, it held in all frames of a stretch that is long enough.
        start, later = at, at
        for t, value, applies in reversed([s for s in seen if s[0] <= at]):
            if later - t > MAX_GAP_S or value < 3 or not applies:
                break
            start = later = t
        assert at - start >= lasting - 1e-9
    for at, value, applies, change in changes:
        if not change.began:
            low = {None: 3, "< 1": 1, "< 3": 3}[until]
            assert value < low or not applies
            assert change.lasted == pytest.approx(at - max(b for b in begun if b < at))


@settings(max_examples=50, deadline=None)
@given(rate=st.floats(2, 60), lasting=st.floats(0.1, 10))
def test_a_rule_begins_with_the_first_frame_after_its_time(rate: float, lasting: float) -> None:
    holding = RuleState(rule(">= 3", lasting, 0, None))
    times = [n / rate for n in range(int(rate * (lasting + 2)))]
    begun = [t for t in times if holding.update(4, t, True) is not None]
    assert begun[0] == next(t for t in times if t >= lasting)
    assert len(begun) == 1


@settings(max_examples=50, deadline=None)
@given(moments=st.lists(st.floats(0, 4e9), min_size=2, max_size=40))
def test_event_ids_are_ascending_and_unique(moments: list[float]) -> None:
    ulids = Ulids()
    made = [ulids(moment) for moment in moments]
    assert made == sorted(set(made))
    assert all(len(name) == 26 and not set(name) & set("ILOU") for name in made)


def test_event_ids_begin_with_their_time() -> None:
    # The specification's own example.
    assert Ulids()(1469918176.385).startswith("01ARYZ6S41"[:10])
