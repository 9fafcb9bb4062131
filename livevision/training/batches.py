"""What every task does to make a batch: choose pictures, recolour them, normalise them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from livevision.nets import IMAGE_MEAN, IMAGE_STD

Image = npt.NDArray[np.uint8]


def indices_of(step: int, batch_size: int, count: int, seed: int) -> list[int]:
    """Which samples make up a step's batch, walking through a new order in every epoch."""
    first = step * batch_size
    order: dict[int, npt.NDArray[np.intp]] = {}
    indices = []
    for position in range(first, first + batch_size):
        epoch, place = divmod(position, count)
        if epoch not in order:
            order[epoch] = np.random.default_rng((seed, 0, epoch)).permutation(count)
        indices.append(int(order[epoch][place]))
    return indices


def recolour(image: npt.NDArray[np.generic], jitter: float, random: np.random.Generator) -> Image:
    """Change brightness, contrast and saturation by factors in 1 - jitter .. 1 + jitter."""
    brightness, contrast, saturation = random.uniform(1 - jitter, 1 + jitter, 3)
    x = image.astype(np.float32) * brightness
    x = (x - x.mean()) * contrast + x.mean()
    grey = x.mean(2, keepdims=True)
    x = (x - grey) * saturation + grey
    return np.clip(x, 0, 255).astype(np.uint8)


def normalise(images: npt.NDArray[np.uint8]) -> Tensor:
    """uint8 N x H x W x 3 RGB to what nets take: float32 N x 3 x H x W, channels last in memory."""
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    mean = torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1) * 255
    std = torch.tensor(IMAGE_STD).view(1, 3, 1, 1) * 255
    return ((x - mean) / std).contiguous(memory_format=torch.channels_last)
