"""Training and evaluation of segmenters."""

from __future__ import annotations

import time
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from livevision.scoring.confusion import ConfusionMatrix
from livevision.training.batches import normalise
from livevision.training.recipe import Recipe
from livevision.training.segmentation_data import (
    IGNORED,
    Augmentation,
    Sample,
    draw_batch,
    read_folder,
)


class SegmentationJob:
    """Batches, loss and score of a segmenter trained on pictures in memory.

    Options (`task_options` of the recipe): `folder` under the data folder, `classes` (their
    names), `crop` [height, width], `scale`, `aspect`, `jitter` (see `Augmentation`),
    `aux_weight` (of each auxiliary loss), `rare_weight` (how much rare classes count, see
    `class_weights`).
    """

    def __init__(self, recipe: Recipe, data: Path) -> None:
        options = recipe.task_options
        self.recipe = recipe
        self.classes: list[str] = options["classes"]
        self.folder = data / options["folder"]
        self.augment = Augmentation(
            tuple(options["crop"]),
            tuple(options.get("scale", (0.5, 2.0))),
            tuple(options.get("aspect", (0.75, 1.33))),
            options.get("jitter", 0.4),
        )
        self.aux_weight = float(options.get("aux_weight", 1.0))
        self.rare_weight = float(options.get("rare_weight", 1.1))

    # Read on first use, so that an evaluation does not wait for the training pictures.
    @cached_property
    def train(self) -> list[Sample]:
        """The training pictures."""
        return read_folder(self.folder, "train", len(self.classes))

    @cached_property
    def val(self) -> list[Sample]:
        """The pictures that scores are taken on."""
        return read_folder(self.folder, "val", len(self.classes))

    @cached_property
    def weights(self) -> Tensor:
        """What each class weighs in the loss."""
        return class_weights(self.train, len(self.classes), self.rare_weight)

    def batch(self, step: int) -> Any:
        """Images and labels of a step."""
        recipe = self.recipe
        return draw_batch(self.train, self.augment, recipe.batch_size, step, recipe.seed)

    def compiled(self, net: nn.Module) -> nn.Module:
        """The whole net, compiled."""
        return cast(nn.Module, torch.compile(net))

    def loss(self, net: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Cross entropy of the main head and, weighted, of the auxiliary ones.

        Auxiliary logits are compared with labels thinned out to their size: enlarging them to
        the labels' size costs as much time as a third of the net.
        """
        images, labels = batch
        main, *auxiliary = net(images)
        losses = {"main": self._cross_entropy(main, labels)}
        for i, logits in enumerate(auxiliary):
            size = logits.shape[2:]
            thinned = F.interpolate(labels[:, None].float(), size, mode="nearest-exact")
            loss = self._cross_entropy(logits, thinned[:, 0].long())
            losses[f"aux{i}"] = self.aux_weight * loss
        return losses

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, weight=self.weights, ignore_index=IGNORED)

    def evaluate(self, net: nn.Module) -> dict[str, float]:
        """Mean IoU ("score"), pixel accuracy and the IoU of each class on the whole val split."""
        return evaluate(net, self.val, self.classes)


def class_weights(samples: list[Sample], num_classes: int, smoothing: float) -> Tensor:
    """Loss weights 1 / ln(smoothing + share of the pixels), scaled to a mean of 1.

    The nearer `smoothing` lies to 1, the more a rare class weighs (ENet, arXiv 1606.02147).
    """
    counts = sum(np.bincount(s.labels.ravel(), minlength=256)[:num_classes] for s in samples)
    share = torch.from_numpy(np.asarray(counts)).float()
    weights = 1 / torch.log(smoothing + share / share.sum())
    return weights / weights.mean()


@torch.no_grad()
def evaluate(net: nn.Module, samples: list[Sample], classes: list[str]) -> dict[str, float]:
    """Score a segmenter picture by picture at the pictures' own size."""
    net.eval()
    matrix = ConfusionMatrix(len(classes))
    begin = time.perf_counter()
    for sample in samples:
        found = net(normalise(sample.image[None])).argmax(1)[0]
        matrix.add(found, torch.from_numpy(sample.labels))
    scores = {"score": matrix.mean_iou(), "pixel_accuracy": matrix.pixel_accuracy()}
    scores["images_per_second"] = len(samples) / (time.perf_counter() - begin)
    return scores | dict(zip(classes, matrix.iou().tolist(), strict=True))
