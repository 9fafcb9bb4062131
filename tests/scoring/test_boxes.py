"""Average precision, precision and recall of boxes on cases small enough to work out by hand."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from livevision.scoring.average_precision import average_precision, score_boxes
from livevision.scoring.matching import Matches, box_iou
from tests.scoring.boxes import found, truth

needs_scorer = pytest.mark.skipif(
    find_spec("faster_coco_eval") is None, reason="faster-coco-eval is not installed"
)

A, B, C = [10.0, 10, 50, 50], [60.0, 60, 90, 90], [0.0, 60, 30, 90]


@needs_scorer
def test_average_precision_of_a_miss_and_a_false_alarm() -> None:
    ap50, _ = average_precision(
        [truth([A, B], [0, 0])], [found([A, C], [0.9, 0.8], [0, 0])], ["cat", "dog"]
    )
    # Precision is 1 up to a recall of one half: 51 of the 101 points.
    assert ap50[0] == pytest.approx(51 / 101)
    assert np.isnan(ap50[1])


@needs_scorer
def test_four_boxes_with_a_difficult_one_and_a_duplicate() -> None:
    """By hand: of the objects A, B, C (and a difficult D) A is found twice and C not at all.

    In falling order of score: A hit (1/1 right, recall 1/3), A again (1/2), D (not counted), B hit
    (2/3 right, recall 2/3). The curve, made falling: 1 up to recall 1/3 (34 of 101 points), 2/3 up
    to recall 2/3 (33 points), then 0.
    """
    d = [60.0, 10, 90, 40]
    picture = truth([A, B, C, d], [0] * 4, [False, False, False, True])
    guess = found([A, [11, 11, 50, 50], d, B], [0.9, 0.8, 0.7, 0.6], [0] * 4)
    scores = score_boxes([picture], [guess], ["cat"])
    assert scores.ap50[0] == pytest.approx((34 + 33 * 2 / 3) / 101)
    assert scores.precision.shape == (1, 101)
    assert scores.precision[0, [0, 33, 34, 66, 67]] == pytest.approx([1, 1, 2 / 3, 2 / 3, 0])

    matches = Matches(1, conf=0.65)
    matches.add(picture, guess)
    assert (matches.hits[0], matches.found[0], matches.asked[0]) == (1, 2, 3)
    assert matches.total_precision() == pytest.approx(1 / 2)
    assert matches.total_recall() == pytest.approx(1 / 3)
    assert matches.confusion.tolist() == [[1, 2], [1, 0]]


@needs_scorer
def test_difficult_objects_count_neither_way() -> None:
    picture = [truth([A, B], [0, 0], [False, True])]
    both = average_precision(picture, [found([B, A], [0.9, 0.8], [0, 0])], ["cat"])
    one = average_precision(picture, [found([A], [0.8], [0])], ["cat"])
    assert both[0][0] == pytest.approx(1)
    assert one[0][0] == pytest.approx(1)
    # What lies inside a difficult object without matching it is a false alarm.
    inside = found([[62, 62, 70, 70], A], [0.9, 0.8], [0, 0])
    assert average_precision(picture, [inside], ["cat"])[0][0] == pytest.approx(0.5)
    matches = Matches(1)
    matches.add(picture[0], inside)
    assert (matches.hits[0], matches.found[0], matches.asked[0]) == (1, 2, 1)


@needs_scorer
def test_a_crowd_takes_any_number_of_boxes() -> None:
    picture = [truth([A, B], [0, 0], crowd=[False, True])]
    guess = found([[62, 62, 70, 70], [72, 62, 80, 70], A], [0.9, 0.85, 0.8], [0] * 3)
    assert average_precision(picture, [guess], ["cat"])[0][0] == pytest.approx(1)
    matches = Matches(1)
    matches.add(picture[0], guess)
    assert (matches.hits[0], matches.found[0], matches.asked[0]) == (1, 1, 1)


@needs_scorer
def test_looser_boxes_score_less_over_all_ious() -> None:
    ap50, ap = average_precision(
        [truth([A], [0])], [found([[10, 10, 50, 42]], [0.9], [0])], ["cat"]
    )
    assert ap50[0] == pytest.approx(1)
    assert ap[0] == pytest.approx(0.7)  # an IoU of 0.8 passes seven of the ten thresholds


@needs_scorer
def test_nothing_found_scores_nothing_where_something_is() -> None:
    ap50, ap = average_precision([truth([A], [0])], [found([], [], [])], ["cat", "dog"])
    assert (ap50[0], ap[0]) == (0, 0)
    assert np.isnan([ap50[1], ap[1]]).all()


def test_a_box_of_the_wrong_class_is_told_as_such() -> None:
    matches = Matches(2)
    matches.add(truth([A, B], [0, 1]), found([A, [60, 60, 90, 88], C], [0.9, 0.8, 0.3], [1, 1, 0]))
    assert matches.confusion.tolist() == [[0, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert matches.precision().tolist() == pytest.approx([0, 1 / 2])
    assert matches.recall().tolist() == pytest.approx([0, 1])


def test_overlap_of_boxes() -> None:
    a = np.array([[0, 0, 10, 10]], np.float32)
    b = np.array([[5, 0, 15, 10], [20, 20, 30, 30], [0, 0, 20, 10]], np.float32)
    assert box_iou(a, b)[0] == pytest.approx([50 / 150, 0, 1 / 2])
    assert box_iou(a, b, np.array([False, False, True]))[0, 2] == pytest.approx(1)
