"""Pictures with a class for every pixel: reading them and augmenting them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from livevision.training.batches import Image, indices_of, normalise, recolour

IGNORED = 255  # label of pixels that neither the loss nor the score counts


@dataclass(frozen=True)
class Sample:
    """One picture, uint8 H x W x 3 in RGB order, and its labels, uint8 H x W."""

    image: Image
    labels: Image


def read_folder(folder: Path, split: str, num_classes: int) -> list[Sample]:
    """Read `images/SPLIT/*.jpg` and the PNG of the same name in `labels/SPLIT` into memory.

    Labels from `num_classes` on become `IGNORED`.

    Raises:
        FileNotFoundError: the folder holds no pictures, or a picture has no labels.
    """
    paths = sorted((folder / "images" / split).glob("*.jpg"))
    if not paths:
        raise FileNotFoundError(f"no *.jpg in {folder / 'images' / split}")
    samples = []
    for path in paths:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        label_path = folder / "labels" / split / f"{path.stem}.png"
        labels = cv2.imread(str(label_path), cv2.IMREAD_GRAYSCALE)
        if image is None or labels is None:
            raise FileNotFoundError(f"{path} or {label_path} is missing or unreadable")
        labels = np.where(labels < num_classes, labels, IGNORED).astype(np.uint8)
        samples.append(Sample(cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8), labels))
    return samples


@dataclass(frozen=True)
class Augmentation:
    """A random crop of a randomly scaled, stretched, flipped and recoloured picture.

    Attributes:
        size: height and width of the crop.
        scale: range of the scale, drawn evenly in its logarithm.
        aspect: range of the stretch of width against height, likewise; training with it lets the
            net see frames of another shape squeezed into its input.
        jitter: largest relative change of brightness, contrast and saturation.
    """

    size: tuple[int, int]
    scale: tuple[float, float] = (0.5, 2.0)
    aspect: tuple[float, float] = (0.75, 1.33)
    jitter: float = 0.4

    def __call__(self, sample: Sample, random: np.random.Generator) -> Sample:
        """Draw one variant of `sample`; what lies outside the picture is black and ignored."""
        height, width = sample.labels.shape
        scale = np.exp(random.uniform(*np.log(self.scale)))
        stretch = np.exp(random.uniform(*np.log(self.aspect)) / 2)
        scale_x, scale_y = scale * stretch, scale / stretch
        crop_height, crop_width = self.size
        offset_x = _offset(width * scale_x, crop_width, random)
        offset_y = _offset(height * scale_y, crop_height, random)
        matrix = np.array([[scale_x, 0, offset_x], [0, scale_y, offset_y]])
        if random.random() < 0.5:
            matrix[0] = -scale_x, 0, crop_width - 1 - offset_x
        # One warp does scale, stretch, flip and crop; labels take the nearest pixel's class.
        to = (crop_width, crop_height)
        image = cv2.warpAffine(sample.image, matrix, to, flags=cv2.INTER_LINEAR)
        labels = cv2.warpAffine(
            sample.labels, matrix, to, flags=cv2.INTER_NEAREST, borderValue=(IGNORED,)
        )
        return Sample(recolour(image, self.jitter, random), labels.astype(np.uint8))


def _offset(scaled: float, crop: int, random: np.random.Generator) -> float:
    """Where the scaled picture begins in the crop: it covers the crop or lies inside it."""
    return float(random.uniform(*sorted((crop - scaled, 0.0))))


def draw_batch(
    samples: list[Sample],
    augment: Callable[[Sample, np.random.Generator], Sample],
    batch_size: int,
    step: int,
    seed: int,
) -> tuple[Tensor, Tensor]:
    """The batch of a step: images as nets take them, labels int64 N x H x W.

    Which pictures come is fixed by `seed` and `step` alone, so that a resumed run goes on with
    the very batches it would have seen; within an epoch no picture comes twice.
    """
    random = np.random.default_rng((seed, 1, step))
    drawn = [augment(samples[i], random) for i in indices_of(step, batch_size, len(samples), seed)]
    images = normalise(np.stack([s.image for s in drawn]))
    return images, torch.from_numpy(np.stack([s.labels for s in drawn])).long()
