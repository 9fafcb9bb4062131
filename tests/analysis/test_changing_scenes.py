"""Scenes by source, and scenes that change during a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from livevision.analysis.event import Event
from livevision.analysis.stage import Analysis
from livevision.config.scene import Scene, scene_of
from livevision.frame import Inferred, LiveSettings
from livevision.protocols import SourceInfo
from tests.analysis.making import Walker, detections, inferred, watched

INFO = SourceInfo("shop", False, (640, 480))
ALL = [[0, 0], [1, 0], [1, 1], [0, 1]]
LEFT = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
RIGHT = [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]
GATE = {"points": [[0, 0.5], [1, 0.5]]}


def busy(zone: str) -> dict[str, Any]:
    return {"when": {"zone": zone, "count": ">= 1"}}


def within(scene: Scene | None, frame: Inferred, source: int = 0) -> Inferred:
    """A frame of a source with this scene."""
    own = replace(frame.frame, source=source)
    return replace(frame, frame=own, settings=LiveSettings(scene=scene))


def test_each_source_has_its_own_scene() -> None:
    left = scene_of({"zones": {"z": {"points": LEFT}}, "ignore": [RIGHT]})
    right = scene_of({"zones": {"z": {"points": RIGHT}}})
    analysis = Analysis()
    for source in range(3):
        analysis.opened(source, INFO)
    people = [Walker(1, (100, 300), (0, 0)), Walker(2, (500, 300), (0, 0), name="car")]
    for frame in watched(people, 2, numbered=False):
        kept = [
            analysis(within(scene, frame, source)).results["detect"]
            for source, scene in enumerate((left, right, None))
        ]
    assert [len(found) for found in kept] == [1, 2, 2]
    assert kept[2].tracker_id is None, "nothing asks for tracks"
    assert analysis.figures(0)["zones"]["z"]["now"] == {"person": 1}
    assert analysis.figures(1)["zones"]["z"]["now"] == {"car": 1}
    assert analysis.figures(2) == {}


def test_unchanged_shapes_keep_their_counts_and_removed_rules_end() -> None:
    events: list[Event] = []
    analysis = Analysis("bytetrack", None, events.append)
    analysis.opened(0, INFO)
    stays = {"lines": {"gate": GATE}, "zones": {"all": {"points": ALL}, "side": {"points": LEFT}}}
    first = scene_of({**stays, "rules": {"full": busy("all"), "left": busy("side")}})
    moved = {**stays["zones"], "side": {"points": RIGHT}}
    second = scene_of(
        {**stays, "zones": moved, "rules": {"full": busy("all"), "left": busy("side")}}
    )
    people = [Walker(1, (100, 100), (0, 60)), Walker(2, (200, 300), (0, 0))]
    frames = list(watched(people, 10, numbered=False))
    for frame in frames[:120]:
        analysis(within(first, frame))
    assert [(e.rule, e.phase) for e in events] == [("full", "began"), ("left", "began")]
    assert analysis.figures(0)["lines"]["gate"]["out"] == {"person": 1}
    for frame in frames[120:130]:
        analysis(within(second, frame))
    assert analysis.figures(0)["lines"]["gate"]["out"] == {"person": 1}, "the line is the same"
    assert analysis.figures(0)["zones"]["side"]["now"] == {}, "the zone is another"
    over = events[2:]
    assert [(e.rule, e.phase, e.began) for e in over] == [("left", "ended", events[1].id)]
    for frame in frames[130:140]:
        analysis(within(None, frame))
    assert [(e.rule, e.phase) for e in events[3:]] == [("full", "ended")]
    for frame in frames[140:150]:
        analysis(within(first, frame))
    assert [(e.rule, e.phase) for e in events[4:]] == [("full", "began"), ("left", "began")]
    assert analysis.figures(0)["lines"]["gate"] == {"in": {}, "out": {}}
    assert len({e.id for e in events}) == len(events)


def test_a_scene_with_only_ignored_regions_needs_no_tracking() -> None:
    analysis = Analysis()
    analysis.opened(0, INFO)
    frame = inferred(0, detections([[400, 100, 430, 200], [10, 100, 40, 200]]))
    found = analysis(within(scene_of({"ignore": [RIGHT]}), frame)).results["detect"]
    assert len(found) == 1
    assert found.tracker_id is None
