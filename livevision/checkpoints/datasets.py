"""What the number of a segmenter's classes tells of the data it was trained on."""

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
    """A data set that public segmenters are trained on.

    Attributes:
        name: Of the data set.
        terms: Those under which weights made from it can be used.
        size: (width, height) of the images that suits it.
        labels: Class names; empty where the user has to bring them.
    """

    name: str
    terms: str
    size: tuple[int, int] = (512, 512)
    labels: tuple[str, ...] = ()


_BY_CLASSES: Mapping[int, Dataset] = {
    19: Dataset(
        "Cityscapes",
        "Cityscapes' terms (non-commercial) come on top",
        (1024, 512),
        CITYSCAPES,
    ),
    150: Dataset("ADE20K", "ADE20K's terms (non-commercial) come on top"),
    171: Dataset("COCO-Stuff", "the terms of COCO-Stuff's pictures come on top"),
}
_UNKNOWN = Dataset("", "the terms of the data it was trained on come on top")


def dataset(classes: int) -> Dataset:
    """The data set with so many classes, or one without a name."""
    return _BY_CLASSES.get(classes, _UNKNOWN)
