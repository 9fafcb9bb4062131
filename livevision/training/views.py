"""Random views of pictures: cropped, resized, flipped and recoloured in batches on any device.

A view is a rectangle of a picture, which may extend beyond its borders, resized to the net's input,
and optionally flipped. Each task draws its own rectangles; the pixels are then resampled for the
whole batch (`ragged.Ragged`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from livevision.datasets.samples import IGNORED
from livevision.nets import IMAGE_MEAN, IMAGE_STD
from livevision.training.ragged import Ragged, Views, on_device

# Visible part of the shorter side, as in the application's centre crop.
_SEEN = 224 / 256

Floats = npt.NDArray[np.float64]


def whole(pictures: Ragged, size: tuple[int, int]) -> Views:
    """Whole pictures, resized to one size."""
    sizes = pictures.sizes
    rectangles = np.concatenate((np.zeros_like(sizes), sizes), 1).astype(np.float64)
    return Views.of(rectangles, np.zeros(len(sizes), np.bool_), size, pictures.pixels.device)


def colours(pictures: Ragged, views: Views) -> Tensor:
    """Resample pictures, bilinearly.

    Args:
        pictures: RGB, optionally with a class map as fourth channel.
        views: of them.

    Returns:
        float32 N x 3 x h x w, 0..255; beyond the borders the mean colour of ImageNet.
    """
    return pictures.resample(views, [255 * value for value in IMAGE_MEAN])


def classes(labels: Ragged, views: Views) -> Tensor:
    """Resample labels by nearest neighbour.

    Args:
        labels: one channel, see `Ragged.channel`.
        views: of them.

    Returns:
        int64 N x h x w; beyond the borders `IGNORED`.
    """
    return labels.resample(views, [IGNORED], nearest=True)[:, 0].round().long()


@dataclass(frozen=True)
class Colouring:
    """Random colour changes.

    Attributes:
        jitter: maximum relative change of brightness, contrast and saturation.
        hue: maximum rotation of the hue, in degrees.
    """

    jitter: float
    hue: float = 0.0

    def __call__(self, images: Tensor, random: np.random.Generator) -> Tensor:
        """Recolour N x 3 x H x W images of 0..255, each differently."""
        if not self.jitter and not self.hue:
            return images
        count = len(images)
        factors = random.uniform(1 - self.jitter, 1 + self.jitter, (3, count, 1, 1))
        brightness, contrast, saturation = on_device(factors, images.device).float()
        turns = np.deg2rad(random.uniform(-self.hue, self.hue, count))
        # All of it is a 3 x 3 matrix and a shift: that of the contrast, about a picture's mean. Hue
        # and saturation leave grey unchanged, and so the shift.
        grey = torch.full((3, 3), 1 / 3, device=images.device)
        saturate = saturation * torch.eye(3, device=images.device) + (1 - saturation) * grey
        turn = on_device(_turns(turns), images.device).float()
        matrix = brightness * contrast * (turn @ saturate)
        mean = images.mean((1, 2, 3), keepdim=True)[..., 0]
        shift = (1 - contrast) * brightness * mean
        recoloured: Tensor = (matrix @ images.flatten(2) + shift).view(images.shape)
        return recoloured.clamp(0, 255)


def log_uniform(between: tuple[float, float], count: int, random: np.random.Generator) -> Floats:
    """Logarithms of `count` log-uniform numbers from a range."""
    low, high = np.log(between)
    return random.uniform(low, high, count)


def normalised(images: Tensor) -> Tensor:
    """Normalise N x 3 x H x W images of 0..255 for nets, channels last in memory."""
    mean, std = (_of_colours(values, images.device) * 255 for values in (IMAGE_MEAN, IMAGE_STD))
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def _of_colours(values: tuple[float, ...], device: torch.device) -> Tensor:
    return on_device(np.array(values, np.float32), device).view(1, 3, 1, 1)


def _turns(angles: Floats) -> Floats:
    """Rotations of colours about the grey axis, N x 3 x 3."""
    axis = np.full(3, 1 / np.sqrt(3))
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    cos, sin = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None]
    turns: Floats = cos * np.eye(3) + sin * cross + (1 - cos) * np.outer(axis, axis)
    return turns


def middle(sizes: np.ndarray, input_size: tuple[int, int], device: torch.device) -> Views:
    """The centre of each picture in the input's aspect ratio, as in the application."""
    ratio = _SEEN * (sizes / np.array(input_size)).min(1, keepdims=True)
    extents = ratio * np.array(input_size)
    corners = (sizes - extents) / 2
    rectangles = np.concatenate((corners, corners + extents), 1)
    return Views.of(rectangles, np.zeros(len(sizes), np.bool_), input_size, device)
