"""Names that well-known data sets have for one thing: Pascal VOC's beside COCO's."""

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
    """What the other of the two data sets calls a class; None where both call it the same."""
    return _COCO_OF_VOC.get(name) or _VOC_OF_COCO.get(name)


def among(name: str, names: Sequence[str]) -> str | None:
    """The one of some names that means this one: itself, or what the other data set calls it."""
    if name in names:
        return name
    other = other_name(name)
    return other if other is not None and other in names else None
