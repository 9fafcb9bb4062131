"""Guesses a segmenter's training data from its number of classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CITYSCAPES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic_light", "traffic_sign",
    "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train",
    "motorcycle", "bicycle",
)  # fmt: skip


@dataclass(frozen=True)
class Dataset:
    """A data set used to train public segmenters.

    Attributes:
        name: Its name.
        terms: Its terms of use for weights trained on it.
        size: (width, height) of images that suit it.
        labels: Class names; empty if the user has to give them.
    """

    name: str
    terms: str
    size: tuple[int, int] = (512, 512)
    labels: tuple[str, ...] = ()


_BY_CLASSES: Mapping[int, Dataset] = {
    19: Dataset(
        "Cityscapes",
        "Cityscapes' terms (non-commercial) apply as well",
        (1024, 512),
        CITYSCAPES,
    ),
    150: Dataset("ADE20K", "ADE20K's terms (non-commercial) apply as well"),
    171: Dataset("COCO-Stuff", "the terms of COCO-Stuff's pictures apply as well"),
}
_UNKNOWN = Dataset("", "the terms of its training data apply as well")


def dataset(classes: int) -> Dataset:
    """The data set with this number of classes; one without a name if unknown."""
    return _BY_CLASSES.get(classes, _UNKNOWN)
