"""Random views of pictures with boxes, as SSD draws them (arXiv 1512.02325, section 2.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float32]
Rectangle = npt.NDArray[np.float64]

_TRIES = 50
_LEAST_OVERLAPS = (1.0, 0.0, 0.1, 0.3, 0.5, 0.7, 0.9)  # 1: no crop at all
_SPLIT = (0.3, 0.7)  # where a mosaic's tiles meet, as a share of its sides


@dataclass(frozen=True)
class ViewOfBoxes:
    """Draws which part of a picture is shown.

    Attributes:
        zoom_out: the most by which the picture's sides are extended, half of the time.
        smallest_crop: shortest side of a crop, as a share of the picture's.
    """

    zoom_out: float
    smallest_crop: float

    def __call__(
        self, width: int, height: int, boxes: Boxes, random: np.random.Generator
    ) -> Rectangle:
        """A rectangle of the picture, x1 y1 x2 y2, which may reach beyond it."""
        view = np.array([0, 0, width, height], np.float64)
        if random.random() < 0.5:
            extent = view[2:] * random.uniform(1, self.zoom_out)
            corner = -random.random(2) * (extent - view[2:])
            view = np.concatenate((corner, corner + extent))
        return self._crop(view, boxes, random)

    def _crop(self, view: Rectangle, boxes: Boxes, random: np.random.Generator) -> Rectangle:
        """A part of the view that overlaps every object it shows by some least IoU."""
        least = random.choice(_LEAST_OVERLAPS)
        if least == 1 or not len(boxes):
            return view
        extent = view[2:] - view[:2]
        sides = random.uniform(self.smallest_crop, 1, (_TRIES, 2)) * extent
        corners = view[:2] + random.random((_TRIES, 2)) * (extent - sides)
        crops = np.concatenate((corners, corners + sides), 1)
        shape = sides[:, 0] / sides[:, 1]
        inside = _centres_inside(boxes, crops)
        overlap = np.where(inside, _overlap(boxes, crops), np.inf).min(1)
        good = (shape >= 0.5) & (shape <= 2) & inside.any(1) & (overlap >= least)
        return crops[good.argmax()] if good.any() else view


def move_boxes(
    boxes: Boxes, view: Rectangle, flip: bool, size: tuple[int, int]
) -> tuple[Boxes, npt.NDArray[np.bool_]]:
    """Boxes in the pixels of a view stretched to a size, and which of them the view shows.

    Those whose centre lies outside are not shown; the others are clipped to it.
    """
    shown = _centres_inside(boxes, view[None])[0]
    return _moved(boxes[shown], view, flip, size), shown


def clip_boxes(boxes: Boxes, view: Rectangle, flip: bool, size: tuple[int, int]) -> Boxes:
    """The parts of boxes that a view shows, in its pixels; those outside of it are left out."""
    moved = _moved(boxes, view, flip, size)
    return moved[(moved[:, 2:] > moved[:, :2]).all(1)]


def tiles(size: tuple[int, int], random: np.random.Generator) -> list[tuple[int, int, int, int]]:
    """The four tiles of a mosaic (YOLOv4, arXiv 2004.10934, section 3.3), split at a random point.

    Args:
        size: width and height of the mosaic in pixels.
        random: what the point is drawn with, between 0.3 and 0.7 of each side.

    Returns:
        x1 y1 x2 y2 of each tile, row by row.
    """
    width, height = size
    x, y = (int(side * random.uniform(*_SPLIT)) for side in size)
    return [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]


def _moved(boxes: Boxes, view: Rectangle, flip: bool, size: tuple[int, int]) -> Boxes:
    """Boxes in the pixels of a view stretched to a size, clipped to it."""
    scale = np.array(size) / (view[2:] - view[:2])
    moved = ((boxes.reshape(-1, 2, 2) - view[:2]) * scale).clip(0, size).reshape(-1, 4)
    if flip:
        moved[:, [0, 2]] = size[0] - moved[:, [2, 0]]
    return moved.astype(np.float32)


def _centres_inside(boxes: Boxes, crops: Rectangle) -> npt.NDArray[np.bool_]:
    """crops x boxes: whether a box's centre lies in a crop."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = (centres > crops[:, None, :2]) & (centres < crops[:, None, 2:])
    return np.asarray(inside.all(2))


def _overlap(boxes: Boxes, crops: Rectangle) -> npt.NDArray[np.float64]:
    """crops x boxes: their IoU."""
    ends = np.minimum(boxes[:, 2:], crops[:, None, 2:])
    shared = (ends - np.maximum(boxes[:, :2], crops[:, None, :2])).clip(0).prod(2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (crops[:, 2:] - crops[:, :2]).prod(1)[:, None]
    return np.asarray(shared / (areas - shared))
