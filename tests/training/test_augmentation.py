"""Pictures, labels and boxes move together through random views."""

from __future__ import annotations

import numpy as np
import torch

from livevision.datasets.samples import IGNORED
from livevision.training import classification, segmentation
from livevision.training.batches import indices_of
from livevision.training.detection_views import ViewOfBoxes, seen, tiles
from livevision.training.objects import Objects, exists
from livevision.training.ragged import Ragged, Views
from livevision.training.recipe import ClassifyOptions, SegmentOptions
from livevision.training.views import Colouring, classes, colours, whole

BOX = torch.tensor([[[40.0, 20, 80, 60]]])
CPU = torch.device("cpu")


def pictures(count: int, height: int = 80, width: int = 120) -> Ragged:
    """Black, with a bright rectangle from (40, 20) to (80, 60); its class is behind it."""
    image = np.zeros((height, width, 4), np.uint8)
    image[20:60, 40:80, :3] = 255
    image[20:60, 40:80, 3] = 1
    return Ragged.of([image] * count, CPU)


def as_views(rectangles: object, flips: object, size: tuple[int, int]) -> Views:
    return Views.of(np.array(rectangles, np.float64), np.array(flips, np.bool_), size, CPU)


def test_boxes_follow_what_they_enclose() -> None:
    draw = ViewOfBoxes(zoom_out=3.0, smallest_crop=0.3)
    count, shown_in = 60, 0
    sizes = np.tile((120, 80), (count, 1))
    views = draw(sizes, BOX.expand(count, 1, 4), (64, 48), np.random.default_rng(0))
    objects = Objects(BOX.expand(count, 1, 4), torch.ones(count, 1, 1), torch.zeros(count, 1, 4))
    found = seen(objects, views)
    images = colours(pictures(count), views)
    assert images.shape == (count, 3, 48, 64)
    assert views.flips.any()
    assert not views.flips.all()
    for image, boxes, shares in zip(images, found.boxes, found.shares, strict=True):
        shown = bool(exists(boxes)[0])
        assert float(shares.sum()) == shown
        if not shown:
            continue
        # Beyond the border there is a middle grey: only the rectangle is brighter.
        rows, columns = np.nonzero(image.numpy().min(0) > 200)
        edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(np.array(edges) - boxes[0].numpy()).max() < 2
        shown_in += 1
    assert shown_in > 30


def test_crowds_are_cut_at_the_edges_of_a_view() -> None:
    crowds = torch.tensor([[[40.0, 20, 80, 60], [0, 0, 10, 10], [90, 70, 120, 80]]])
    # Stretched to twice its size and mirrored; the second box lies outside.
    views = as_views([[60.0, 40, 100, 80]], [True], (80, 80))
    nothing = Objects(torch.zeros(1, 0, 4), torch.zeros(1, 0, 1), crowds)
    assert seen(nothing, views).crowds.tolist() == [[[40, 0, 80, 40], [0] * 4, [0, 60, 20, 80]]]


def test_tiles_cover_a_mosaic_and_meet_at_one_point() -> None:
    points = set()
    for seed in range(20):
        laid = np.zeros((48, 64), int)
        four = tiles((64, 48), np.random.default_rng(seed))
        for x1, y1, x2, y2 in four:
            laid[y1:y2, x1:x2] += 1
        assert (laid == 1).all()
        _, _, x, y = four[0]
        assert 0.3 * 64 - 1 <= x <= 0.7 * 64
        assert 0.3 * 48 - 1 <= y <= 0.7 * 48
        points.add((x, y))
    assert len(points) > 10


def test_crops_keep_the_overlap_they_promise() -> None:
    draw = ViewOfBoxes(zoom_out=1.0, smallest_crop=0.3)
    sizes = np.tile((120, 80), (200, 1))
    views = draw(sizes, BOX.expand(200, 1, 4), (64, 48), np.random.default_rng(0))
    rectangles = views.rectangles.numpy()
    sides = rectangles[:, 2:] - rectangles[:, :2]
    assert (rectangles[:, :2] >= 0).all()
    assert (rectangles[:, 2:] <= (120, 80)).all()
    cropped = (sides < (120, 80)).any(1)
    assert 50 < cropped.sum() < 190
    shapes = sides[cropped, 0] / sides[cropped, 1]
    assert shapes.min() >= 0.5
    assert shapes.max() <= 2
    centres = np.array([60, 40])
    inside = (rectangles[:, :2] < centres) & (rectangles[:, 2:] > centres)
    assert inside.all()  # the one object is in every view


def test_segmentation_labels_follow_the_picture() -> None:
    images = pictures(40)
    options = SegmentOptions(crop=(48, 64), aspect=(0.75, 1.33))
    views = segmentation.draw_views(images.sizes, options, np.random.default_rng(0), CPU)
    found, truth = colours(images, views), classes(images.channel(3), views)
    assert found.shape == (40, 3, 64, 48)
    assert truth.shape == (40, 64, 48)
    outside = truth == IGNORED
    bright = found[:, 0] > 127
    assert (bright != (truth == 1))[~outside].float().mean() < 0.02
    # Beyond the picture there is no class, and some views reach there, but not most.
    assert 0 < outside.float().mean() < 0.3
    assert views.flips.any()
    assert not views.flips.all()
    # Scales from a half to two: what is shown of the width spreads over a factor of four.
    extents = views.rectangles[:, 2] - views.rectangles[:, 0]
    assert extents.max() / extents.min() > 3


def test_a_whole_picture_at_its_own_size_is_unchanged() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    images = Ragged.of([noise, noise[::-1]], CPU)
    same = colours(images, whole(images, (7, 9))).numpy()
    np.testing.assert_allclose(same.transpose(0, 2, 3, 1), [noise, noise[::-1]], atol=0.01)
    flipped = colours(images.some([0]), as_views([[0, 0, 7, 9]], [True], (7, 9))).numpy()
    np.testing.assert_allclose(flipped[0].transpose(1, 2, 0), noise[:, ::-1], atol=0.01)


def test_classifiers_see_parts_of_the_asked_area() -> None:
    sizes = np.tile((64, 64), (300, 1))
    options = ClassifyOptions(smallest_crop=0.35)
    views = classification.draw_views(sizes, options, (32, 32), np.random.default_rng(0), CPU)
    rectangles = views.rectangles.numpy()
    areas = (rectangles[:, 2:] - rectangles[:, :2]).prod(1) / 64**2
    assert 0.3 < areas.min() < 0.4
    assert areas.max() > 0.9
    assert (rectangles >= 0).all()
    assert (rectangles <= 64).all()


def test_colours_change_by_the_asked_factors() -> None:
    images = torch.rand(50, 3, 8, 8) * 100 + 50
    random = np.random.default_rng(0)
    changed = Colouring(0.3)(images, random)
    assert torch.equal(Colouring(0.0)(images, random), images)
    ratio = changed.mean((1, 2, 3)) / images.mean((1, 2, 3))
    assert ((ratio > 0.68) & (ratio < 1.32)).all()  # the brightness; the rest keeps the mean
    assert ratio.std() > 0.1
    grey = torch.full((1, 3, 4, 4), 90.0)
    turned = Colouring(0.0, hue=90)(grey, random)
    torch.testing.assert_close(turned, grey)
    red = torch.zeros(1, 3, 1, 1)
    red[:, 0] = 120
    assert not torch.allclose(Colouring(0.0, hue=90)(red, random), red, atol=5)


def test_an_epoch_shows_every_picture_once_and_each_in_another_order() -> None:
    epochs = [
        [i for step in range(5) for i in indices_of(e * 5 + step, 4, 20, seed=7)] for e in range(2)
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(20))
    assert epochs[0] != epochs[1]
