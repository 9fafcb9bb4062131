"""What a GPU computes all at once is what a CPU computes picture by picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from livevision.training.detection_views import ViewOfBoxes, seen
from livevision.training.objects import Objects, exists
from livevision.training.ragged import Ragged, Views

CPU = torch.device("cpu")
SIZES = ((40, 30), (17, 50), (64, 9), (33, 33))


def noise(channels: int = 3) -> Ragged:
    random = np.random.default_rng(0)
    return Ragged.of([random.integers(0, 256, (h, w, channels), np.uint8) for w, h in SIZES], CPU)


def drawn(seed: int, size: tuple[int, int]) -> Views:
    """Views of all sorts: within a picture, all of it, beyond it on some sides."""
    random = np.random.default_rng(seed)
    sizes = np.array(SIZES, np.float64)
    corners = random.uniform(-0.5, 0.6, (4, 2)) * sizes
    rectangles = np.concatenate((corners, corners + random.uniform(0.2, 1.6, (4, 2)) * sizes), 1)
    return Views.of(rectangles, random.random(4) < 0.5, size, CPU)


@pytest.mark.parametrize("seed", range(6))
def test_all_at_once_gives_what_one_by_one_gives(seed: int) -> None:
    pictures, views = noise(), drawn(seed, (24, 20))
    fill = [124.0, 116.0, 104.0]
    each, once = pictures.resample_each(views, fill), pictures.resample_at_once(views, fill)
    assert each.shape == once.shape == (4, 3, 20, 24)
    torch.testing.assert_close(once, each, atol=0.05, rtol=0)


@pytest.mark.parametrize("seed", range(6))
def test_class_maps_are_the_same_all_at_once(seed: int) -> None:
    labels, views = noise(4).channel(3), drawn(seed, (24, 20))
    each, once = (
        f(views, [255.0], nearest=True) for f in (labels.resample_each, labels.resample_at_once)
    )
    # A place halfway between two pixels may be rounded to either.
    assert (each != once).float().mean() < 0.005


def test_a_view_beside_its_picture_shows_nothing_of_it() -> None:
    beside = Views.of(np.array([[100.0, 0, 120, 9]]), np.zeros(1, np.bool_), (5, 4), CPU)
    one = noise().some([2])
    for image in (
        one.resample_each(beside, [1.0, 2, 3]),
        one.resample_at_once(beside, [1.0, 2, 3]),
    ):
        assert (image == torch.tensor([1.0, 2, 3]).view(1, 3, 1, 1)).all()


def test_room_is_made_where_more_pixels_come_than_expected() -> None:
    random = np.random.default_rng(1)
    images = [random.integers(0, 256, (h, w, 3), np.uint8) for w, h in SIZES]
    for held in (Ragged.of(images, CPU, 5), Ragged.of(images, CPU, 100_000)):
        assert all(np.array_equal(*pair) for pair in zip(held, images, strict=True))
        assert np.array_equal(held.some([3, 1, 3])[2], images[3])


LEAST = (1.0, 0.0, 0.1, 0.3, 0.5, 0.7, 0.9)


def plain_view(
    size: Any, boxes: npt.NDArray[np.float64], numbers: Any, zoom: float, smallest: float
) -> npt.NDArray[np.float64]:
    """A view written down as SSD's authors tell it, of one picture, try by try."""
    view = np.array([0.0, 0, *size])
    if numbers[0] < 0.5:
        extent = size * (1 + numbers[1] * (zoom - 1))
        corner = -numbers[2:4] * (extent - size)
        view = np.concatenate((corner, corner + extent))
    least = LEAST[int(numbers[4] * 7)]
    if least == 1:
        return view
    extent = view[2:] - view[:2]
    for side, place in zip(
        numbers[6:106].reshape(50, 2), numbers[106:].reshape(50, 2), strict=True
    ):
        side = (smallest + (1 - smallest) * side) * extent
        corner = view[:2] + place * (extent - side)
        crop = np.concatenate((corner, corner + side))
        if not 0.5 <= side[0] / side[1] <= 2:
            continue
        overlaps = []
        for box in boxes:
            centre = (box[:2] + box[2:]) / 2
            if (centre > crop[:2]).all() and (centre < crop[2:]).all():
                shared = np.prod(
                    np.clip(np.minimum(box[2:], crop[2:]) - np.maximum(box[:2], crop[:2]), 0, None)
                )
                overlaps.append(shared / (np.prod(box[2:] - box[:2]) + np.prod(side) - shared))
        if overlaps and min(overlaps) >= least:
            return crop
    return view


def test_views_and_boxes_of_a_batch_are_those_of_each_picture_alone() -> None:
    random = np.random.default_rng(3)
    count, zoom, smallest, out = 120, 3.0, 0.3, (64, 48)
    sizes = random.integers(50, 400, (count, 2)).astype(np.float64)
    corners = random.random((count, 5, 2)) * 0.7 * sizes[:, None]
    ends = corners + random.uniform(0.03, 0.3, (count, 5, 2)) * sizes[:, None]
    boxes = np.concatenate((corners, ends), 2).astype(np.float32)
    boxes[np.arange(5) >= random.integers(0, 6, count)[:, None]] = 0
    numbers = random.random((count, 206))
    views = ViewOfBoxes(zoom, smallest).drawn(
        torch.from_numpy(sizes), torch.from_numpy(boxes), out, torch.from_numpy(numbers)
    )
    shares = torch.rand(count, 5, 3)
    objects = Objects(torch.from_numpy(boxes), shares, torch.from_numpy(boxes[:, :2]))
    found = seen(objects, views).first(5)
    cropped = 0
    for n in range(count):
        mine = boxes[n][boxes[n, :, 2] > 0].astype(np.float64)
        view = plain_view(sizes[n], mine, numbers[n], zoom, smallest)
        assert np.allclose(views.rectangles[n].numpy(), view, rtol=1e-12, atol=1e-9)
        cropped += bool((view[2:] - view[:2] < sizes[n]).all())
        moved, kept = [], []
        for place, box in enumerate(mine):
            centre = (box[:2] + box[2:]) / 2
            if (centre > view[:2]).all() and (centre < view[2:]).all():
                x1, y1, x2, y2 = np.clip(
                    (box.reshape(2, 2) - view[:2]) * (out / (view[2:] - view[:2])), 0, out
                ).ravel()
                moved.append(
                    (out[0] - x2, y1, out[0] - x1, y2) if numbers[n, 5] < 0.5 else (x1, y1, x2, y2)
                )
                kept.append(place)
        assert int(exists(found.boxes[n]).sum()) == len(moved)
        got = found.boxes[n, : len(moved)].numpy()
        assert np.array_equal(got, np.array(moved, np.float32).reshape(-1, 4))
        assert torch.equal(found.shares[n, : len(kept)], shares[n, kept])
    assert cropped > 10
