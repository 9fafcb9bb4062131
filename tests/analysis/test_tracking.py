"""Track numbers: kept over gaps, never reused, and stable when frames are dropped."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import supervision as sv

from livevision.analysis.tracking import UNTRACKED, Tracking
from livevision.errors import UsageError
from livevision.evaluation.tracks import evaluate_tracks
from livevision.protocols import SourceInfo
from livevision.registry import TRACKERS
from livevision.results import ClassMap
from tests.analysis.making import (
    PICTURE,
    RATE,
    Walker,
    crowd,
    detections,
    inferred,
    mot_sequence,
    watched,
)

INFO = SourceInfo("door", False, (640, 480), Fraction(25))


def tracking(name: str = "bytetrack") -> Tracking:
    stage = Tracking(name)
    stage.opened(0, INFO)
    return stage


def numbers(result: object) -> list[int]:
    assert isinstance(result, sv.Detections)
    return np.asarray(result.tracker_id).tolist()


def test_an_unknown_tracker_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'bytetrack'"):
        Tracking("bytetracker")


@pytest.mark.parametrize("name", TRACKERS)
def test_an_object_keeps_its_number_through_an_occlusion(name: str) -> None:
    walkers = [
        Walker(7, (60, 200), (40, 0), hidden=(2.0, 2.8)),
        Walker(9, (500, 400), (-30, 0)),
    ]
    stage = tracking(name)
    seen: dict[int, set[int]] = {7: set(), 9: set()}
    for frame in watched(walkers, 5):
        true = numbers(frame.results["detect"])
        for number, given in zip(true, numbers(stage(frame).results["detect"]), strict=True):
            if given != UNTRACKED:
                seen[number].add(given)
    assert [len(given) for given in seen.values()] == [1, 1]
    assert seen[7] != seen[9]


def test_boxes_and_their_order_are_unchanged() -> None:
    stage = tracking()
    found = detections([[10, 10, 40, 90], [200, 10, 240, 90], [400, 10, 440, 90]])
    before = found.xyxy.copy()
    for index in range(3):
        result = stage(inferred(index, found)).results["detect"]
    assert isinstance(result, sv.Detections)
    assert found.tracker_id is None
    np.testing.assert_array_equal(result.xyxy, before)
    assert numbers(result) == [1, 2, 3]
    flipped = stage(inferred(3, found[[2, 0, 1]])).results["detect"]
    assert numbers(flipped) == [3, 1, 2]


def test_unconfirmed_boxes_and_empty_frames_have_no_numbers() -> None:
    stage = tracking()
    assert numbers(stage(inferred(0, detections([]))).results["detect"]) == []
    assert numbers(stage(inferred(1, detections([[1, 1, 30, 60]]))).results["detect"]) == [-1]


def test_numbers_are_never_reused() -> None:
    stage = tracking()
    box = detections([[10, 10, 40, 90]])
    given = []
    for visit in range(4):
        for index in range(3):
            stage_result = stage(inferred(index, box, time=100 * visit + index / RATE))
        given += numbers(stage_result.results["detect"])
    stage.ended(0)
    stage.opened(0, INFO)
    for index in range(3):
        stage_result = stage(inferred(index, box))
    given += numbers(stage_result.results["detect"])
    # Time that goes back, as where a file is played again, ends the tracks as well.
    for index in range(3):
        stage_result = stage(inferred(index, box, time=-50 + index / RATE))
    given += numbers(stage_result.results["detect"])
    assert given == [1, 2, 3, 4, 5, 6]


def test_sources_are_tracked_separately() -> None:
    stage = Tracking()
    left, right = detections([[10, 10, 40, 90]]), detections([[12, 10, 42, 90], [300, 1, 330, 80]])
    for index in range(3):
        first = stage(inferred(index, left, source=0))
        second = stage(inferred(index, right, source=4))
    assert numbers(first.results["detect"]) == [1]
    assert numbers(second.results["detect"]) == [1, 2]


def test_a_track_may_change_from_car_to_truck_but_not_from_rider_to_bicycle() -> None:
    stage = tracking()
    boxes = [[100, 100, 200, 160], [300, 100, 340, 200]]
    for index in range(4):
        names = ["car" if index % 2 else "truck", "person" if index < 3 else "bicycle"]
        result = stage(inferred(index, detections(boxes, names))).results["detect"]
    assert numbers(result) == [1, UNTRACKED]


def test_class_maps_are_unchanged() -> None:
    stage = tracking()
    frame = inferred(0, detections([]))
    classes = ClassMap(np.zeros(PICTURE.shape[:2], np.uint8), ["road"])
    both = type(frame)(frame.frame, {"segment": classes, **frame.results})
    assert stage(both).results["segment"] is classes


def test_state_of_a_source_is_bounded() -> None:
    stage = tracking()
    for index in range(3000):
        # A new object every third frame, far from the one before.
        x = 40 * (index // 3 % 15)
        stage(inferred(index, detections([[x, 10, x + 20, 60]]), time=index * 0.5))
    tracks = stage._sources[0].tracks["detect", "person"]
    assert len(tracks.tracker.tracks) <= 5
    assert len(tracks._numbers) <= 2 * 5 + 64 + 1


@pytest.mark.parametrize("name", ["bytetrack", "ocsort", "sort"])
def test_dropping_every_third_frame_costs_little(tmp_path: Path, name: str) -> None:
    data = mot_sequence(tmp_path / "walk", crowd(), 9)
    all_frames = evaluate_tracks(data, tracker=name)
    dropped = evaluate_tracks(data, tracker=name, drop=3)
    assert dropped.left_out == 75
    assert all_frames.figures["IDF1"] > 0.85
    assert dropped.figures["IDF1"] >= all_frames.figures["IDF1"] - 0.03
