"""Weighted boxes fusion and votes, on answers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from livevision.labelling.fusing import Boxes, fuse_boxes, fuse_maps, one_thing_each


def boxes(*rows: tuple[Any, ...]) -> Boxes:
    """Rows of x1 y1 x2 y2, score and class."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Boxes(
        table[:, :4].astype(np.float32),
        table[:, 4].astype(np.float32),
        table[:, 5].astype(np.int64),
    )


def test_boxes_on_one_thing_become_their_mean_by_score() -> None:
    fused = fuse_boxes([boxes((0, 0, 100, 100, 0.9, 3)), boxes((10, 0, 110, 100, 0.3, 3)), boxes()])
    # (0*0.9 + 10*0.3) / 1.2 = 2.5; a mean of 0.6, seen by two of three passes.
    assert fused.xyxy == pytest.approx(np.array([[2.5, 0, 102.5, 100]]))
    assert fused.scores == pytest.approx([0.4])
    assert fused.classes.tolist() == [3]


def test_what_one_pass_alone_saw_loses_and_others_stay_apart() -> None:
    one = boxes((0, 0, 10, 10, 0.8, 0), (50, 50, 60, 60, 0.6, 0))
    two = boxes((0, 0, 10, 10, 0.6, 0), (0, 0, 10, 10, 0.5, 1))
    fused = fuse_boxes([one, two])
    assert fused.classes.tolist() == [0, 0, 1]
    assert fused.scores == pytest.approx([0.7, 0.3, 0.25])
    assert fused.xyxy[:, 0].tolist() == [0, 50, 0]


def test_a_box_joins_the_cluster_that_it_overlaps_most() -> None:
    one = boxes((0, 0, 100, 100, 0.9, 0), (0, 40, 100, 140, 0.8, 0))
    two = boxes((0, 24, 100, 124, 0.5, 0))  # IoU 0.61 with the first, 0.72 with the second
    fused = fuse_boxes([one, two])
    assert fused.scores == pytest.approx([0.65, 0.45])
    assert fused.xyxy[0] == pytest.approx([0, (40 * 0.8 + 24 * 0.5) / 1.3, 100, 100 + 44 / 1.3])
    assert fused.xyxy[1].tolist() == [0, 0, 100, 100]


def test_more_boxes_than_passes_count_as_all_passes() -> None:
    crowded = boxes((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 10, 0.6, 0), (0, 0, 10, 10, 0.3, 0))
    assert fuse_boxes([crowded, boxes()]).scores == pytest.approx([0.6])


def test_nothing_found_and_scores_of_zero_are_no_trouble() -> None:
    assert fuse_boxes([boxes(), boxes()]).xyxy.shape == (0, 4)
    kept, scores = one_thing_each(fuse_boxes([boxes()]), 5)
    assert kept.xyxy.shape == (0, 4)
    assert scores.shape == (0, 5)
    zero = fuse_boxes([boxes((0, 0, 10, 10, 0, 0)), boxes((0, 0, 10, 10, 0, 0))])
    assert zero.xyxy[0].tolist() == [0, 0, 10, 10]


def test_a_thing_keeps_its_strongest_class_and_the_scores_of_all() -> None:
    found = boxes(
        (0, 0, 100, 100, 0.7, 2),
        (0, 0, 100, 98, 0.5, 0),
        (200, 0, 300, 100, 0.4, 1),
        (201, 0, 300, 100, 0.1, 0),
        (0, 0, 50, 50, 0.05, 1),  # too small to be the first
        (9, 9, 9, 20, 0.04, 1),  # of no width
    )
    kept, scores = one_thing_each(found, 3)
    assert kept.classes.tolist() == [2, 1, 1]
    assert scores == pytest.approx(np.array([[0.5, 0, 0.7], [0.1, 0.4, 0], [0, 0.05, 0]]))


def test_boxes_of_a_mirrored_picture_are_turned_back() -> None:
    assert boxes((10, 5, 30, 25, 0.5, 0)).mirrored(100).xyxy.tolist() == [[70, 5, 90, 25]]


def test_pixels_get_the_class_of_most_passes_and_none_where_there_is_none() -> None:
    maps = [np.array([row], np.uint8) for row in ([1, 1, 1, 4], [1, 2, 2, 5], [1, 2, 3, 4])]
    assert fuse_maps(maps).tolist() == [[1, 2, 255, 4]]
    assert fuse_maps(maps[:2]).tolist() == [[1, 255, 255, 255]]
    assert fuse_maps(maps[:1]).tolist() == [[1, 1, 1, 4]]
