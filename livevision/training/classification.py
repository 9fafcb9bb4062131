"""Training of classifiers, which also gives backbones their first weights."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from livevision.datasets.samples import ClassSample
from livevision.errors import UsageError
from livevision.nets.layers import Classifier
from livevision.scoring.confusion import ConfusionMatrix
from livevision.training.batches import batch_number, views_random
from livevision.training.compiling import compiled
from livevision.training.distillation import answers_loss, features_loss
from livevision.training.drawings import draw_class
from livevision.training.marks import Marks, mask_unmarked
from livevision.training.material import Material
from livevision.training.processes import Group
from livevision.training.ragged import Ragged, Views, on_device
from livevision.training.recipe import ClassifyOptions, Recipe
from livevision.training.scores import Scores
from livevision.training.teachers import AskFeatures, AskTeacher, open_features, open_teacher
from livevision.training.views import Colouring, colours, log_uniform, middle, normalised


class Batch(NamedTuple):
    """The data of a step."""

    images: Tensor  # as the net's input
    labels: Tensor  # int64 N
    marked: Tensor | None  # bool N x outputs


class ClassificationJob:
    """Batches, losses and scores of a classifier; its options are `recipe.ClassifyOptions`."""

    def __init__(self, recipe: Recipe, data: Path, group: Group) -> None:
        self.recipe, self.group = recipe, group
        self.options = cast(ClassifyOptions, recipe.task_options)
        self.material = Material(recipe, data, group)
        self.labels = self.material.labels
        # A net may have spare outputs that no data set labels.
        outputs = max(len(self.labels), int(recipe.net_options.get("num_classes", 0)))
        self.marks = Marks(self.material.train, outputs, group.device)
        self.colouring = Colouring(self.options.jitter, self.options.hue)
        self._teacher: AskTeacher | None = None
        self._features: AskFeatures | None = None

    def about(self) -> list[str]:
        """Lines that describe the training data."""
        if self.options.teacher is not None:
            self._teacher = open_teacher(self.options.teacher, self.material, self.group.device)
        if self.options.features is not None:
            self._features = open_features(
                self.options.features, len(self.labels), self.group.device
            )
        return self.material.about()

    @cached_property
    def classes(self) -> np.ndarray:
        """The class of every training picture."""
        samples = cast(list[ClassSample], self.material.pictures.samples)
        return np.array([s.class_id for s in samples], np.int64)

    def pictures_per_epoch(self) -> int:
        """Pictures in an epoch."""
        return len(self.material.epoch)

    def batch(self, step: int) -> Batch:
        """Images and class numbers of a step."""
        random = views_random(self.recipe.seed, batch_number(step, self.group))
        indices = self.material.indices(step)
        pictures = self.material.pictures.some(indices)
        device = self.group.device
        views = draw_views(pictures.sizes, self.options, self.recipe.input_size, random, device)
        images = normalised(self.colouring(colours(pictures, views), random))
        labels = on_device(self.classes[indices], device)
        return Batch(images, labels, self.marks.of(indices))

    def compiled(self, net: nn.Module) -> nn.Module:
        """The whole net, compiled; with features its backbone, whose map they are learned from."""
        if self.options.features is None:
            return cast(nn.Module, compiled(net, self.group.device))
        backbone = cast(Any, net).backbone
        # Not the module: compiled, it would give its weights other names.
        backbone.forward = compiled(backbone.forward, self.group.device)
        return net

    def loss(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Cross entropy with smoothed labels and, with a teacher, with its outputs or features."""
        imitated: dict[str, Tensor] = {}
        if self.options.features is None or self._features is None:
            outputs = net(batch.images)
        else:
            if not isinstance(net, Classifier):
                raise UsageError(
                    f"task_options.features: net {self.recipe.net!r} has more than a linear layer "
                    "behind its last map, so it cannot imitate one"
                )
            last = net.backbone(batch.images)[-1]
            outputs = net.classify(last)
            theirs = self._features(batch.images)
            distance = features_loss(self._imitated(net, last, theirs.shape[1]), theirs)
            imitated = {"features": self.options.features.weight * distance}
        logits = mask_unmarked(outputs, batch.marked)
        entropy = smoothed_entropy(logits, batch.labels, self.options.label_smoothing, batch.marked)
        teacher = self.options.teacher
        if teacher is None or self._teacher is None:
            return {"main": entropy, **imitated}
        answers = self._teacher(batch.images)
        ours = logits[:, : answers.shape[1]]
        return {
            "main": (1 - teacher.weight) * entropy,
            "teacher": teacher.weight * answers_loss(ours, answers, teacher.temperature),
            **imitated,
        }

    def _imitated(self, net: Classifier, last: Tensor, channels: int) -> Tensor:
        """What the outputs behind the labels' say of each place of a map, N x channels x H x W."""
        first, fc = len(self.labels), cast(nn.Linear, net.fc)
        if fc.out_features < first + channels:
            raise UsageError(
                f"task_options.features: {first} labels and {channels} channels take "
                f"net_options: {{num_classes: {first + channels}}}"
            )
        rows = slice(first, first + channels)
        bias = None if fc.bias is None else fc.bias[rows]
        return F.conv2d(last, fc.weight[rows, :, None, None], bias)

    @torch.no_grad()
    def evaluate(self, net: nn.Module) -> Scores:
        """Share of val pictures whose class is the first guess, or among the first five."""
        net.eval()
        count = len(self.labels)
        matrix = ConfusionMatrix(count)
        hits = total = 0
        for indices in self.material.val_batches(64):
            answers = self._answers(net, self.material.val_pictures.some(indices))
            truth = self._truth(indices)
            best = answers.topk(min(5, count), 1).indices.cpu().numpy()
            matrix.add(best[:, 0], truth)
            hits += int((best == truth[:, None]).sum())
            total += len(indices)
        figures = {"top1": matrix.pixel_accuracy(), "top5": hits / total}
        scored_on = self.material.scored_on()
        return Scores("top1", figures, "recall", matrix.recall(), scored_on, matrix.counts)

    def _truth(self, indices: list[int]) -> np.ndarray:
        samples = self.material.val_pictures.samples
        return np.array([cast(ClassSample, samples[i]).class_id for i in indices], np.int64)

    def _answers(self, net: nn.Module, pictures: Ragged) -> Tensor:
        """Logits of the labels, from the centre of each picture."""
        views = middle(pictures.sizes, self.recipe.input_size, self.group.device)
        logits: Tensor = net(normalised(colours(pictures, views)))
        return logits[:, : len(self.labels)]

    @torch.no_grad()
    def draw(self, net: nn.Module, folder: Path) -> None:
        """Write validation pictures with the predicted class."""
        net.eval()
        for index in self.material.drawn():
            pictures = self.material.val_pictures.some([index])
            found = int(self._answers(net, pictures).argmax())
            true = int(self._truth([index])[0])
            path = folder / f"{index:05}.jpg"
            draw_class(path, pictures[0].cpu().numpy(), self.labels[true], self.labels[found])


def smoothed_entropy(
    logits: Tensor, labels: Tensor, smoothing: float, marked: Tensor | None
) -> Tensor:
    """Cross entropy with label smoothing over the marked classes.

    Args:
        logits: N x C, those of unmarked classes masked.
        labels: int64 N.
        smoothing: share of the truth spread evenly.
        marked: bool N x C; None for all.
    """
    if marked is None:
        return F.cross_entropy(logits, labels, label_smoothing=smoothing)
    logs = logits.log_softmax(1)
    spread = (logs * marked).sum(1) / marked.sum(1)
    own = logs.gather(1, labels[:, None])[:, 0]
    return -((1 - smoothing) * own + smoothing * spread).mean()


def draw_views(
    sizes: np.ndarray,
    options: ClassifyOptions,
    input_size: tuple[int, int],
    random: np.random.Generator,
    device: torch.device,
) -> Views:
    """Random crops of random area and aspect ratio, flipped half of the time."""
    count = len(sizes)
    share = np.sqrt(random.uniform(options.smallest_crop, 1, count))
    stretch = np.exp(log_uniform(options.aspect, count, random) / 2)
    extents = np.minimum(sizes * np.stack((share * stretch, share / stretch), 1), sizes)
    corners = random.random((count, 2)) * (sizes - extents)
    rectangles = np.concatenate((corners, corners + extents), 1)
    return Views.of(rectangles, random.random(count) < 0.5, input_size, device)
