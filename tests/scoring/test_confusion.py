"""IoU and accuracy on class maps small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from livevision.scoring.confusion import ConfusionMatrix
from livevision.scoring.top_k import TopK


def test_iou_leaves_out_ignored_pixels_and_absent_classes() -> None:
    matrix = ConfusionMatrix(3)
    matrix.add([0, 0, 1, 1, 1], [0, 1, 1, 1, 255])
    iou = matrix.iou()
    assert iou[:2].tolist() == pytest.approx([1 / 2, 2 / 3])
    assert np.isnan(iou[2])
    assert matrix.mean_iou() == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert matrix.pixel_accuracy() == pytest.approx(3 / 4)
    assert matrix.recall()[:2].tolist() == pytest.approx([1, 2 / 3])


def test_one_matrix_over_all_pictures_is_no_mean_over_pictures() -> None:
    matrix = ConfusionMatrix(2)
    matrix.add(np.zeros((1, 2), np.uint8), np.zeros((1, 2), np.uint8))
    matrix.add(np.zeros((2, 3), np.uint8), np.ones((2, 3), np.uint8))
    assert matrix.iou().tolist() == pytest.approx([2 / 8, 0])


def test_a_class_that_is_found_and_never_there_counts_as_zero() -> None:
    matrix = ConfusionMatrix(2)
    matrix.add([0, 1], [0, 0])
    assert matrix.iou().tolist() == pytest.approx([1 / 2, 0])


def test_nothing_counted_is_not_a_number() -> None:
    matrix = ConfusionMatrix(2)
    matrix.add([0], [255])
    assert np.isnan([matrix.mean_iou(), matrix.pixel_accuracy()]).all()


@pytest.mark.parametrize(("guess", "labels"), [([2], [0]), ([0, 0], [0])])
def test_wrong_maps_are_refused(guess: list[int], labels: list[int]) -> None:
    with pytest.raises(ValueError, match=r"found"):
        ConfusionMatrix(2).add(guess, labels)


def test_first_and_later_guesses() -> None:
    scores = TopK(2)
    scores.add([3, 1, 0], 3)
    scores.add([3, 1, 0], 1)
    scores.add([3, 1, 0], 0)
    assert (scores.top1(), scores.top_k()) == pytest.approx((1 / 3, 2 / 3))
    assert np.isnan(TopK().top1())
