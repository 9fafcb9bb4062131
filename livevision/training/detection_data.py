"""Pictures with boxes: reading them and augmenting them as SSD does (arXiv 1512.02325)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from livevision.training.batches import Image, recolour

Boxes = npt.NDArray[np.float32]

# The names that COCO gives to Pascal VOC's classes, where they differ.
_COCO_TO_VOC = {
    "airplane": "aeroplane",
    "couch": "sofa",
    "dining table": "diningtable",
    "motorcycle": "motorbike",
    "potted plant": "pottedplant",
    "tv": "tvmonitor",
}


@dataclass(frozen=True)
class Sample:
    """One picture, uint8 H x W x 3 in RGB order, and its objects.

    `boxes` are float32 K x 4, x1 y1 x2 y2 in pixels; `classes` int64 K, from 0; `difficult` bool
    K, marks objects that a score does not ask for.
    """

    image: Image
    boxes: Boxes
    classes: npt.NDArray[np.int64]
    difficult: npt.NDArray[np.bool_]


def read_coco(folder: Path, split: str, class_names: list[str]) -> list[Sample]:
    """Read `images/*` and `instances_SPLIT.json` (COCO's form) of a folder into memory.

    Objects of other classes than `class_names`, and crowds, are left out; COCO's names of
    Pascal VOC's classes are understood.

    Raises:
        FileNotFoundError: a file is missing or unreadable.
    """
    truth = json.loads((folder / f"instances_{split}.json").read_text())
    names = {c["id"]: _COCO_TO_VOC.get(c["name"], c["name"]) for c in truth["categories"]}
    objects: dict[int, list[dict]] = {image["id"]: [] for image in truth["images"]}
    for annotation in truth["annotations"]:
        if names[annotation["category_id"]] in class_names and not annotation.get("iscrowd"):
            objects[annotation["image_id"]].append(annotation)
    samples = []
    for entry in truth["images"]:
        path = folder / "images" / entry["file_name"]
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise FileNotFoundError(f"{path} is missing or unreadable")
        found = objects[entry["id"]]
        boxes = np.array([o["bbox"] for o in found], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        classes = np.array([class_names.index(names[o["category_id"]]) for o in found], np.int64)
        difficult = np.array([bool(o.get("difficult")) for o in found], np.bool_)
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8)
        samples.append(Sample(rgb, boxes, classes, difficult))
    return samples


@dataclass(frozen=True)
class Augmentation:
    """A random view of a picture, as a square: zoomed out, cropped, flipped and recoloured.

    Attributes:
        size: side of the square in pixels; the view is stretched to it.
        zoom_out: the most by which the picture's sides are extended, half of the time.
        smallest_crop: shortest side of a crop, as a share of the picture's.
        jitter: largest relative change of brightness, contrast and saturation.
    """

    size: int
    zoom_out: float = 3.0
    smallest_crop: float = 0.3
    jitter: float = 0.4

    def __call__(self, sample: Sample, random: np.random.Generator) -> Sample:
        """Draw one view; objects whose centre it does not show are left out."""
        height, width = sample.image.shape[:2]
        view = np.array([0, 0, width, height], np.float64)
        if random.random() < 0.5:
            extent = view[2:] * random.uniform(1, self.zoom_out)
            corner = -random.random(2) * (extent - view[2:])
            view = np.concatenate((corner, corner + extent))
        view = self._crop(view, sample.boxes, random)
        flip = bool(random.random() < 0.5)
        shown = show(sample, view, self.size, flip)
        return Sample(
            recolour(shown.image, self.jitter, random), shown.boxes, shown.classes, shown.difficult
        )

    def _crop(
        self, view: npt.NDArray[np.float64], boxes: Boxes, random: np.random.Generator
    ) -> npt.NDArray[np.float64]:
        """A part of the view that overlaps every object it shows by some least IoU."""
        least = random.choice([1.0, 0.0, 0.1, 0.3, 0.5, 0.7, 0.9])
        if least == 1 or not len(boxes):
            return view
        tries = 50
        sides = random.uniform(self.smallest_crop, 1, (tries, 2)) * (view[2:] - view[:2])
        corners = view[:2] + random.random((tries, 2)) * (view[2:] - view[:2] - sides)
        for crop in np.concatenate((corners, corners + sides), 1):
            width, height = crop[2:] - crop[:2]
            if not 0.5 <= width / height <= 2:
                continue
            inside = boxes[_centres_inside(boxes, crop)]
            if len(inside) and _iou_with(inside, crop).min() >= least:
                return crop
        return view


def show(sample: Sample, view: npt.NDArray[np.float64], size: int, flip: bool) -> Sample:
    """Stretch a rectangle of a picture, which may reach outside it, to a square."""
    scale = size / (view[2:] - view[:2])
    offset = -view[:2] * scale
    matrix = np.array([[scale[0], 0, offset[0]], [0, scale[1], offset[1]]])
    if flip:
        matrix[0] = -scale[0], 0, size - 1 - offset[0]
    image = cv2.warpAffine(
        sample.image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=(124, 116, 104)
    )
    kept = _centres_inside(sample.boxes, view)
    boxes = (sample.boxes[kept].reshape(-1, 2, 2) * scale + offset).reshape(-1, 4).clip(0, size)
    if flip:
        boxes[:, [0, 2]] = size - boxes[:, [2, 0]]
    return Sample(
        image.astype(np.uint8),
        boxes.astype(np.float32),
        sample.classes[kept],
        sample.difficult[kept],
    )


def _centres_inside(boxes: Boxes, view: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.asarray(((centres > view[:2]) & (centres < view[2:])).all(1))


def _iou_with(boxes: Boxes, crop: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    sides = np.minimum(boxes[:, 2:], crop[2:]) - np.maximum(boxes[:, :2], crop[:2])
    shared = sides.clip(0).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return np.asarray(shared / (areas + (crop[2:] - crop[:2]).prod() - shared))
