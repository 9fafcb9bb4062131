"""Pictures of many sizes on one device, and views of them resampled in batches.

On a GPU they are concatenated in one tensor, and a batch of views is a few gathers, whatever the
sizes: nothing is padded, and no picture needs its own call. On a CPU each view is a `grid_sample`
of the visible part of its picture, which is fastest there. Both give the same result.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Views:
    """The part to show of each picture in a batch.

    Attributes:
        rectangles: float64 N x 4, x1 y1 x2 y2 in the pictures' pixels; may extend beyond them.
        flips: bool N, whether to mirror horizontally.
        size: (width, height) that each is resized to.
    """

    rectangles: Tensor
    flips: Tensor
    size: tuple[int, int]

    @classmethod
    def of(
        cls,
        rectangles: npt.NDArray[np.float64],
        flips: npt.NDArray[np.bool_],
        size: tuple[int, int],
        device: torch.device,
    ) -> Views:
        """Views drawn in numpy, moved to the pictures' device."""
        return cls(on_device(rectangles, device), on_device(flips, device), size)


class Ragged:
    """Pictures of many sizes, uint8 H x W x C each, on one device.

    Args:
        pixels: all pixels, concatenated, uint8 (sum of H*W) x C.
        starts: int64 N, first row of each in `pixels`.
        sizes: int64 N x 2, (width, height) of each.
    """

    def __init__(
        self, pixels: Tensor, starts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]
    ) -> None:
        self.pixels, self.starts, self.sizes = pixels, starts, sizes

    @classmethod
    def of(
        cls, pictures: Iterable[npt.NDArray[np.uint8]], device: torch.device, expected: int = 1
    ) -> Ragged:
        """Concatenate pictures; `expected` is the number of pixels to allocate at first."""
        pixels, used = torch.empty(0, 1, dtype=torch.uint8), 0
        sizes: list[tuple[int, int]] = []
        for picture in pictures:
            height, width, channels = picture.shape
            rows = torch.from_numpy(np.ascontiguousarray(picture)).view(-1, channels)
            if not sizes:
                pixels = rows.new_empty(max(expected, len(rows)), channels, device=device)
            if used + len(rows) > len(pixels):
                grown = pixels.new_empty((used + len(rows)) * 5 // 4, channels)
                grown[:used] = pixels[:used]
                pixels = grown
            pixels[used : used + len(rows)] = rows
            used += len(rows)
            sizes.append((width, height))
        shapes = np.array(sizes, np.int64).reshape(-1, 2)
        return cls(pixels[:used], np.concatenate(([0], shapes.prod(1).cumsum()[:-1])), shapes)

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, place: int) -> Tensor:
        """One picture, uint8 H x W x C; no copy."""
        width, height = (int(side) for side in self.sizes[place])
        start = int(self.starts[place])
        rows = self.pixels[start : start + width * height]
        return torch.unflatten(rows, 0, (height, width))

    def __iter__(self) -> Iterator[Tensor]:
        return (self[place] for place in range(len(self)))

    def some(self, places: Sequence[int]) -> Ragged:
        """Some of the pictures, in this order, with repetitions; no copy."""
        chosen = np.asarray(places, np.int64)
        return Ragged(self.pixels, self.starts[chosen], self.sizes[chosen])

    def channel(self, number: int) -> Ragged:
        """One channel of the pictures; no copy."""
        return Ragged(self.pixels[:, number : number + 1], self.starts, self.sizes)

    def resample(self, views: Views, fill: Sequence[float], nearest: bool = False) -> Tensor:
        """Resample a view of each picture.

        Args:
            views: one per picture.
            fill: value beyond a picture for each of its first channels; the others are dropped.
            nearest: nearest neighbour instead of bilinear.

        Returns:
            float32 N x len(fill) x h x w on the pictures' device, channels last in memory.
        """
        if self.pixels.device.type == "cpu":
            return self.resample_each(views, fill, nearest)
        return self.resample_at_once(views, fill, nearest)

    def resample_each(self, views: Views, fill: Sequence[float], nearest: bool = False) -> Tensor:
        """As `resample`, picture by picture."""
        width, height = views.size
        beyond = on_device(np.array(fill, np.float32), self.pixels.device)
        out = torch.empty(
            (len(self), len(fill), height, width),
            device=self.pixels.device,
            memory_format=torch.channels_last,
        )
        columns, rows = (_middles(side, self.pixels.device) for side in views.size)
        mirrored = 1 - columns
        flips = views.flips.tolist()
        for n, (x1, y1, x2, y2) in enumerate(views.rectangles.tolist()):
            their_width, their_height = (int(side) for side in self.sizes[n])
            left, right = max(0, math.floor(x1) - 1), min(their_width, math.ceil(x2) + 1)
            top, bottom = max(0, math.floor(y1) - 1), min(their_height, math.ceil(y2) + 1)
            if right <= left or bottom <= top:
                out[n] = beyond[:, None, None]
                continue
            part = self[n][top:bottom, left:right, : len(fill)].float() - beyond
            x = (x1 - left + (x2 - x1) * (mirrored if flips[n] else columns)) * 2 / (
                right - left
            ) - 1
            y = (y1 - top + (y2 - y1) * rows) * 2 / (bottom - top) - 1
            grid = torch.empty(1, height, width, 2, device=part.device)
            grid[..., 0], grid[..., 1] = x, y[:, None]
            mode = "nearest" if nearest else "bilinear"
            # Outside counts as zero, which is the fill here.
            found = F.grid_sample(
                part.permute(2, 0, 1)[None], grid, mode, "zeros", align_corners=False
            )
            out[n] = found[0] + beyond[:, None, None]
        return out

    def resample_at_once(
        self, views: Views, fill: Sequence[float], nearest: bool = False
    ) -> Tensor:
        """As `resample`, all in a few gathers."""
        device = self.pixels.device
        starts, sizes = on_device(self.starts, device), on_device(self.sizes, device)
        columns, rows = (_middles(side, device).double() for side in views.size)
        x1, y1, x2, y2 = views.rectangles[:, :, None].unbind(1)
        columns = torch.where(views.flips[:, None], 1 - columns, columns)
        # A pixel's value is at its centre.
        x = (x1 + (x2 - x1) * columns - 0.5)[:, None, :]
        y = (y1 + (y2 - y1) * rows - 0.5)[:, :, None]
        widths, heights = sizes[:, 0, None, None], sizes[:, 1, None, None]
        pixels = self.pixels[:, : len(fill)]
        beyond = on_device(np.array(fill, np.float32), device)
        out: Tensor | None = None
        for column, column_weight in _neighbours(x, widths, nearest):
            for row, row_weight in _neighbours(y, heights, nearest):
                at = starts[:, None, None] + row * widths + column
                weight = (row_weight * column_weight)[..., None]
                part = (pixels[at].float() - beyond) * weight
                out = part if out is None else out + part
        assert out is not None
        return (out + beyond).permute(0, 3, 1, 2)


def _middles(count: int, device: torch.device) -> Tensor:
    """Centres of a view's pixels along a side, as shares of the side."""
    return (torch.arange(count, device=device) + 0.5) / count


def _neighbours(at: Tensor, sides: Tensor, nearest: bool) -> list[tuple[Tensor, Tensor]]:
    """The pixels next to positions along one side, and their weights, 0 beyond the picture."""
    if nearest:
        first = at.round()
        both = [(first, torch.ones_like(at))]
    else:
        first = at.floor()
        both = [(first, 1 - (at - first)), (first + 1, at - first)]
    return [
        (
            place.clamp(min=0).minimum(sides - 1).long(),
            (weight * ((place >= 0) & (place < sides))).float(),
        )
        for place, weight in both
    ]


def on_device(array: npt.NDArray[np.generic], device: torch.device) -> Tensor:
    """A small array as a tensor; on a GPU the copy does not wait for computations."""
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
