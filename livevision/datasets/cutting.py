"""Cuts objects out of pictures by their masks, for copy-paste augmentation.

Masks are COCO's polygons and run lengths, or class maps. In a class map each connected region of a
class is an object; if the data set has boxes too, only regions that one box encloses, since two
adjacent people are one region.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
import numpy.typing as npt

from livevision.datasets import coco
from livevision.datasets.aliases import among, other_name
from livevision.datasets.entry import DataEntry
from livevision.datasets.opening import kinds_of, open_dataset
from livevision.datasets.samples import (
    IGNORED,
    BoxSample,
    ClassMapSample,
    Image,
    read_picture,
)
from livevision.errors import DataError, UsageError, missing_module, unknown

Mask = npt.NDArray[np.bool_]

PEOPLE_ANIMALS_VEHICLES = (
    "person", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe",
    "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
)  # fmt: skip

_ONE_PIECE = 0.85
"""Minimum share of a mask in its largest region; other masks are split by something in front."""
_FULL = 0.15
"""Minimum share of its box that a mask fills; less is a frame or a wire."""
_ENCLOSED = 0.8
"""Minimum IoU of a region's bounds and its object's box."""


_VOID = 8
"""Width in pixels of the void that Pascal VOC and similar sets leave around objects."""


@dataclass(frozen=True)
class Wishes:
    """Which objects to cut out.

    Attributes:
        classes: Names; empty for people, animals and vehicles.
        smallest: Minimum longer side in pixels; smaller objects are skipped.
        longest: Maximum longer side in pixels; larger objects are scaled down.
    """

    classes: tuple[str, ...] = ()
    smallest: int = 40
    longest: int = 160


class Cut(NamedTuple):
    """An object without its background."""

    label: str
    picture: Path
    image: npt.NDArray[np.uint8]  # H x W x 4, RGBA; black where transparent


def cuts(entry: Any, root: Path, wishes: Wishes) -> Iterator[Cut]:
    """Cut out the objects of a data set, one by one.

    Args:
        entry: See `open_dataset`; class maps need the names of their classes.
        root: Base folder of a relative path.
        wishes: Which objects, and their size.

    Raises:
        UsageError: The entry is invalid, or none of the classes is in the data set.
        DataError: The data are broken, or have no masks.
    """
    entry = DataEntry.of(entry)
    entry = replace(entry, path=root / entry.path)
    if not entry.path.exists():
        raise DataError(f"{entry.path}: there is no such data set")
    maps = entry.path.suffix != ".json" and "segment" in kinds_of(entry.path)
    for label, picture, image, mask, margin in (_of_maps if maps else _of_coco)(entry, wishes):
        cut = cut_out(image, mask, wishes, margin)
        if cut is not None:
            yield Cut(label, picture, cut)


def cut_out(
    image: Image, mask: Mask, wishes: Wishes, margin: int = 1
) -> npt.NDArray[np.uint8] | None:
    """Cut an object out by its mask, with soft edges; None if it is not a whole object.

    Args:
        image: uint8 H×W×3, RGB.
        mask: bool H×W.
        wishes: Its size limits.
        margin: Objects that end within this many pixels of the picture's edge are cut off by it.

    Returns:
        uint8 h×w×4, RGBA.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    height, width = mask.shape
    if min(top, left) < margin or bottom > height - margin or right > width - margin:
        return None  # cut off by the picture's edge
    longest = int(max(bottom - top, right - left))
    part = mask[top:bottom, left:right].astype(np.uint8)
    _, _, pieces, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
    area = int(part.sum())
    if (
        longest < wishes.smallest
        or area < _FULL * part.size
        or pieces[1:, cv2.CC_STAT_AREA].max() < _ONE_PIECE * area
    ):
        return None
    if longest >= 64:  # masks include background along their edge
        part = np.asarray(cv2.erode(part, np.ones((3, 3), np.uint8), borderValue=0), np.uint8)
    colours: npt.NDArray[Any] = image[top:bottom, left:right].astype(np.float32)
    opacity: npt.NDArray[Any] = part.astype(np.float32)
    if longest > wishes.longest:
        scale = wishes.longest / longest
        size = [max(1, round(side * scale)) for side in (right - left, bottom - top)]
        # Premultiplied by opacity, so that the background does not show at the edges.
        weighed = cv2.resize(colours * opacity[..., None], size, interpolation=cv2.INTER_AREA)
        opacity = cv2.resize(opacity, size, interpolation=cv2.INTER_AREA)
        colours = weighed / np.maximum(opacity, 1e-3)[..., None]
    softened = cv2.GaussianBlur(opacity, (3, 3), 0.6) * (opacity > 0)
    colours[softened == 0] = 0
    both = np.dstack((colours, 255 * softened)).round().clip(0, 255)
    return both.astype(np.uint8)


_Found = Iterator[tuple[str, Path, Image, Mask, int]]


def _of_coco(entry: DataEntry, wishes: Wishes) -> _Found:
    """The objects with masks in COCO's JSON."""
    if not coco.recognise(entry.path):
        raise DataError(
            f"{entry.path}: has neither class maps nor a COCO file, so there are no masks"
        )
    labels, pictures = coco.masked(entry.path, entry, None, "train")
    wanted = _wanted(labels, wishes, str(entry.path))
    some = False
    for path, objects in pictures:
        some |= bool(objects)
        chosen = [o for o in objects if labels[o.class_id] in wanted]
        if not chosen:
            continue
        image = read_picture(path)
        for found in chosen:
            mask = _decoded(found.segmentation, image.shape[0], image.shape[1], found.place)
            yield labels[found.class_id], path, image, mask, 1
    if not some:
        raise DataError(f"{entry.path}: none of its annotations has a segmentation, only boxes")


def _decoded(segmentation: Any, height: int, width: int, place: str) -> Mask:
    """Decode a mask from polygons or run lengths, compressed or not.

    Raises:
        DataError: It is not a mask, or its size differs from the picture's.
    """
    try:
        from faster_coco_eval import mask as masks
    except ModuleNotFoundError as error:
        raise missing_module(error, "reading COCO's masks") or error from error
    if isinstance(segmentation, Mapping) and list(segmentation.get("size", ())) != [height, width]:
        raise DataError(
            f"{place}: its mask is of size {segmentation.get('size')} (height, width), its picture "
            f"{[height, width]}"
        )
    try:
        if isinstance(segmentation, Mapping) and isinstance(segmentation["counts"], str):
            packed: Any = {**segmentation, "counts": segmentation["counts"].encode()}
        else:
            packed = masks.frPyObjects(segmentation, height, width)
        if isinstance(packed, list):
            packed = masks.merge(packed)
        decoded = np.asarray(masks.decode(packed), bool)
    except Exception as error:
        raise DataError(f"{place}: its segmentation cannot be read: {error}") from error
    return decoded.reshape(height, width)


def _of_maps(entry: DataEntry, wishes: Wishes) -> _Found:
    """The regions of class maps that are objects."""
    opened = open_dataset(entry, None, "segment", None, "train")
    wanted = _wanted(opened.labels, wishes, opened.name)
    numbers = [number for number, label in enumerate(opened.labels) if label in wanted]
    boxes = _boxes(entry)
    for sample in cast(Sequence[ClassMapSample], opened.samples):
        labels = sample.read_labels()
        shown = set(np.unique(labels).tolist()).intersection(numbers)
        if not shown:
            continue
        image = read_picture(sample.path)
        of_picture = boxes(sample.path)
        margin = _VOID if (labels == IGNORED).any() else 1
        for number in sorted(shown):
            label = opened.labels[number]
            count, pieces, stats, _ = cv2.connectedComponentsWithStats(
                (labels == number).astype(np.uint8), connectivity=8
            )
            for piece in range(1, count):
                x, y, width, height = (int(v) for v in stats[piece, :4])
                if max(width, height) < wishes.smallest:
                    continue
                bounds = np.array((x, y, x + width, y + height), np.float32)
                if of_picture is None or _is_one(bounds, of_picture, label):
                    yield label, sample.path, image, pieces == piece, margin


_OfPicture = tuple[npt.NDArray[np.float32], list[str]] | None


def _boxes(entry: DataEntry) -> Callable[[Path], _OfPicture]:
    """Returns the boxes and class names of a picture; None if the data set has no boxes."""
    if "detect" not in kinds_of(entry.path):
        return lambda path: None
    plain = DataEntry(entry.path, entry.split, part=entry.part)
    opened = open_dataset(plain, None, "detect", None, "train")
    names = [entry.rename.get(label, label) for label in opened.labels]
    table = {
        sample.path: (sample.boxes, [names[c] for c in sample.classes])
        for sample in cast(Sequence[BoxSample], opened.samples)
    }
    nothing = (np.zeros((0, 4), np.float32), list[str]())
    return lambda path: table.get(path, nothing)


def _is_one(
    bounds: npt.NDArray[np.float32], boxes: tuple[npt.NDArray[np.float32], list[str]], label: str
) -> bool:
    """Whether a region is one object: one box encloses it, and no other of its class is in it."""
    same = [other in (label, other_name(label)) for other in boxes[1]]
    theirs = boxes[0][np.array(same, bool)]
    shared = np.minimum(bounds[2:], theirs[:, 2:]) - np.maximum(bounds[:2], theirs[:, :2])
    inside = shared.clip(0).prod(1)
    areas = (theirs[:, 2:] - theirs[:, :2]).prod(1)
    own = float((bounds[2:] - bounds[:2]).prod())
    fits = inside / (areas + own - inside) >= _ENCLOSED
    return int(fits.sum()) == 1 and not (inside[~fits] > 0.5 * areas[~fits]).any()


def _wanted(labels: Sequence[str], wishes: Wishes, name: str) -> set[str]:
    """The data set's names of the requested classes.

    Raises:
        UsageError: One does not exist, or none of the default ones.
    """
    if not wishes.classes:
        found = {among(label, labels) for label in PEOPLE_ANIMALS_VEHICLES} - {None}
        if not found:
            raise UsageError(
                f"{name}: has no people, animals or vehicles by COCO's or VOC's names; choose "
                f"classes with --classes: {', '.join(labels)}"
            )
        return cast(set[str], found)
    chosen = set()
    for given in wishes.classes:
        known = among(given, labels)
        if known is None:
            raise UsageError(f"{name}: {unknown('class', given, labels)}")
        chosen.add(known)
    return chosen
