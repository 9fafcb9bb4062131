"""Augmented pictures and their labels move together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from livevision.training import detection_data, segmentation_data
from livevision.training.batches import indices_of


def picture(height: int = 80, width: int = 120) -> npt.NDArray[np.uint8]:
    """Black, with a bright rectangle from (40, 20) to (80, 60)."""
    image = np.zeros((height, width, 3), np.uint8)
    image[20:60, 40:80] = 255
    return image


def test_boxes_follow_what_they_enclose() -> None:
    box = np.array([[40, 20, 80, 60]], np.float32)
    sample = detection_data.Sample(picture(), box, np.array([3]), np.array([False]))
    augment = detection_data.Augmentation(64, jitter=0.0)
    for seed in range(40):
        view = augment(sample, np.random.default_rng(seed))
        assert view.image.shape == (64, 64, 3)
        for x1, y1, x2, y2 in view.boxes:
            # The border's colour is in the middle: only the rectangle is brighter.
            rows, columns = np.nonzero(view.image.min(2) > 200)
            edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert np.abs(np.array(edges) - [x1, y1, x2, y2]).max() < 3


def test_segmentation_labels_follow_the_picture() -> None:
    labels = np.zeros((80, 120), np.uint8)
    labels[20:60, 40:80] = 1
    sample = segmentation_data.Sample(picture(), labels)
    augment = segmentation_data.Augmentation((64, 48), jitter=0.0)
    for seed in range(40):
        view = augment(sample, np.random.default_rng(seed))
        assert view.image.shape == (64, 48, 3)
        assert view.labels.shape == (64, 48)
        disagreeing = (view.image[..., 0] > 127) != (view.labels == 1)
        assert disagreeing.mean() < 0.08
        outside = view.labels == segmentation_data.IGNORED
        # Outside the picture there is black, and no class.
        assert (view.image[outside] < 130).all()


def test_an_epoch_shows_every_picture_once_and_each_in_another_order() -> None:
    epochs = [
        [i for step in range(5) for i in indices_of(e * 5 + step, 4, 20, seed=7)] for e in range(2)
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(20))
    assert epochs[0] != epochs[1]
