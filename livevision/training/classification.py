"""Training of classifiers, which is how backbones get their first weights."""

from __future__ import annotations

import zipfile
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from livevision.training.batches import Image, indices_of, normalise, recolour
from livevision.training.recipe import Recipe


class ClassificationJob:
    """Batches, loss and score of a classifier.

    Options (`task_options` of the recipe): `archive`, a zip under the data folder that holds
    pictures of one size as `train/CLASS/*` and `val/CLASS/*`; `size`, to which pictures are
    enlarged; `smallest_crop`, as a share of the picture's area; `label_smoothing`.
    """

    def __init__(self, recipe: Recipe, data: Path) -> None:
        options = recipe.task_options
        self.recipe = recipe
        self.size = int(options["size"])
        self.smallest_crop = float(options.get("smallest_crop", 0.35))
        self.label_smoothing = float(options.get("label_smoothing", 0.1))
        self.archive = data / options["archive"]

    # Read on first use, so that an evaluation does not wait for the training pictures.
    @cached_property
    def train(self) -> tuple[Image, Tensor]:
        """The training pictures and their classes."""
        return read_archive(self.archive, "train")

    @cached_property
    def val(self) -> tuple[Image, Tensor]:
        """The pictures that scores are taken on, and their classes."""
        return read_archive(self.archive, "val")

    def batch(self, step: int) -> Any:
        """Images and class numbers of a step."""
        images, labels = self.train
        count, seed = self.recipe.batch_size, self.recipe.seed
        random = np.random.default_rng((seed, 1, step))
        indices = indices_of(step, count, len(images), seed)
        drawn = [self._augment(images[i], random) for i in indices]
        return normalise(np.stack(drawn)), labels[indices]

    def _augment(self, image: Image, random: np.random.Generator) -> Image:
        """A random part of a picture, flipped half of the time and recoloured."""
        side = len(image)
        part = side * np.sqrt(random.uniform(self.smallest_crop, 1))
        stretch = np.exp(random.uniform(-0.25, 0.25) / 2)
        width, height = min(side, part * stretch), min(side, part / stretch)
        x, y = random.uniform(0, side - width), random.uniform(0, side - height)
        scale_x, scale_y = self.size / width, self.size / height
        matrix = np.array([[scale_x, 0, -x * scale_x], [0, scale_y, -y * scale_y]])
        if random.random() < 0.5:
            matrix[0] = -scale_x, 0, self.size - 1 + x * scale_x
        to = (self.size, self.size)
        warped = cv2.warpAffine(image, matrix, to, borderMode=cv2.BORDER_REPLICATE)
        return recolour(warped, 0.3, random)

    def compiled(self, net: nn.Module) -> nn.Module:
        """The whole net, compiled."""
        return cast(nn.Module, torch.compile(net))

    def loss(self, net: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Cross entropy."""
        images, labels = batch
        logits = net(images)
        return {"main": F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)}

    @torch.no_grad()
    def evaluate(self, net: nn.Module) -> dict[str, float]:
        """Share of the val split whose class is the first guess ("score") or one of five."""
        net.eval()
        first = fifth = 0
        images, labels = self.val
        for begin in range(0, len(images), 250):
            enlarged = [cv2.resize(x, (self.size, self.size)) for x in images[begin : begin + 250]]
            guesses = net(normalise(np.stack(enlarged).astype(np.uint8))).topk(5).indices
            hits = guesses == labels[begin : begin + 250, None]
            first += int(hits[:, 0].sum())
            fifth += int(hits.sum())
        return {"score": first / len(images), "top5": fifth / len(images)}


def read_archive(path: Path, split: str) -> tuple[Image, Tensor]:
    """Decode a split: uint8 N x H x W x 3 in RGB order, and class numbers in order of name.

    Raises:
        FileNotFoundError: there is no such archive, or it holds nothing of the split.
    """
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if n.startswith(f"{split}/") and n[-1] != "/")
        if not names:
            raise FileNotFoundError(f"{path} holds nothing under {split}/")
        classes = sorted({n.split("/")[1] for n in names})
        images = np.stack([_decode(archive.read(n)) for n in names])
    return images, torch.tensor([classes.index(n.split("/")[1]) for n in names])


def _decode(data: bytes) -> Image:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("a picture of the archive cannot be decoded")
    return cast(Image, image[..., ::-1])
