"""Zones with synthetic tracks: tracks inside, durations and directions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import supervision as sv

from livevision.analysis.regions import Coverage, Ignoring
from livevision.analysis.stage import Analysis
from livevision.analysis.watching import Watching
from livevision.config.scene import Scene, scene_of
from livevision.frame import Frame, Inferred
from livevision.protocols import SourceInfo
from livevision.results import ClassMap
from tests.analysis.making import PICTURE, RATE, Walker, detections, inferred, watched

INFO = SourceInfo("shop", False, (640, 480))
SQUARE = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]


def scene(**more: object) -> Scene:
    """A zone from (160, 120) to (480, 360)."""
    return scene_of({"zones": {"till": {"points": SQUARE, **more}}})


def figures(frames: Iterable[Inferred], of: Scene) -> dict[str, Any]:
    stage = Watching(of, lambda event: None)
    stage.opened(0, INFO)
    for frame in frames:
        stage(frame)
    told: dict[str, Any] = stage.figures(0)["zones"]["till"]
    return told


def test_visits_dwell_and_directions() -> None:
    walkers = [
        # Inside from x = 160 to 480: 320 px at 40 px a second are 8 s.
        Walker(1, (100, 200), (40, 0)),
        # 240 px at 60 px a second are 4 s.
        Walker(2, (300, 460), (0, -60), name="car"),
        Walker(3, (50, 450), (20, 0)),
    ]
    told = figures(watched(walkers, 14), scene())
    assert told["in"] == told["out"] == {"person": 1, "car": 1}
    assert told["now"] == {}
    assert told["ways"] == {"right": 1, "up": 1}
    assert told["dwell_s"]["visits"] == 2
    assert told["dwell_s"]["longest"] == pytest.approx(8, abs=1 / RATE + 1e-6)
    assert told["dwell_s"]["mean"] == pytest.approx(6, abs=1 / RATE + 1e-6)


def test_tracks_inside_and_in_the_queue() -> None:
    walkers = [
        Walker(1, (300, 200), (0, 0)),
        Walker(2, (350, 300), (0, 0), seen=(2, 99)),
        Walker(3, (400, 300), (0, 0), seen=(7, 99), name="car"),
        Walker(4, (30, 300), (0, 0)),
    ]
    told = figures(watched(walkers, 10), scene())
    assert told["now"] == {"person": 2, "car": 1}
    assert told["queue"] == 2
    assert told["dwell_s"]["now"] == pytest.approx(10 - 1 / RATE, abs=1e-6)
    assert figures(watched(walkers, 10), scene(**{"queue-after": "2s"}))["queue"] == 3
    assert figures(watched(walkers, 10), scene(classes=["car"]))["now"] == {"car": 1}


def test_jitter_on_the_edge_is_one_visit() -> None:
    random = np.random.default_rng(1)
    frames = [
        inferred(i, detections([[x - 12, 200, x + 12, 260]], numbers=[1]))
        for i, x in enumerate(160 + random.normal(0, 2, 300))
    ]
    told = figures(frames, scene())
    assert told["in"] == {"person": 1}
    assert told["out"] == {}


def test_a_longer_time_outside_makes_a_second_visit() -> None:
    places = [200] * 50 + [100] * 60 + [200] * 50
    frames = [
        inferred(i, detections([[x - 12, 200, x + 12, 260]], numbers=[1]))
        for i, x in enumerate(places)
    ]
    told = figures(frames, scene())
    assert (told["in"], told["out"], told["now"]) == ({"person": 2}, {"person": 1}, {"person": 1})
    assert told["dwell_s"]["longest"] == pytest.approx(49 / RATE, abs=1e-3)


def test_an_unseen_track_is_inside_for_a_moment_only() -> None:
    walker = Walker(1, (300, 200), (0, 0), seen=(0, 4), hidden=(2, 3))
    assert figures(watched([walker], 2.9), scene())["now"] == {"person": 1}
    assert figures(watched([walker], 5), scene())["now"] == {"person": 1}
    told = figures(watched([walker], 7), scene())
    assert (told["now"], told["in"], told["out"]) == ({}, {"person": 1}, {"person": 1})
    assert told["dwell_s"]["longest"] == pytest.approx(4 - 1 / RATE, abs=1e-3)


@pytest.mark.parametrize(("anchor", "inside"), [("bottom", 1), ("top", 0)], ids=str)
def test_the_anchor_is_what_is_inside(anchor: str, inside: int) -> None:
    frame = inferred(0, detections([[300, 80, 330, 140]], numbers=[1]))
    assert sum(figures([frame], scene(anchor=anchor))["now"].values()) == inside


def test_anchors_on_the_pictures_lower_edge_are_inside() -> None:
    whole = scene_of({"zones": {"till": {"points": [[0, 0], [1, 0], [1, 1], [0, 1]]}}})
    frame = inferred(0, detections([[600, 400, 640, 480], [0, 0, 20, 40]], numbers=[1, 2]))
    assert figures([frame], whole)["now"] == {"person": 2}


@pytest.mark.parametrize("dropped", [0.0, 0.2], ids=["all", "fifth-dropped"])
def test_visits_with_livevisions_own_tracking(dropped: float) -> None:
    walkers = [
        Walker(n + 1, (100 - 80 * (2.0 * n), 140 + 25 * (n % 8)), (80, 0), (2 * n, 2 * n + 6))
        for n in range(40)
    ]
    random = np.random.default_rng(2)
    stage = Analysis("bytetrack", scene())
    stage.opened(0, INFO)
    for frame in watched(walkers, 90, numbered=False):
        if random.random() >= dropped:
            stage(frame)
    told = stage.figures(0)["zones"]["till"]
    allowed = 0.05 * 40 if dropped else 0
    assert abs(told["in"]["person"] - 40) <= allowed
    assert told["ways"].keys() == {"right"}
    assert told["dwell_s"]["median"] == pytest.approx(4, abs=0.2)


def test_boxes_in_ignored_regions_are_dropped_and_start_no_track() -> None:
    ignored = scene_of({"ignore": [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]})
    stage = Analysis("bytetrack", ignored)
    stage.opened(0, INFO)
    # By 55 %, by 45 %, not at all, whole, and partly outside the picture.
    boxes = [
        *([265, 10, 365, 60], [275, 80, 375, 120], [400, 10, 450, 60]),
        *([10, 10, 60, 60], [-40, 300, 20, 360]),
    ]
    for index in range(3):
        result = stage(inferred(index, detections(boxes))).results["detect"]
    assert isinstance(result, sv.Detections)
    np.testing.assert_array_equal(result.xyxy, np.array(boxes[1:3], np.float32))
    assert result.data["class_name"].tolist() == ["person", "person"]
    assert np.asarray(result.tracker_id).tolist() == [1, 2]


def test_ignoring_follows_the_size_of_the_frames() -> None:
    stage = Ignoring(scene_of({"ignore": [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]}).ignore)
    found = detections([[110, 10, 150, 50]])
    left = []
    for size in ((480, 640), (120, 160)):
        frame = Frame(0, 0, 0.0, 0.0, np.zeros((*size, 3), np.uint8))
        left.append(len(stage(Inferred(frame, {"detect": found})).results["detect"]))
    assert left == [0, 1]


def test_share_of_a_class_in_a_zone() -> None:
    pixels = np.zeros((480, 640), np.uint8)
    pixels[:, 320:] = 1
    pixels[:240, 320:] = 2
    result = ClassMap(pixels, ["road", "car", "bus"])
    square = Coverage(((160, 120), (479, 120), (479, 359), (160, 359)), (640, 480))
    shares = square.shares(result)
    assert shares == pytest.approx({"road": 0.5, "car": 0.25, "bus": 0.25}, abs=0.01)
    right = Coverage(((0.5, 0), (1, 0), (1, 1), (0.5, 1)), (640, 480))
    assert right.shares(result) == pytest.approx({"car": 0.5, "bus": 0.5}, abs=0.01)
    told = figures([Inferred(Frame(0, 0, 0.0, 0.0, PICTURE), {"segment": result})], scene())
    assert told["shares"] == pytest.approx({"road": 0.5, "car": 0.25, "bus": 0.25}, abs=0.01)
