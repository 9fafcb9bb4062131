"""Random views of pictures with boxes, as SSD draws them (arXiv 1512.02325, section 2.2).

All views of a batch are drawn at once, on the device of the boxes. Only the random numbers come
from the CPU, always the same number per view, so that a seed has the same effect everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from livevision.training.objects import Objects, exists
from livevision.training.ragged import Views, on_device

_TRIES = 50
_LEAST_OVERLAPS = (1.0, 0.0, 0.1, 0.3, 0.5, 0.7, 0.9)  # 1: no crop
_SPLIT = (0.3, 0.7)  # where a mosaic's tiles meet, as a share of its sides
_NUMBERS = 6 + 4 * _TRIES


@dataclass(frozen=True)
class ViewOfBoxes:
    """Draws random views of pictures.

    Attributes:
        zoom_out: maximum factor by which a picture's sides are extended, half of the time.
        smallest_crop: minimum side of a crop, as a share of the picture's.
    """

    zoom_out: float
    smallest_crop: float

    def __call__(
        self,
        sizes: npt.NDArray[np.int64],
        boxes: Tensor,
        size: tuple[int, int],
        random: np.random.Generator,
    ) -> Views:
        """A view of each picture, which may extend beyond it; flipped half of the time.

        Args:
            sizes: N x 2, widths and heights of the pictures.
            boxes: N x G x 4 in the pictures' pixels, empty ones in padding.
            size: (width, height) that views are resized to.
            random: generator; gives `_NUMBERS` for each.
        """
        numbers = on_device(random.random((len(sizes), _NUMBERS)), boxes.device)
        return self.drawn(on_device(sizes, boxes.device).double(), boxes, size, numbers)

    def drawn(self, sizes: Tensor, boxes: Tensor, size: tuple[int, int], numbers: Tensor) -> Views:
        """The views given by random numbers.

        Args:
            sizes: float64 N x 2.
            boxes, size: as in `__call__`.
            numbers: N x `_NUMBERS`, from 0 to 1: whether to extend, by how much, the picture's
                position then (2), the minimum overlap, whether to flip; sides and positions of all
                candidate crops.
        """
        extended = sizes * (1 + numbers[:, 1:2] * (self.zoom_out - 1))
        corners = -numbers[:, 2:4] * (extended - sizes)
        views = torch.cat((corners, corners + extended), 1)
        pictures = torch.cat((torch.zeros_like(sizes), sizes), 1)
        views = torch.where(numbers[:, :1] < 0.5, views, pictures)
        overlaps = on_device(np.array(_LEAST_OVERLAPS), numbers.device)
        least = overlaps[(numbers[:, 4] * len(_LEAST_OVERLAPS)).long()]
        tries = numbers[:, 6:].unflatten(1, (2, _TRIES, 2))
        views = self._crop(views, boxes.double(), least[:, None], tries[:, 0], tries[:, 1])
        return Views(views, numbers[:, 5] < 0.5, size)

    def _crop(
        self, views: Tensor, boxes: Tensor, least: Tensor, sides: Tensor, places: Tensor
    ) -> Tensor:
        """The first candidate that overlaps every visible object by a minimum IoU, or no crop."""
        extents = (views[:, 2:] - views[:, :2])[:, None]
        sides = (self.smallest_crop + (1 - self.smallest_crop) * sides) * extents
        corners = views[:, None, :2] + places * (extents - sides)
        crops = torch.cat((corners, corners + sides), 2)
        shapes = sides[..., 0] / sides[..., 1]
        inside = _centres_inside(boxes, crops) & exists(boxes)[:, None]
        overlap = torch.where(inside, _overlap(boxes, crops), torch.inf).amin(2)
        good = (shapes >= 0.5) & (shapes <= 2) & inside.any(2) & (overlap >= least) & (least < 1)
        first = good.long().argmax(1)
        chosen = crops[torch.arange(len(crops), device=crops.device), first]
        return torch.where(good.any(1, keepdim=True), chosen, views)


def seen(objects: Objects, views: Views) -> Objects:
    """The objects visible in views, in the views' pixels.

    Objects whose centre is outside are dropped; the others are clipped, as are crowds.
    """
    shown = _centres_inside(objects.boxes.double(), views.rectangles[:, None])[:, 0]
    shown &= exists(objects.boxes)
    boxes = _moved(objects.boxes, views) * shown[..., None]
    crowds = _moved(objects.crowds, views)
    crowds *= (exists(crowds) & exists(objects.crowds))[..., None]
    return Objects(boxes, objects.shares * shown[..., None], crowds)


def tiles(size: tuple[int, int], random: np.random.Generator) -> list[tuple[int, int, int, int]]:
    """The four tiles of a mosaic (YOLOv4, arXiv 2004.10934, section 3.3), split at a random point.

    Args:
        size: width and height of the mosaic in pixels.
        random: generator for the point, between 0.3 and 0.7 of each side.

    Returns:
        x1 y1 x2 y2 of each tile, row by row.
    """
    width, height = size
    x, y = (int(side * random.uniform(*_SPLIT)) for side in size)
    return [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]


def _moved(boxes: Tensor, views: Views) -> Tensor:
    """Boxes in the pixels of the views, clipped to them, float32."""
    corners, ends = views.rectangles[:, None, None].split(2, 3)
    size = on_device(np.array(views.size, np.float64), boxes.device)
    points = (boxes.double().unflatten(2, (2, 2)) - corners) * (size / (ends - corners))
    points = torch.minimum(points.clamp(min=0), size)
    x1, y1, x2, y2 = points.flatten(2).unbind(2)
    flips = views.flips[:, None]
    left = torch.where(flips, size[0] - x2, x1)
    right = torch.where(flips, size[0] - x1, x2)
    return torch.stack((left, y1, right, y2), 2).float()


def _centres_inside(boxes: Tensor, crops: Tensor) -> Tensor:
    """N x crops x boxes: whether a box's centre is in a crop."""
    centres = ((boxes[..., :2] + boxes[..., 2:]) / 2)[:, None]
    return ((centres > crops[:, :, None, :2]) & (centres < crops[:, :, None, 2:])).all(3)


def _overlap(boxes: Tensor, crops: Tensor) -> Tensor:
    """N x crops x boxes: their IoU."""
    boxes, crops = boxes[:, None], crops[:, :, None]
    ends = torch.minimum(boxes[..., 2:], crops[..., 2:])
    shared = (ends - torch.maximum(boxes[..., :2], crops[..., :2])).clamp(min=0).prod(3)
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(3) + (crops[..., 2:] - crops[..., :2]).prod(3)
    return shared / (areas - shared)
