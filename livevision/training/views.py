"""Random views of pictures: cut out, resized, flipped and recoloured in batches on any device.

A view is a rectangle of a picture, which may reach beyond its borders, stretched to the size of
the net's input, and maybe flipped. Which rectangles, each task draws for itself, on the CPU and in
numpy; the pixels are then one `grid_sample` for the whole batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from livevision.datasets.samples import IGNORED
from livevision.nets import IMAGE_MEAN, IMAGE_STD

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Views:
    """What to show of each picture of a batch.

    Attributes:
        rectangles: N x 4, x1 y1 x2 y2 in the pictures' pixels.
        flips: bool N, whether left becomes right.
        size: width and height that each is stretched to.
    """

    rectangles: Floats
    flips: npt.NDArray[np.bool_]
    size: tuple[int, int]

    def grid(self, pictures: Tensor) -> Tensor:
        """Where each output pixel lies in the arrays that hold the pictures, N x H x W x anything.

        Returns:
            float32 N x h x w x 2 on their device, as `grid_sample` wants it.
        """
        height, width, device = pictures.shape[1], pictures.shape[2], pictures.device
        corners = torch.from_numpy(self.rectangles).float().to(device)
        x1, y1, x2, y2 = corners[:, :, None].unbind(1)
        columns = (torch.arange(self.size[0], device=device) + 0.5) / self.size[0]
        rows = (torch.arange(self.size[1], device=device) + 0.5) / self.size[1]
        flips = torch.from_numpy(self.flips).to(device)[:, None]
        columns = torch.where(flips, 1 - columns, columns)
        x = (x1 + (x2 - x1) * columns) * (2 / width) - 1
        y = (y1 + (y2 - y1) * rows) * (2 / height) - 1
        shape = (len(corners), self.size[1], self.size[0])
        return torch.stack((x[:, None, :].expand(shape), y[:, :, None].expand(shape)), -1)


def whole(sizes: npt.NDArray[np.int64], size: tuple[int, int]) -> Views:
    """Whole pictures, stretched to one size; `sizes` are N x 2, widths and heights."""
    rectangles = np.concatenate((np.zeros_like(sizes), sizes), 1).astype(np.float64)
    return Views(rectangles, np.zeros(len(sizes), np.bool_), size)


def colours(pictures: Tensor, grid: Tensor) -> Tensor:
    """Resample pictures, bilinearly.

    Args:
        pictures: uint8 N x H x W x 3, RGB.
        grid: of `Views.grid`.

    Returns:
        float32 N x 3 x h x w, 0..255; beyond the borders the mean colour of ImageNet.
    """
    fill = _of_colours(IMAGE_MEAN, pictures.device) * 255
    x = pictures.permute(0, 3, 1, 2).float() - fill
    # What lies beyond an array's borders counts as zero, which is the mean colour here.
    return F.grid_sample(x, grid, "bilinear", "zeros", align_corners=False) + fill


def classes(labels: Tensor, grid: Tensor) -> Tensor:
    """Resample labels, each pixel the nearest one's.

    Args:
        labels: uint8 N x H x W.
        grid: of `Views.grid`.

    Returns:
        int64 N x h x w; beyond the borders `IGNORED`.
    """
    x = labels[:, None].float() - IGNORED
    return (F.grid_sample(x, grid, "nearest", "zeros", align_corners=False) + IGNORED)[:, 0].long()


@dataclass(frozen=True)
class Colouring:
    """Random changes of colour.

    Attributes:
        jitter: largest relative change of brightness, contrast and saturation.
        hue: largest turn of the hue, in degrees.
    """

    jitter: float
    hue: float = 0.0

    def __call__(self, images: Tensor, random: np.random.Generator) -> Tensor:
        """Recolour N x 3 x H x W images of 0..255, each its own way."""
        if not self.jitter and not self.hue:
            return images
        count = len(images)
        factors = random.uniform(1 - self.jitter, 1 + self.jitter, (3, count, 1, 1))
        brightness, contrast, saturation = torch.from_numpy(factors).float().to(images.device)
        turns = np.deg2rad(random.uniform(-self.hue, self.hue, count))
        # All of it is one 3 x 3 matrix and one shift: the contrast's, about the mean of a picture.
        # Turning about the grey axis and saturating leave grey as it is, and so the shift.
        grey = torch.full((3, 3), 1 / 3, device=images.device)
        saturate = saturation * torch.eye(3, device=images.device) + (1 - saturation) * grey
        turn = torch.from_numpy(_turns(turns)).float().to(images.device)
        matrix = brightness * contrast * (turn @ saturate)
        mean = images.mean((1, 2, 3), keepdim=True)[..., 0]
        shift = (1 - contrast) * brightness * mean
        recoloured: Tensor = (matrix @ images.flatten(2) + shift).view(images.shape)
        return recoloured.clamp(0, 255)


def log_uniform(between: tuple[float, float], count: int, random: np.random.Generator) -> Floats:
    """The logarithms of `count` numbers drawn between two, evenly in their logarithm."""
    low, high = np.log(between)
    return random.uniform(low, high, count)


def normalised(images: Tensor) -> Tensor:
    """N x 3 x H x W images of 0..255 as nets take them, channels last in memory."""
    mean, std = (_of_colours(values, images.device) * 255 for values in (IMAGE_MEAN, IMAGE_STD))
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def _of_colours(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, device=device).view(1, 3, 1, 1)


def _turns(angles: Floats) -> Floats:
    """Rotations of colours about the axis of greys, N x 3 x 3."""
    axis = np.full(3, 1 / np.sqrt(3))
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    cos, sin = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None]
    turns: Floats = cos * np.eye(3) + sin * cross + (1 - cos) * np.outer(axis, axis)
    return turns
