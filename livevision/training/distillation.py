"""Distillation losses: a student imitates a teacher's outputs and feature maps."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from livevision.training.marks import mask_unmarked


def answers_loss(ours: Tensor, theirs: Tensor, temperature: float) -> Tensor:
    """Mean KL divergence of softened outputs, student from teacher (arXiv 1503.02531).

    Args:
        ours: logits, N x C; over all samples that the loss is the mean of.
        theirs: logits, N x C, without gradient.
        temperature: divides both; its square compensates for the smaller gradients.
    """
    wanted = (theirs.float() / temperature).softmax(1)
    found = (ours.float() / temperature).log_softmax(1)
    return temperature**2 * F.kl_div(found, wanted, reduction="batchmean")


def soft_labels_loss(
    ours: Tensor, theirs: Tensor, shares: Tensor, temperature: float, marked: Tensor | None
) -> Tensor:
    """Mean KL divergence of a segmenter from soft labels, as `answers_loss`, over positions.

    Args:
        ours: logits, N x C x H x W.
        theirs: logits of the teacher, of the same shape, without gradient.
        shares: N x H x W, weights of the positions.
        temperature: divides both; its square compensates for the smaller gradients.
        marked: bool N x C, see `livevision.training.marks`.
    """
    wanted = (mask_unmarked(theirs, marked) / temperature).softmax(1)
    found = (mask_unmarked(ours, marked) / temperature).log_softmax(1)
    distance = F.kl_div(found, wanted, reduction="none").sum(1)
    mean: Tensor = (distance * shares).sum() / shares.sum().clamp(min=1e-6)
    return temperature**2 * mean


def maps_loss(ours: Tensor, theirs: Tensor) -> Tensor:
    """Squared distance of a student's maps from its teacher's, relative to the teacher's.

    A detector's second stage can only distinguish what the pooled maps contain, so a light net
    learns much from a heavier net's maps (mimicking: Li et al., CVPR 2017).

    Args:
        ours: N x C x H x W.
        theirs: of the same shape, without gradient.
    """
    theirs = theirs.float()
    power: Tensor = theirs.square().mean()
    return (ours.float() - theirs).square().mean() / power.clamp(min=torch.finfo(power.dtype).tiny)


def features_loss(ours: Tensor, theirs: Tensor) -> Tensor:
    """Mean squared error of features, each channel of the teacher's scaled to variance 1.

    Without the scaling a few strong channels would be learned and the others left.

    Args:
        ours: N x C x H x W; averaged over the cells of a coarser map of the teacher.
        theirs: N x C x H x W, without gradient.
    """
    theirs = theirs.float()
    mean = theirs.mean((0, 2, 3), keepdim=True)
    spread = theirs.std((0, 2, 3), keepdim=True).clamp(min=1e-6)
    height, width = theirs.shape[2:]
    ours = F.adaptive_avg_pool2d(ours.float(), (height, width))
    return F.mse_loss(ours, (theirs - mean) / spread)
