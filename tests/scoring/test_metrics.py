"""The confusion matrix and average precision on cases small enough to work out by hand."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import torch

from livevision.scoring.average_precision import Found, average_precision
from livevision.scoring.confusion import ConfusionMatrix
from livevision.training.detection_data import Sample


def test_iou_leaves_out_ignored_pixels_and_absent_classes() -> None:
    matrix = ConfusionMatrix(3)
    matrix.add(torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0, 1, 1, 1, 255]))
    iou = matrix.iou()
    assert iou[:2].tolist() == pytest.approx([1 / 2, 2 / 3])
    assert np.isnan(iou[2])
    assert matrix.mean_iou() == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert matrix.pixel_accuracy() == pytest.approx(3 / 4)


def sample(boxes: list[list[float]], classes: list[int], difficult: list[bool]) -> Sample:
    return Sample(
        np.zeros((100, 100, 3), np.uint8),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(classes, np.int64),
        np.array(difficult, np.bool_),
    )


def found(boxes: list[list[float]], scores: list[float], classes: list[int]) -> Found:
    return Found(np.array(boxes, np.float32), np.array(scores, np.float32), np.array(classes))


needs_scorer = pytest.mark.skipif(
    find_spec("faster_coco_eval") is None, reason="faster-coco-eval is not installed"
)

A, B = [10.0, 10, 50, 50], [60.0, 60, 90, 90]


@needs_scorer
def test_average_precision_of_a_miss_and_a_false_alarm() -> None:
    truth = [sample([A, B], [0, 0], [False, False])]
    guess = [found([A, [0, 60, 30, 90]], [0.9, 0.8], [0, 0])]
    ap50, _ = average_precision(truth, guess, ["cat", "dog"])
    # Precision is 1 up to a recall of one half: 51 of the 101 points.
    assert ap50[0] == pytest.approx(51 / 101)
    assert np.isnan(ap50[1])


@needs_scorer
def test_difficult_objects_count_neither_way() -> None:
    truth = [sample([A, B], [0, 0], [False, True])]
    both = average_precision(truth, [found([B, A], [0.9, 0.8], [0, 0])], ["cat"])
    one = average_precision(truth, [found([A], [0.8], [0])], ["cat"])
    assert both[0][0] == pytest.approx(1)
    assert one[0][0] == pytest.approx(1)
    # What lies inside a difficult object without matching it is a false alarm.
    inside = average_precision(truth, [found([[62, 62, 70, 70], A], [0.9, 0.8], [0, 0])], ["cat"])
    assert inside[0][0] == pytest.approx(0.5)


@needs_scorer
def test_looser_boxes_score_less_over_all_ious() -> None:
    truth = [sample([A], [0], [False])]
    ap50, ap = average_precision(truth, [found([[10, 10, 50, 42]], [0.9], [0])], ["cat"])
    assert ap50[0] == pytest.approx(1)
    assert ap[0] == pytest.approx(0.7)  # an IoU of 0.8 passes seven of the ten thresholds


@needs_scorer
def test_nothing_found_scores_nothing() -> None:
    nothing = found(np.zeros((0, 4)).tolist(), [], [])
    ap50, _ = average_precision([sample([A], [0], [False])], [nothing], ["cat"])
    assert ap50[0] == 0
