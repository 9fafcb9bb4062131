"""Copy-paste augmentation (arXiv 2012.07177): pastes cut-outs into views, above all small ones.

Cut-out, size and candidate positions are drawn on the CPU; the position that hides least, the
pixels, and the effect on the boxes beneath are computed on the device of the pictures.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from livevision.datasets import DataSet
from livevision.datasets.cutouts import Cutout, open_cutouts
from livevision.errors import DataError
from livevision.training.objects import Objects, exists
from livevision.training.ragged import Ragged, Views, on_device
from livevision.training.recipe import Paste

_PLACES = 8  # candidate positions of each cut-out
_HIDDEN = 0.5  # share of a box covered by cut-outs above which it is not learned
_NOTHING = (0.0, 0.0, 0.0, 0.0)

Floats = npt.NDArray[np.float64]


class Pasting:
    """Pastes cut-outs into a batch's views.

    A picture only gets classes that its data set marks: its loss ignores the others.

    Args:
        options: of the recipe.
        sets: the training data sets.
        labels: of the model.
        data: base folder of relative paths.
        device: of the pictures.

    Raises:
        UsageError, DataError: the cut-outs are missing, broken, or have other classes.
    """

    def __init__(
        self,
        options: Paste,
        sets: Sequence[DataSet],
        labels: Sequence[str],
        data: Path,
        device: torch.device,
    ) -> None:
        self.options, self.labels = options, labels
        cutouts = [c for entry in options.data for c in open_cutouts(entry, data, labels)]
        self.classes = np.array([c.class_id for c in cutouts])
        self._sides = _sides(options.pixels)
        with ThreadPoolExecutor(8) as pool:
            by_cutout = list(pool.map(self._at_all_sides, cutouts))
        # All of the first size, then all of the next.
        ordered = [image for of_side in zip(*by_cutout, strict=True) for image in of_side]
        self._bank = Ragged.of(ordered, device)
        self._of_set = [_Choice(self.classes, data_set.marked) for data_set in sets]
        if not any(choice.classes.size for choice in self._of_set):
            raise DataError(
                "task_options.paste: no training set marks any of the cut-outs' classes: "
                f"{', '.join(sorted({labels[c] for c in self.classes}))}"
            )

    def __str__(self) -> str:
        counts = Counter(self.labels[c] for c in self.classes).most_common()
        listed = ", ".join(f"{name} {count}" for name, count in counts)
        return f"pasting {len(self.classes)} cut-outs ({listed})"

    def __call__(
        self,
        images: Tensor,
        objects: Objects,
        sets: Sequence[int],
        random: np.random.Generator,
    ) -> Objects:
        """Paste cut-outs into views.

        Args:
            images: N x 3 x H x W of 0..255; modified in place.
            objects: their objects.
            sets: the data set of each view.
            random: generator; always draws the same number of values.

        Returns:
            The objects, pasted ones first. Objects more than half covered become crowds: neither
            object nor background.
        """
        options, count = self.options, len(images)
        height, width = images.shape[2:]
        numbers = random.random((count, options.most, 4))
        places = random.random((count, options.most, _PLACES, 2))
        some = random.random(count) < options.share
        pasted = np.where(some, random.integers(1, options.most + 1, count), 0)
        pasted *= np.array([self._of_set[s].classes.size > 0 for s in sets])
        covered = torch.zeros_like(objects.boxes[..., 0])
        for turn in range(options.most):
            rows = np.flatnonzero(pasted > turn)
            if not len(rows):
                break
            mine = numbers[rows, turn]
            chosen = np.array(
                [self._of_set[sets[int(row)]](*of[:2]) for row, of in zip(rows, mine, strict=True)]
            )
            low, high = np.log(options.pixels)
            longest = np.minimum(np.exp(low + (high - low) * mine[:, 2]), 0.9 * min(width, height))
            side = np.searchsorted(self._sides, longest.clip(max=self._sides[-1]))
            cutouts = self._bank.some((side * len(self.classes) + chosen).tolist())
            sides = cutouts.sizes * (longest / cutouts.sizes.max(1))[:, None]
            corners = places[rows, turn] * (np.array((width, height)) - sides)[:, None]
            tries = np.concatenate((corners, corners + sides[:, None]), 2)
            at = on_device(rows, images.device)
            boxes = _least_hiding(on_device(tries, images.device), objects.boxes[at])
            flips = on_device(mine[:, 3] < 0.5, images.device)
            window, opacity = _lay(images, at, cutouts, boxes, flips, longest.max())
            covered[at] += _shares_covered(objects.boxes[at], window, opacity)
            one_hot = on_device(np.eye(len(self.labels), dtype=np.float32), images.device)
            classes = on_device(self.classes[chosen], images.device)
            new = Objects(
                images.new_zeros(count, 1, 4),
                images.new_zeros(count, 1, len(self.labels)),
                objects.crowds,
            )
            new.boxes[at, 0], new.shares[at, 0] = boxes.float(), one_hot[classes]
            objects = Objects(
                torch.cat((new.boxes, objects.boxes), 1),
                torch.cat((new.shares, objects.shares), 1),
                objects.crowds,
            )
            covered = F.pad(covered, (1, 0))
        hidden = (covered > _HIDDEN)[..., None]
        crowds = torch.cat((objects.crowds, objects.boxes * hidden), 1)
        return Objects(objects.boxes * ~hidden, objects.shares * ~hidden, crowds)

    def _at_all_sides(self, cutout: Cutout) -> list[npt.NDArray[np.uint8]]:
        """A cut-out at each size for resampling, with premultiplied colours."""
        image = cutout.read().astype(np.float32)
        image[..., :3] *= image[..., 3:] / 255
        made = []
        for side in self._sides:
            scale = side / max(image.shape[:2])
            smaller: npt.NDArray[Any] = image
            if scale < 1:
                size = [max(1, round(length * scale)) for length in image.shape[1::-1]]
                smaller = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            made.append(smaller.round().clip(0, 255).astype(np.uint8))
        return made


class _Choice:
    """Samples among the cut-outs whose class a data set marks.

    A class has the weight of the square root of its number of cut-outs, so that many people leave
    room for other classes, and a single giraffe is not pasted all the time.
    """

    def __init__(self, classes: npt.NDArray[np.int64], marked: frozenset[int]) -> None:
        self.classes = np.array(sorted(set(classes.tolist()) & marked), np.int64)
        self._members = [np.flatnonzero(classes == c) for c in self.classes]
        weights = np.sqrt([len(m) for m in self._members])
        self._until = np.cumsum(weights) / max(1e-9, weights.sum())

    def __call__(self, of_class: float, of_members: float) -> int:
        """A cut-out, from two numbers from 0 to 1."""
        place = min(int(np.searchsorted(self._until, of_class)), len(self._members) - 1)
        members = self._members[place]
        return int(members[int(of_members * len(members))])


def _sides(pixels: tuple[float, float]) -> list[int]:
    """The longer sides at which cut-outs are stored: none is scaled down by more than half."""
    first, last = (math.ceil(math.log2(side)) for side in pixels)
    return [2**power for power in range(first, last + 1)]


def _least_hiding(tries: Tensor, boxes: Tensor) -> Tensor:
    """Of several positions the first that covers least of any single box.

    Args:
        tries: N x T x 4.
        boxes: N x G x 4; those of padding are not hidden.

    Returns:
        N x 4.
    """
    boxes = boxes.double()[:, None]
    low = torch.maximum(tries[:, :, None, :2], boxes[..., :2])
    high = torch.minimum(tries[:, :, None, 2:], boxes[..., 2:])
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(3).clamp(min=1e-6)
    most = ((high - low).clamp(min=0).prod(3) / areas).amax(2)
    best = most.argmin(1)
    return tries[torch.arange(len(tries), device=tries.device), best]


def _lay(
    images: Tensor, at: Tensor, cutouts: Ragged, boxes: Tensor, flips: Tensor, longest: float
) -> tuple[Tensor, Tensor]:
    """Paste a cut-out into each of some images, in place.

    Args:
        images: all, N x 3 x H x W.
        at: indices of these images, n.
        cutouts: n cut-outs.
        boxes: float64 n x 4, their positions.
        flips: bool n.
        longest: maximum of their sides in pixels.

    Returns:
        Corner of the modified window, int64 n x 2, and the opacity in it, n x h x w.
    """
    height, width = images.shape[2:]
    size = min(math.ceil(longest) + 2, width), min(math.ceil(longest) + 2, height)
    ends = on_device(np.array((width - size[0], height - size[1])), images.device)
    window = torch.minimum(boxes[:, :2].floor().long(), ends)
    extent = boxes[:, 2:] - boxes[:, :2]
    begin = boxes[:, :2] - window
    mirrored = size[0] - begin[:, :1] - extent[:, :1]
    begin = torch.cat((torch.where(flips[:, None], mirrored, begin[:, :1]), begin[:, 1:]), 1)
    # The window in the cut-out's pixels.
    ratio = on_device(cutouts.sizes, images.device) / extent
    corner = -begin * ratio
    whole = on_device(np.array(size, np.float64), images.device)
    views = Views(torch.cat((corner, corner + whole * ratio), 1), flips, size)
    patch = cutouts.resample(views, _NOTHING).permute(0, 2, 3, 1)
    opacity = patch[..., 3] / 255
    columns = torch.arange(size[0], device=images.device) + window[:, :1]
    rows = torch.arange(size[1], device=images.device) + window[:, 1:]
    where = at[:, None, None], rows[:, :, None], columns[:, None, :]
    below = images.permute(0, 2, 3, 1)
    below[where] = below[where] * (1 - opacity[..., None]) + patch[..., :3]
    return window, opacity


def _shares_covered(boxes: Tensor, window: Tensor, opacity: Tensor) -> Tensor:
    """The share of each box, N x G, that is covered in a window; 0 for padding."""
    height, width = opacity.shape[1:]
    sums = F.pad(opacity.cumsum(1).cumsum(2), (1, 0, 1, 0)).flatten(1)
    ends = on_device(np.array((width, height)), boxes.device)
    inside = (boxes.unflatten(2, (2, 2)) - window[:, None, None]).round().long().clamp(min=0)
    x1, y1, x2, y2 = torch.minimum(inside, ends).flatten(2).unbind(2)

    def upto(x: Tensor, y: Tensor) -> Tensor:
        return sums.gather(1, y * (width + 1) + x)

    hidden = upto(x2, y2) - upto(x1, y2) - upto(x2, y1) + upto(x1, y1)
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(2).clamp(min=1)
    return hidden / areas * exists(boxes)
