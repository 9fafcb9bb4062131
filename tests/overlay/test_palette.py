"""Colours of classes: told apart, from each other and from what they lie on."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from livevision.errors import UsageError
from livevision.overlay.contrast import contrast_ratio, difference, luminance
from livevision.overlay.palette import (
    STREET,
    box_palette,
    bright,
    deep,
    ink_on,
    palette,
)

CAMVID = (
    *("sky", "building", "pole", "road", "pavement", "tree"),
    *("sign", "fence", "car", "pedestrian", "bicyclist"),
)
CITYSCAPES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign"),
    *("vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train"),
    *("motorcycle", "bicycle"),
)
NEIGHBOURS = (
    *(("road", other) for other in ("car", "pavement", "pedestrian", "bicyclist", "tree")),
    *(("sky", other) for other in ("building", "tree", "pole", "sign")),
    *(("building", other) for other in ("tree", "car", "pole", "sign", "pedestrian")),
    *(("tree", other) for other in ("car", "fence", "pavement", "sign")),
    ("pavement", "pedestrian"),
    ("pavement", "building"),
)


def of(name: str) -> np.ndarray:
    return palette([name])[0]


def test_contrast_is_that_of_wcag() -> None:
    assert contrast_ratio((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast_ratio((255, 255, 255), (0, 0, 255)) == pytest.approx(3.998, abs=1e-3)
    assert luminance((0, 255, 0)) == pytest.approx(0.7152)
    assert difference((0, 0, 0), (255, 255, 255)) == pytest.approx(1, abs=1e-4)
    assert difference((9, 200, 77), (9, 200, 77)) == 0


def test_streets_have_colours_of_their_own_under_any_of_their_names() -> None:
    assert palette(["Road", "sign symbol"]).tolist() == [
        list(STREET["road"]),
        list(STREET["sign"]),
    ]
    for labels in (CAMVID, CITYSCAPES):
        assert palette(labels).tolist() == palette(labels, "street").tolist()
    assert (of("sidewalk") == of("pavement")).all()


@pytest.mark.parametrize(("labels", "bound"), [(CAMVID, 0.14), (CITYSCAPES, 0.11)])
def test_any_two_classes_of_a_street_are_told_apart(labels: tuple[str, ...], bound: float) -> None:
    colours = palette(labels)
    for a, b in combinations(range(len(labels)), 2):
        assert difference(colours[a], colours[b]) >= bound, (labels[a], labels[b])


@pytest.mark.parametrize(("one", "other"), NEIGHBOURS)
def test_what_lies_side_by_side_differs_in_brightness_as_well(one: str, other: str) -> None:
    assert difference(of(one), of(other)) >= 0.2
    assert contrast_ratio(of(one), of(other)) >= 1.3


def test_boxes_stand_out_from_every_class_map() -> None:
    street = np.array(list(STREET.values()))
    for maps in (street, deep()):
        ratios = contrast_ratio(bright()[:, None], maps[None])
        assert ratios.min() >= 1.5
    assert difference(bright()[:, None], street[None]).min() >= 0.1


@pytest.mark.parametrize("colours", [bright(), deep()])
def test_generated_colours_are_many_and_the_first_ones_far_apart(colours: np.ndarray) -> None:
    assert len({tuple(c) for c in colours.tolist()}) == 256
    first = colours[:8]
    apart = difference(first[:, None], first[None])[np.triu_indices(8, 1)]
    assert apart.min() >= 0.1


def test_a_class_has_its_colour_whatever_is_seen_and_the_common_ones_the_first() -> None:
    labels = ["zebra", "person", "boat", "car"]
    colours = box_palette(labels)
    assert colours[[1, 3]].tolist() == bright()[:2].tolist()
    assert len({tuple(c) for c in colours.tolist()}) == 4
    assert palette(labels)[[1, 3]].tolist() == deep()[:2].tolist()


def test_more_classes_than_colours_have_one_each_all_the_same() -> None:
    assert box_palette([f"c{i}" for i in range(600)]).shape == (600, 3)


def test_classes_that_stand_for_nothing_use_up_no_colour() -> None:
    assert palette(["background", "thing"]).tolist() == [[0, 0, 0], deep()[0].tolist()]


def test_published_colours_are_there_to_be_asked_for() -> None:
    assert palette(["background", "person", "dog"], "voc").tolist() == [
        [0, 0, 0],
        [128, 128, 192],
        [128, 0, 64],
    ]
    assert palette(["Road"], "camvid").tolist() == [[128, 64, 128]]


def test_an_unknown_palette_or_class_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'camvid'"):
        palette(["road"], "camvi")
    with pytest.raises(UsageError, match="'truck'"):
        palette(["truck"], "camvid")


def test_letters_on_any_colour_can_be_read() -> None:
    for level in np.ndindex(6, 6, 6):
        blue, green, red = (51 * int(v) for v in level)
        colour = (blue, green, red)
        assert contrast_ratio(ink_on(colour), colour) >= 4.5
