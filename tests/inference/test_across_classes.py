"""Boxes of several classes on one object: which go, which stay, and where the setting reaches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from livevision.inference.across_classes import one_class_each
from livevision.inference.detect import DetectTask
from livevision.preprocess.fit import make_fit

CAR, TRUCK, PERSON = 0, 1, 2
LABELS = ["car", "truck", "person"]


def kept(*rows: tuple[list[float], int]) -> list[int]:
    boxes = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
    return one_class_each(boxes, np.array([c for _, c in rows], np.int64)).tolist()


def test_the_weaker_of_two_classes_on_one_object_goes() -> None:
    assert kept(([0, 0, 100, 100], CAR), ([0, 0, 100, 95], TRUCK)) == [0]


def test_boxes_of_one_class_are_not_judged_again() -> None:
    """How far boxes of one class may overlap is --iou's to say."""
    assert kept(([0, 0, 100, 100], CAR), ([0, 0, 100, 99], CAR)) == [0, 1]


@pytest.mark.parametrize(("height", "both"), [(69, True), (70, True), (71, False), (100, False)])
def test_the_bound_is_an_overlap_of_more_than_seven_tenths(height: int, both: bool) -> None:
    rows = kept(([50, 50, 150, 150], CAR), ([50, 50, 150, 50 + height], TRUCK))
    assert rows == ([0, 1] if both else [0])


def test_a_box_inside_another_is_another_object() -> None:
    assert kept(([0, 0, 100, 100], CAR), ([30, 30, 60, 60], PERSON)) == [0, 1]


def test_a_box_that_went_suppresses_nothing() -> None:
    # Each overlaps the one before by 0.8, and the first and the last by 0.64.
    chain = [([0.0, 0, 100, h], c) for h, c in ((100, CAR), (80, TRUCK), (64, PERSON))]
    assert kept(*chain) == [0, 2]


def test_the_strongest_stays_among_many() -> None:
    rows = [([x, 0.0, x + 50, 50], c) for x in (0.0, 60.0, 120.0) for c in (TRUCK, CAR, PERSON)]
    assert kept(*rows) == [0, 3, 6]


def test_nothing_and_one() -> None:
    assert kept() == []
    assert kept(([0, 0, 5, 5], CAR)) == [0]


def test_it_is_what_a_plain_loop_gives() -> None:
    rng = np.random.default_rng(5)
    for _ in range(30):
        corner = rng.integers(0, 12, (60, 2))
        boxes = np.hstack((corner, corner + rng.integers(8, 16, (60, 2)))).astype(np.float32)
        classes = rng.integers(0, 3, 60)
        expected: list[int] = []
        for i in range(60):
            over = [j for j in expected if classes[j] != classes[i] and _iou(boxes, i, j) > 0.7]
            if not over:
                expected.append(i)
        assert one_class_each(boxes, classes).tolist() == expected
        assert len(expected) < 60


def _iou(boxes: Any, i: int, j: int) -> float:
    (a, b, c, d), (e, f, g, h) = boxes[i].tolist(), boxes[j].tolist()
    shared = max(0, min(c, g) - max(a, e)) * max(0, min(d, h) - max(b, f))
    return float(shared / ((c - a) * (d - b) + (g - e) * (h - f) - shared))


def _decode(**settings: Any) -> list[tuple[str, float]]:
    """A car that might be a truck, and a person beside it, in no order."""
    task = DetectTask(LABELS, make_fit("stretch", (128, 96)), **settings)
    _, placement = task.prepare(np.zeros((96, 128, 3), np.uint8))
    outputs = {
        "boxes": np.array([[[0, 0, 60, 56], [70, 0, 90, 60], [0, 0, 60, 60]]], np.float32),
        "scores": np.array([[0.4, 0.5, 0.8]], np.float32),
        "classes": np.array([[TRUCK, PERSON, CAR]], np.int32),
    }
    found = task.decode(outputs, placement)
    return list(zip(found.data["class_name"].tolist(), found.confidence.round(2), strict=True))


def test_an_object_has_one_box_by_default_and_several_where_asked() -> None:
    assert [name for name, _ in _decode()] == ["car", "person"]
    assert [name for name, _ in _decode(class_agnostic=False)] == ["car", "person", "truck"]


def test_only_the_classes_asked_for_compete() -> None:
    assert [name for name, _ in _decode(classes=["truck", "person"])] == ["person", "truck"]


def test_a_box_that_goes_takes_no_place_of_max_det() -> None:
    assert [name for name, _ in _decode(max_det=2)] == ["car", "person"]
