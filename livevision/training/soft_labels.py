"""Soft labels of a segmenter's pictures: a teacher's logits, seen through the views of a batch."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from livevision.datasets.samples import ClassMapSample, DataSet
from livevision.datasets.soft_labels import SoftLabels
from livevision.errors import UsageError
from livevision.training.ragged import Ragged, Views, on_device

_TINY = 1e-3  # share below which logits are not divided by it; their weight is nearly zero


@dataclass(frozen=True)
class SoftBatch:
    """The soft labels of a batch, for the pictures that have some.

    Attributes:
        rows: positions of these pictures in the batch, ascending.
        logits: float32 M x labels x h x w.
        shares: float32 M x h x w, weights of the positions; 0 beyond the picture.
    """

    rows: list[int]
    logits: Tensor
    shares: Tensor


class SoftLabelTable:
    """The soft labels of the training pictures: checked at once, and read on first use.

    Args:
        sets: data sets of class maps.
        num_labels: of the model.
        device: where they are stored.
        memory: returns the bytes that they may take; if they take more, the requested ones are
            read for every batch.

    Attributes:
        bytes: their size in memory.

    Raises:
        UsageError: no picture has soft labels.
        DataError: a file is damaged, or has other classes than its data set.
    """

    def __init__(
        self,
        sets: Sequence[DataSet],
        num_labels: int,
        device: torch.device,
        memory: Callable[[], float],
    ) -> None:
        self._labels, self._device, self._memory = num_labels, device, memory
        samples = [sample for data_set in sets for sample in data_set.samples]
        self._each = [s.soft if isinstance(s, ClassMapSample) else None for s in samples]
        self._present = [soft for soft in self._each if soft is not None]
        if not self._present:
            names = ", ".join(data_set.name for data_set in sets)
            raise UsageError(
                f"task_options.soft_labels: {names} has no soft labels; write some with "
                "livevision label --soft --format masks, or leave the setting out"
            )
        with _threads() as pool:
            self._positions = sum(h * w for h, w in pool.map(SoftLabels.shape, self._present))
        self.bytes = 2 * self._positions * (num_labels + 1)
        self._places = np.cumsum([soft is not None for soft in self._each]) - 1

    @cached_property
    def held(self) -> Ragged | None:
        """All soft labels, if they fit into memory."""
        if self.bytes > self._memory():
            return None
        with _threads() as pool:
            return Ragged.of(pool.map(self._read, self._present), self._device, self._positions)

    def __str__(self) -> str:
        count = f"{len(self._present)} of {len(self._each)} pictures"
        size = f"soft labels of {count}, {self.bytes / 2**30:.2g} GiB,"
        if self.held is not None:
            return f"{size} held in memory on {self._device}"
        return f"{size} more than memory_gb allows: read again for every batch"

    def of(self, indices: Sequence[int], views: Views, sizes: np.ndarray, stride: int) -> SoftBatch:
        """The soft labels of a batch, at every `stride`-th pixel of its views.

        Args:
            indices: the pictures, over all data sets.
            views: of the pictures.
            sizes: N x 2, widths and heights of the pictures.
            stride: in pixels of the views; the first pixel of each row and column is the first one.
        """
        rows = [row for row, index in enumerate(indices) if self._each[index] is not None]
        width, height = (math.ceil(side / stride) for side in views.size)
        if not rows:
            shape = (0, self._labels, height, width)
            empty = torch.zeros(shape, device=self._device)
            return SoftBatch([], empty, empty[:, 0])
        maps = self._some([indices[row] for row in rows])
        seen = _strided(views, rows, maps.sizes / sizes[rows], stride)
        found = maps.resample(seen, [0.0] * (self._labels + 1))
        # Shares fade towards the picture's border, where interpolation includes what is beyond.
        shares = found[:, -1] * _inside(seen, maps.sizes)
        return SoftBatch(rows, found[:, :-1] / found[:, -1:].clamp(min=_TINY), shares)

    def _some(self, indices: Sequence[int]) -> Ragged:
        if self.held is not None:
            return self.held.some([int(self._places[i]) for i in indices])
        maps = [self._read(soft) for i in indices if (soft := self._each[i]) is not None]
        return Ragged.of(maps, self._device, sum(m.shape[0] * m.shape[1] for m in maps))

    def _read(self, soft: SoftLabels) -> np.ndarray:
        return soft.read(self._labels)


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(8, os.cpu_count() or 1))


def _strided(views: Views, rows: list[int], scales: np.ndarray, stride: int) -> Views:
    """Views of maps whose pixels are every `stride`-th pixel of views of their pictures.

    Args:
        views: of the pictures.
        rows: positions of the pictures with maps.
        scales: M x 2, size of each map relative to its picture.
        stride: in pixels of the views.
    """
    device = views.rectangles.device
    every = len(rows) == len(views.rectangles)
    chosen = slice(None) if every else on_device(np.array(rows, np.int64), device)
    rectangles, flips = views.rectangles[chosen], views.flips[chosen]
    size = on_device(np.array(views.size, np.float64), device)
    counts = torch.ceil(size / stride)
    low, high = rectangles[:, :2], rectangles[:, 2:]
    pixels = (high - low) / size  # of the views, in those of the pictures
    extents = counts * stride * pixels
    # The centre of a coarse pixel lies on the centre of the first of the pixels that it covers.
    margins = (stride - 1) / 2 * pixels
    starts = low - margins
    mirrored = (high + margins - extents)[:, 0]
    starts = torch.stack((torch.where(flips, mirrored, starts[:, 0]), starts[:, 1]), 1)
    scale = on_device(np.ascontiguousarray(scales, np.float64), device)
    corners = torch.cat((starts * scale, (starts + extents) * scale), 1)
    width, height = (math.ceil(side / stride) for side in views.size)
    return Views(corners, flips, (width, height))


def _inside(views: Views, sizes: np.ndarray) -> Tensor:
    """Whether the centres of a view's pixels are inside the picture: float32 N x h x w."""
    device = views.rectangles.device
    within = []
    for axis, count in enumerate(views.size):
        low, high = views.rectangles[:, axis, None], views.rectangles[:, axis + 2, None]
        at = (torch.arange(count, device=device, dtype=torch.float64) + 0.5) / count
        steps = torch.where(views.flips[:, None], 1 - at, at) if axis == 0 else at[None]
        place = low + (high - low) * steps
        limits = on_device(np.ascontiguousarray(sizes[:, axis, None]), device)
        within.append((place >= 0) & (place <= limits))
    return (within[0][:, None, :] & within[1][:, :, None]).float()
