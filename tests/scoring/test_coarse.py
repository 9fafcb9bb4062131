"""Class maps against truth that knows only that a pixel is any of several labels."""

from __future__ import annotations

import numpy as np

from livevision.scoring.coarse import found_as_coarse

ROAD, PAVEMENT, CAR, SKY, GROUND, THING = range(6)


def as_coarse(found: list[int], truth: list[int], groups: list[set[int]], marked: set[int]) -> list:
    coarse = found_as_coarse(
        np.array([found], np.uint8),
        np.array([truth], np.uint8),
        4,
        [*map(frozenset, groups)],
        frozenset(marked),
    )
    return coarse[0].tolist()


def test_any_label_of_the_true_coarse_class_is_right() -> None:
    found, truth = [ROAD, PAVEMENT, CAR, SKY], [GROUND, GROUND, GROUND, SKY]
    assert as_coarse(found, truth, [{ROAD, PAVEMENT}, {CAR}], {SKY}) == [GROUND, GROUND, THING, SKY]


def test_a_label_that_is_marked_singly_stays_itself_elsewhere() -> None:
    found, truth = [CAR, CAR, CAR], [THING, CAR, SKY]
    assert as_coarse(found, truth, [{ROAD}, {CAR}], {CAR, SKY}) == [THING, CAR, CAR]


def test_a_label_of_two_coarse_classes_is_the_true_one() -> None:
    found, truth = [ROAD, ROAD, ROAD, 0], [GROUND, THING, SKY, 255]
    groups = [{ROAD, PAVEMENT}, {ROAD, CAR}]
    assert as_coarse(found, truth, groups, {SKY}) == [GROUND, THING, GROUND, GROUND]
