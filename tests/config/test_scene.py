"""Scenes in YAML: what they may say, and one line with a suggestion for what is wrong."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from livevision.config.scene import Scene, read_scene, scene_of
from livevision.config.scene.values import in_pixels
from livevision.errors import UsageError

TEXT = """
lines:
  gate: {points: [[0.1, 0.5], [0.9, 0.5]], classes: [person, car]}
zones:
  till: {points: [[0, 0], [320, 0], [320, 240]], anchor: center, queue-after: 1m}
ignore:
  - [[0, 0], [0.2, 0], [0.2, 0.1]]
rules:
  long queue:
    when: {zone: till, class: person, count: ">= 3", for: 120s}
    until: "< 2"
    cooldown: 10m
    schedule: {days: mon-fri, from: 8:30, to: "18:00", timezone: Europe/Berlin}
  covered: {when: {zone: till, class: "car, bus", share: "> 30%"}}
  entered: {when: {line: gate, crosses: in}}
"""


def refusal(**parts: Any) -> str:
    with pytest.raises(UsageError) as caught:
        scene_of(parts)
    text = str(caught.value)
    assert "\n" not in text
    return text


def rule(when: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "zones": {"till": {"points": [[0, 0], [1, 0], [1, 1]]}},
        "lines": {"gate": {"points": [[0, 0.5], [1, 0.5]]}},
        "rules": {"r": {"when": when, **more}},
    }


def test_a_scene_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(TEXT)
    scene = read_scene(file)
    (gate,), (till,) = scene.lines, scene.zones
    assert in_pixels(gate.points, (640, 480)) == ((64, 240), (576, 240))
    assert in_pixels(till.points, (640, 480)) == till.points
    assert (till.anchor, till.queue_after, gate.classes) == ("centre", 60, ("person", "car"))
    queue, covered, entered = scene.rules
    assert (queue.when.seconds, queue.cooldown, str(queue.until)) == (120, 600, "< 2")
    assert queue.when.bound.holds(3)
    assert not queue.when.bound.holds(2)
    assert (covered.when.measure, covered.when.bound.bound) == ("share", 0.3)
    assert covered.when.classes == ("car", "bus")
    assert (entered.when.line, entered.when.crosses) == ("gate", "in")
    berlin = ZoneInfo("Europe/Berlin")
    for hour, minute, day, applies in (
        *((8, 29, 2, False), (8, 30, 2, True), (18, 0, 2, True), (18, 1, 2, False)),
        (12, 0, 7, False),
    ):
        moment = datetime(2026, 11, day if day != 7 else 8, hour, minute, tzinfo=berlin)
        assert queue.schedule.applies(moment.astimezone(ZoneInfo("UTC"))) is applies


def test_hours_over_midnight_belong_to_the_day_before() -> None:
    night = {"days": ["fri"], "from": "22:00", "to": "06:00", "timezone": "UTC"}
    schedule = scene_of(rule({"zone": "till"}, schedule=night)).rules[0].schedule
    utc = ZoneInfo("UTC")
    # 6 November 2026 is a Friday.
    told = [
        schedule.applies(datetime(2026, 11, day, hour, tzinfo=utc))
        for day, hour in ((6, 5), (6, 23), (7, 5), (7, 7), (7, 23))
    ]
    assert told == [False, True, True, False, False]


def test_nothing_is_a_scene_too() -> None:
    assert scene_of({}) == Scene()


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"zone": {}}, "Did you mean 'zones'"),
        ({"lines": {"a": {"points": [[0, 0]]}}}, "line 'a'"),
        ({"lines": {"a": {"points": [[1, 1], [1, 1]]}}}, "two ends that differ"),
        ({"zones": {"a": {"points": [[0, 0], [0.5, 0.5], [1, 1]]}}}, "encloses nothing"),
        ({"zones": {"a": {"points": [[0, 0], [1, 0], ["x", 1]]}}}, "'x'"),
        ({"zones": {"a": {"points": [[0, 0], [1, 0], [-1, 1]]}}}, "-1"),
        ({"zones": {"a": {"points": [[0, 0], [1, 0], [1, 1]], "anchor": "botom"}}}, "'bottom'"),
        (rule({"zone": "tll"}), "unknown zone 'tll'. Did you mean 'till'?"),
        (rule({"line": "till"}), "unknown line 'till'"),
        (rule({}), "a zone or a line"),
        (rule({"zone": "till", "count": "many"}), "'many'"),
        (rule({"zone": "till", "count": ">= 3", "dwell": "> 1m"}), "choose one"),
        (rule({"zone": "till", "share": "> 30"}), "'> 30%'"),
        (rule({"zone": "till", "for": "2 weeks"}), "'2 weeks'"),
        (rule({"zone": "till", "crosses": "in"}), "crosses is for a line"),
        (rule({"line": "gate", "for": "2s"}), "for is for a zone"),
        (rule({"line": "gate", "count": 3}), "within"),
        (rule({"line": "gate", "crosses": "inn"}), "Did you mean 'in'"),
        (rule({"zone": "till", "count": ">= 3"}, until=">= 5"), "does not end"),
        (rule({"zone": "till"}, coldown="1m"), "Did you mean 'cooldown'"),
        (rule({"zone": "till"}, schedule={"days": "mon-fry"}), "'fry'"),
        (rule({"zone": "till"}, schedule={"timezone": "Berlin"}), "Europe/Berlin"),
        (rule({"zone": "till"}, schedule={"from": "25:00"}), "'25:00'"),
    ],
    ids=range(23),
)
def test_what_is_wrong_is_told_in_a_line(parts: dict[str, Any], said: str) -> None:
    assert said in refusal(**parts)


def test_unknown_classes_are_refused_with_the_nearest() -> None:
    scene = scene_of(rule({"zone": "till", "class": "persn"}))
    with pytest.raises(UsageError, match=r"rule 'r': unknown class 'persn'. Did you mean 'person'"):
        scene.check_classes(["person", "car"])
    scene_of(rule({"zone": "till", "class": "person"})).check_classes(["person", "car"])


def test_a_file_that_is_no_yaml_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("zones: [")
    with pytest.raises(UsageError, match="not valid YAML"):
        read_scene(file)
    with pytest.raises(UsageError, match="cannot read"):
        read_scene(tmp_path / "none.yaml")
