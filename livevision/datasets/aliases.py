"""Class names that differ between Pascal VOC and COCO."""

from __future__ import annotations

from collections.abc import Sequence

_COCO_OF_VOC = {
    "aeroplane": "airplane",
    "diningtable": "dining table",
    "motorbike": "motorcycle",
    "pottedplant": "potted plant",
    "sofa": "couch",
    "tvmonitor": "tv",
}
_VOC_OF_COCO = {coco: voc for voc, coco in _COCO_OF_VOC.items()}


def other_name(name: str) -> str | None:
    """The class's name in the other of the two data sets; None if it is the same."""
    return _COCO_OF_VOC.get(name) or _VOC_OF_COCO.get(name)


def among(name: str, names: Sequence[str]) -> str | None:
    """The name among some names for the same class: itself, or the other data set's."""
    if name in names:
        return name
    other = other_name(name)
    return other if other is not None and other in names else None
