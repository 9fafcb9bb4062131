"""Training and evaluation of segmenters."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from livevision.datasets.samples import ClassMapSample
from livevision.scoring.confusion import ConfusionMatrix, mean_of_known
from livevision.training.batches import batch_number, views_random
from livevision.training.coarse import fine
from livevision.training.compiling import compiled
from livevision.training.distillation import answers_loss, soft_labels_loss
from livevision.training.drawings import draw_class_map
from livevision.training.marks import Marks
from livevision.training.material import Material
from livevision.training.processes import Group
from livevision.training.ragged import Ragged, Views
from livevision.training.recipe import Recipe, SegmentOptions
from livevision.training.scores import Scores
from livevision.training.segmentation_losses import (
    class_weights,
    detail_loss,
    iou_loss,
    pixel_loss,
    thinned,
)
from livevision.training.soft_labels import SoftBatch, SoftLabelTable
from livevision.training.teachers import load_teacher
from livevision.training.views import (
    Colouring,
    classes,
    colours,
    log_uniform,
    normalised,
    whole,
)

# Stride in pixels at which teachers are compared and the IoU loss is computed: logits are enlarged
# eightfold anyway.
_APART = 4


class Batch(NamedTuple):
    """The data of a step."""

    images: Tensor  # as the net's input
    labels: Tensor  # int64 N x H x W
    marked: Tensor | None  # bool N x classes
    soft: SoftBatch | None  # at stride `_APART`


class SegmentationJob:
    """Batches, losses and scores of a segmenter; its options are `recipe.SegmentOptions`."""

    def __init__(self, recipe: Recipe, data: Path, group: Group) -> None:
        self.recipe, self.group = recipe, group
        self.options = cast(SegmentOptions, recipe.task_options)
        self.material = Material(recipe, data, group)
        self.labels = self.material.labels
        self.material.repeat_rare(self.options.repeat_rare)
        self.marks = Marks(self.material.train, len(self.labels), group.device)
        self.colouring = Colouring(self.options.jitter, self.options.hue)
        self.soft: SoftLabelTable | None = None
        if self.options.soft_labels is not None:
            self.soft = SoftLabelTable(
                *(self.material.train, len(self.labels), group.device),
                memory=lambda: self.material.memory_left,
            )
            self.material.reserved = self.soft.bytes
        self._teacher: nn.Module | None = None
        if self.options.teacher is not None:
            self._teacher = load_teacher(self.options.teacher, len(self.labels), group.device)

    def about(self) -> list[str]:
        """Lines that describe the training data."""
        soft = [str(self.soft)] if self.soft is not None else []
        return self.material.about() + soft

    @cached_property
    def weights(self) -> Tensor | None:
        """The loss weight of each class."""
        if not self.options.rare_weight:
            return None
        pictures = self.material.pictures
        counts = np.zeros(256, np.int64)
        for i, sample in enumerate(pictures.samples):
            if pictures.held is not None:
                labels = pictures.held[i][..., 3].cpu().numpy()
            else:
                labels = cast(ClassMapSample, sample).read_labels()
            counts += np.bincount(labels.ravel(), minlength=256)
        known = torch.from_numpy(counts[: len(self.labels)])
        return class_weights(known, self.options.rare_weight).to(self.group.device)

    def pictures_per_epoch(self) -> int:
        """Pictures in an epoch."""
        return len(self.material.epoch)

    def batch(self, step: int) -> Batch:
        """Images and labels of a step."""
        random = views_random(self.recipe.seed, batch_number(step, self.group))
        indices = self.material.indices(step)
        pictures = self.material.pictures.some(indices)
        views = draw_views(pictures.sizes, self.options, random, self.group.device)
        images = self.colouring(colours(pictures, views), random)
        labels = classes(pictures.channel(3), views)
        soft = None
        if self.soft is not None:
            soft = self.soft.of(indices, views, pictures.sizes, _APART)
        return Batch(normalised(images), labels, self.marks.of(indices), soft)

    def compiled(self, net: nn.Module) -> nn.Module:
        """The whole net, compiled."""
        return cast(nn.Module, compiled(net, self.group.device))

    def loss(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Cross entropy of the main head and, weighted, of the auxiliary ones; STDC's details.

        Optionally the IoU loss of the main head, a teacher's outputs, and soft labels.
        """
        options = self.options
        main, *auxiliary = _outputs(net(batch.images))
        losses = self._main_losses(main, batch)
        if options.teacher is not None and self._teacher is not None:
            with torch.no_grad():
                theirs = self._teacher(batch.images)
            distance = answers_loss(_some(main), _some(theirs), options.teacher.temperature)
            losses["teacher"] = options.teacher.weight * distance
        if options.iou_weight:
            labels = fine(_sparse(batch.labels), len(self.labels))
            iou = iou_loss(_sparse(main), labels, batch.marked)
            losses["iou"] = options.iou_weight * iou
        if getattr(net, "detail_head", None) is not None:
            losses["detail"] = options.detail_weight * detail_loss(auxiliary.pop(), batch.labels)
        for i, logits in enumerate(auxiliary):
            loss = self._pixel_loss(logits, thinned(batch.labels, logits), batch.marked)
            losses[f"aux{i}"] = options.aux_weight * loss
        return losses

    def _main_losses(self, main: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The main head's losses of labels and soft labels; each picture weighs the same.

        Pictures without soft labels have the labels' loss in place of both.
        """
        options = self.options
        share = 1.0 if options.teacher is None else 1 - options.teacher.weight
        if batch.soft is None or options.soft_labels is None or not batch.soft.rows:
            return {"main": share * self._pixel_loss(main, batch.labels, batch.marked)}
        count, weight = len(main), options.soft_labels.weight
        with_soft = batch.soft.rows
        without = sorted(set(range(count)) - set(with_soft))
        parts = [
            rate * len(rows) / count * self._pixel_loss(*_rows(rows, count, main, batch))
            for rows, rate in ((with_soft, share - weight), (without, share))
            if rows
        ]
        logits, _, marked = _rows(with_soft, count, main, batch)
        distance = soft_labels_loss(
            _sparse(logits),
            batch.soft.logits,
            batch.soft.shares,
            options.soft_labels.temperature,
            marked,
        )
        losses = {"main": torch.stack(parts).sum()}
        return {**losses, "soft": weight * len(with_soft) / count * distance}

    def _pixel_loss(self, logits: Tensor, labels: Tensor, marked: Tensor | None) -> Tensor:
        groups = self.material.coarse
        return pixel_loss(logits, labels, self.weights, self.options.ohem, marked, groups)

    @torch.no_grad()
    def evaluate(self, net: nn.Module) -> Scores:
        """Mean IoU over the val split at the pictures' own sizes, as in the application."""
        net.eval()
        count = len(self.labels)
        matrix = ConfusionMatrix(count)
        for indices in self.material.val_batches(8):
            pictures = self.material.val_pictures.some(indices)
            for found, picture in zip(self._answers(net, pictures), pictures, strict=True):
                matrix.add(found.cpu().numpy(), picture[..., 3].cpu().numpy())
        unmarked = [i for i in range(count) if not any(i in s.marked for s in self.material.val)]
        iou = matrix.iou()
        iou[unmarked] = np.nan
        figures = {"mIoU": mean_of_known(iou), "pixel_accuracy": matrix.pixel_accuracy()}
        scored_on = self.material.scored_on()
        return Scores("mIoU", figures, "IoU", iou, scored_on, confusion=matrix.counts)

    def _answers(self, net: nn.Module, pictures: Ragged) -> list[Tensor]:
        """The class map of each picture, H x W, mapped back from the net's input."""
        images = colours(pictures, whole(pictures, self.recipe.input_size))
        found = net(normalised(images)).argmax(1, keepdim=True)
        return [
            F.interpolate(f[None].float(), (int(h), int(w)), mode="nearest-exact")[0, 0].long()
            for f, (w, h) in zip(found, pictures.sizes, strict=True)
        ]

    @torch.no_grad()
    def draw(self, net: nn.Module, folder: Path) -> None:
        """Draw the net's predictions on validation pictures."""
        net.eval()
        for index in self.material.drawn():
            pictures = self.material.val_pictures.some([index])
            answer = self._answers(net, pictures)[0].cpu().numpy()
            path = folder / f"{index:05}.jpg"
            draw_class_map(path, pictures[0][..., :3].cpu().numpy(), answer, self.labels)


def _rows(
    rows: list[int], count: int, main: Tensor, batch: Batch
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Logits, labels and marked classes of some pictures of a batch."""
    if len(rows) == count:
        return main, batch.labels, batch.marked
    marked = None if batch.marked is None else batch.marked[rows]
    return main[rows], batch.labels[rows], marked


def _outputs(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The outputs as a tuple; nets without auxiliary heads may return bare logits."""
    return (outputs,) if isinstance(outputs, Tensor) else outputs


def _some(logits: Tensor) -> Tensor:
    """The logits of every fourth pixel each way, M x C."""
    return _sparse(logits).permute(0, 2, 3, 1).flatten(0, 2)


def _sparse(maps: Tensor) -> Tensor:
    """Every fourth pixel each way of maps, anything x H x W."""
    return maps[..., ::_APART, ::_APART]


def draw_views(
    sizes: np.ndarray, options: SegmentOptions, random: np.random.Generator, device: torch.device
) -> Views:
    """Random crops of randomly scaled, stretched and flipped pictures.

    Args:
        sizes: N x 2, widths and heights of the pictures.
        options: crop, scale and aspect.
        random: generator.
        device: of the pictures.
    """
    count = len(sizes)
    scale = np.exp(log_uniform(options.scale, count, random))
    stretch = np.exp(log_uniform(options.aspect, count, random) / 2)
    scales = np.stack((scale * stretch, scale / stretch), 1)
    extents = np.array(options.crop) / scales  # size of the crop in the picture's pixels
    # A crop is inside the picture, or contains all of it.
    corners = random.random((count, 2)) * (sizes - extents)
    rectangles = np.concatenate((corners, corners + extents), 1)
    return Views.of(rectangles, random.random(count) < 0.5, options.crop, device)
