"""Crossings of a line by synthetic tracks with known truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from livevision.analysis.event import Event
from livevision.analysis.stage import Analysis
from livevision.analysis.watching import Watching
from livevision.config.scene import Scene, scene_of
from livevision.frame import Inferred
from livevision.protocols import SourceInfo
from tests.analysis.making import RATE, Walker, detections, inferred, watched

INFO = SourceInfo("gate", False, (640, 480))


def scene(anchor: str = "bottom", **more: object) -> Scene:
    """A line across the picture's middle, from x = 160 to 480."""
    return scene_of(
        {"lines": {"gate": {"points": [[0.25, 0.5], [0.75, 0.5]], "anchor": anchor, **more}}}
    )


def counted(frames: Iterable[Inferred], of: Scene) -> dict[str, dict[str, int]]:
    events: list[Event] = []
    stage = Watching(of, events.append)
    stage.opened(0, INFO)
    for frame in frames:
        stage(frame)
    figures: dict[str, dict[str, int]] = stage.figures(0)["lines"]["gate"]
    return figures


def at(points: Sequence[tuple[float, float]], number: int = 1) -> list[Inferred]:
    """A track whose bottom centre is at these positions, one per frame."""
    return [
        inferred(i, detections([[x - 12, y - 60, x + 12, y]], numbers=[number]))
        for i, (x, y) in enumerate(points)
    ]


def test_both_ways_by_class() -> None:
    walkers = [
        Walker(1, (200, 100), (0, 60)),
        Walker(2, (300, 450), (0, -60)),
        Walker(3, (400, 440), (0, -70), name="car"),
        Walker(4, (250, 400), (20, 0)),
    ]
    assert counted(watched(walkers, 5), scene()) == {
        "in": {"person": 1, "car": 1},
        "out": {"person": 1},
    }
    assert counted(watched(walkers, 5), scene(classes=["car"])) == {"in": {"car": 1}, "out": {}}


@pytest.mark.parametrize("shake", [1.0, 2.0])
def test_jitter_on_the_line_counts_once(shake: float) -> None:
    random = np.random.default_rng(3)
    still = [240.0] * 200
    ways = [200 + 4 * i for i in range(9)], still, [244 + 4 * i for i in range(20)]
    y = np.concatenate(ways) + random.normal(0, shake / 2, 229).clip(-shake, shake)
    assert counted(at([(320, v) for v in y]), scene()) == {"in": {}, "out": {"person": 1}}
    there_and_back = np.concatenate([y[:209], y[:9][::-1]])
    assert counted(at([(320, v) for v in there_and_back]), scene()) == {"in": {}, "out": {}}


def test_walking_around_an_end_is_not_a_crossing() -> None:
    around = [(300, 200), (140, 210), (100, 240), (140, 270), (300, 280)]
    assert counted(at(around), scene()) == {"in": {}, "out": {}}
    # Around the end and back over the line is one crossing.
    back = [*around, (300, 260), (300, 200)]
    assert counted(at(back), scene()) == {"in": {"person": 1}, "out": {}}


def test_just_beside_and_just_over_the_end() -> None:
    for x, crossed in ((158, {}), (162, {"person": 1}), (478, {"person": 1}), (482, {})):
        told = counted(at([(x, y) for y in range(200, 290, 8)]), scene())
        assert told == {"in": {}, "out": crossed}, x


def test_one_jump_over_the_line_and_the_strip_beside_it() -> None:
    # Seen outside the strip beside the line both before and after, but its way led over it.
    assert counted(at([(100, 100), (540, 380)]), scene()) == {"in": {}, "out": {"person": 1}}


def test_a_crossing_during_a_gap_is_counted_when_the_track_is_back() -> None:
    before, after = at([(320, 200 + i) for i in range(10)]), at([(320, 280 + i) for i in range(5)])
    shifted = [inferred(50 + i, each.results["detect"]) for i, each in enumerate(after)]
    gone = [inferred(10 + i, detections([], numbers=[])) for i in range(40)]
    assert counted([*before, *gone, *shifted], scene()) == {"in": {}, "out": {"person": 1}}


@pytest.mark.parametrize(("anchor", "crossed"), [("bottom", 1), ("centre", 1), ("top", 0)], ids=str)
def test_the_anchor_is_what_crosses(anchor: str, crossed: int) -> None:
    # The feet go from 200 to 290: the centre ends at 260, the top at 230, above the line.
    told = counted(at([(320, y) for y in range(200, 291, 5)]), scene(anchor))
    assert sum(told["out"].values()) == crossed


def test_unconfirmed_boxes_are_not_counted() -> None:
    frames = at([(320, y) for y in range(200, 290, 5)], number=-1)
    assert counted(frames, scene()) == {"in": {}, "out": {}}


def street(seconds: float) -> tuple[list[Walker], int, int]:
    """People crossing the line both ways one by one, and some passing beside it."""
    walkers, ups, downs = [], 0, 0
    for n in range(round(seconds) - 6):
        lane = 180 + 40 * (n % 8)
        begin = float(n)
        if n % 5 == 4:
            walkers.append(Walker(n + 1, (60, 100 - 60 * begin), (0, 60), (begin, begin + 5)))
        elif n % 2:
            walkers.append(Walker(n + 1, (lane, 100 - 60 * begin), (0, 60), (begin, begin + 5)))
            downs += 1
        else:
            walkers.append(Walker(n + 1, (lane, 400 + 66 * begin), (0, -66), (begin, begin + 5)))
            ups += 1
    return walkers, ups, downs


@pytest.mark.parametrize("dropped", [0.0, 0.2], ids=["all", "fifth-dropped"])
def test_counts_with_livevisions_own_tracking(dropped: float) -> None:
    walkers, ups, downs = street(66)
    random = np.random.default_rng(5)
    stage = Analysis("bytetrack", scene())
    stage.opened(0, INFO)
    for frame in watched(walkers, 66, numbered=False):
        found = frame.results["detect"]
        found.xyxy += random.normal(0, 0.7, found.xyxy.shape).astype(np.float32)
        if random.random() >= dropped:
            stage(frame)
    told = stage.figures(0)["lines"]["gate"]
    assert (ups, downs) == (24, 24)
    allowed = 0 if not dropped else 0.05 * 24
    assert abs(told["in"]["person"] - ups) <= allowed
    assert abs(told["out"]["person"] - downs) <= allowed


def test_memory_does_not_grow_with_tracks() -> None:
    stage = Watching(scene(), lambda event: None)
    stage.opened(0, INFO)
    for n in range(2000):
        stage(inferred(n, detections([[100, 100, 130, 180]], numbers=[n]), time=n * RATE / 100))
    source = stage._watched[0]
    assert len(source._tracks) < 40
    assert len(source._lines[0]._passing) < 40
