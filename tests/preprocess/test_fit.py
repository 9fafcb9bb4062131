"""Images of any size into a net's input, and boxes and class maps back."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from livevision.errors import UsageError
from livevision.preprocess.fit import FITS, make_fit, shrink

IMAGES = [(641, 359), (359, 641), (1, 1), (1, 500), (3000, 2), (7680, 4320), (320, 320), (48, 36)]
INPUTS = [(320, 320), (480, 360), (96, 64)]


def _cases() -> list[Any]:
    return [
        pytest.param(fit, image, size, id=f"{fit}-{image[0]}x{image[1]}-{size[0]}x{size[1]}")
        for fit in ("stretch", "letterbox")
        for image in IMAGES
        for size in INPUTS
    ]


@pytest.mark.parametrize(("fit", "image_size", "input_size"), _cases())
def test_input_has_its_size_and_boxes_come_back(
    fit: str, image_size: tuple[int, int], input_size: tuple[int, int]
) -> None:
    width, height = image_size
    image = np.full((height, width, 3), (10, 100, 250), np.uint8)
    fitted = make_fit(fit, input_size)
    array, placement = fitted.place(image)
    assert array.shape == (1, input_size[1], input_size[0], 3)
    assert array.dtype == np.uint8
    centre = [
        int(o + s * k / 2)
        for o, s, k in zip(placement.offset, placement.scale, image_size, strict=True)
    ]
    centre = [min(c, n - 1) for c, n in zip(centre, input_size, strict=True)]
    np.testing.assert_array_equal(array[0, centre[1], centre[0]], (10, 100, 250))

    boxes = np.array(
        [[0, 0, width, height], [width / 4, height / 3, width / 2, height]], np.float32
    )
    inside = boxes * np.array(placement.scale * 2) + np.array(placement.offset * 2)
    assert (inside >= 0).all()
    assert (inside <= np.array(input_size * 2) + 1e-3).all()
    back = fitted.boxes(inside.astype(np.float32), placement)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, boxes, rtol=1e-4, atol=0.02)


@pytest.mark.parametrize(("fit", "image_size", "input_size"), _cases())
def test_class_maps_come_back_at_the_images_size(
    fit: str, image_size: tuple[int, int], input_size: tuple[int, int]
) -> None:
    """The map's value is its column's place in the image, eight steps wide."""
    width, height = image_size
    fitted = make_fit(fit, input_size)
    _, placement = fitted.place(np.zeros((height, width, 3), np.uint8))
    x = (np.arange(input_size[0]) + 0.5 - placement.offset[0]) / placement.scale[0]
    columns = np.clip(x / width * 8, 0, 7).astype(np.uint8)
    placed = fitted.class_map(np.tile(columns, (input_size[1], 1)), placement)
    assert placed.shape == (height, width)
    assert placed.dtype == np.uint8
    if round(width * placement.scale[0]) >= 80:  # else there is no room for eight steps
        wanted = ((np.arange(width) + 0.5) / width * 8).astype(np.uint8)
        # Only columns at a step may go either way, by the width of a pixel of the map.
        assert (placed != wanted).mean() <= 8 / (width * placement.scale[0])


def test_letterbox_keeps_the_ratio_and_greys_the_rest() -> None:
    image = np.full((100, 200, 3), 255, np.uint8)
    array, placement = make_fit("letterbox", (320, 320)).place(image)
    assert placement.scale == (1.6, 1.6)
    assert placement.offset == (0, 80)
    assert (array[0, 80:240] == 255).all()
    assert (array[0, :80] == array[0, 0, 0]).all()
    assert (array[0, 240:] == array[0, 0, 0]).all()
    assert 90 < array[0, 0, 0].mean() < 140


def test_boxes_are_clipped_to_the_image() -> None:
    fitted = make_fit("letterbox", (320, 320))
    _, placement = fitted.place(np.zeros((100, 200, 3), np.uint8))
    boxes = np.array([[-10, 0, 400, 320], [0, 0, 320, 40]], np.float32)
    np.testing.assert_allclose(
        fitted.boxes(boxes, placement), [[0, 0, 200, 100], [0, 0, 200, 0]], atol=1e-3
    )


@pytest.mark.parametrize("size", [(384, 384), (128, 700), (1280, 150), (200, 720)])
def test_shrinking_by_halves_is_averaging_along_either_axis(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    averaged = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(int)
    small = shrink(image, size)
    assert small.shape == averaged.shape
    assert abs(small.mean() - averaged.mean()) < 0.6
    # Single bright pixels are not lost between samples: noise is as much quieter as by averaging.
    assert small.std() < 1.4 * averaged.std() + 2


def test_shrinking_averages_what_it_drops() -> None:
    """A checkerboard of single pixels becomes grey, whatever the factor."""
    for width, height in ((1280, 720), (641, 359), (960, 720)):
        board = (np.indices((height, width)).sum(0) % 2 * 255).astype(np.uint8)
        small = shrink(np.repeat(board[..., None], 3, 2), (160, 90))
        assert small.shape == (90, 160, 3)
        assert small.min() > 90
        assert small.max() < 165


def test_the_image_is_not_written_to() -> None:
    image = np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8)
    kept = image.copy()
    image.setflags(write=False)
    for fit in FITS:
        make_fit(fit, (96, 64)).place(image)
        make_fit(fit, (70, 50)).place(image)
    np.testing.assert_array_equal(image, kept)


@pytest.mark.parametrize(
    ("resize", "weights"),
    [
        # The sample lies between the second and the third of eight pixels.
        ("bilinear", [0, 0.5, 0.5, 0, 0, 0, 0, 0]),
        # A triangle that is four pixels wide on each side of it.
        ("antialiased", np.array([5, 7, 7, 5, 3, 1, 0, 0]) / 28),
    ],
)
def test_resizing_as_other_projects_do(resize: str, weights: Any) -> None:
    row = np.array([3, 240, 17, 99, 200, 60, 31, 8], np.uint8)
    image = np.repeat(np.repeat(row[None], 8, 0)[..., None], 3, 2)
    for fit in ("stretch", "letterbox"):
        placed, _ = make_fit(f"{fit}+{resize}", (2, 2)).place(image)
        assert placed.shape == (1, 2, 2, 3)
        assert placed[0, 0, 0] == pytest.approx([float(np.dot(row, weights))] * 3, abs=1)


def test_unknown_fits_are_told() -> None:
    for name in ("leterbox", "letterbox+bicubic"):
        with pytest.raises(UsageError, match="letterbox"):
            make_fit(name, (32, 32))


def test_the_middle_is_cropped_as_in_the_standard_evaluation() -> None:
    """Short side to 256, then 224×224 from the middle: in one step, the same picture."""
    image = np.zeros((256, 400, 3), np.uint8)
    image[:] = np.arange(400)[None, :, None] // 2
    image[..., 1] = np.arange(256)[:, None]
    array, placement = make_fit("centre-crop", (224, 224)).place(image)
    np.testing.assert_array_equal(array[0], image[16:240, 88:312])
    assert placement.scale == (1, 1)
    assert placement.offset == (-88, -16)
    larger = np.repeat(np.repeat(image, 2, 0), 2, 1)
    np.testing.assert_array_equal(make_fit("centre-crop", (224, 224)).place(larger)[0], array)


@pytest.mark.parametrize("image_size", IMAGES)
@pytest.mark.parametrize("input_size", INPUTS)
def test_a_crop_of_any_image(image_size: tuple[int, int], input_size: tuple[int, int]) -> None:
    width, height = image_size
    fitted = make_fit("centre-crop", input_size)
    array, placement = fitted.place(np.full((height, width, 3), 90, np.uint8))
    assert array.shape == (1, input_size[1], input_size[0], 3)
    assert (array == 90).all()
    boxes = np.array([[0, 0, *input_size]], np.float32)
    (box,) = fitted.boxes(boxes, placement)
    # The crop lies in the middle of the image, to a pixel of either.
    slack = 2 + max(1 / s for s in placement.scale)
    assert abs(box[0] - (width - box[2])) <= slack
    assert abs(box[1] - (height - box[3])) <= slack
    columns = (np.arange(input_size[0]) // 2).astype(np.uint8)
    class_map = np.tile(columns, (input_size[1], 1))
    placed = fitted.class_map(class_map, placement)
    assert placed.shape == (height, width)
    assert (np.diff(placed.astype(int), axis=1) >= 0).all()
