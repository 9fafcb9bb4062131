"""Distillation losses: a student imitates a teacher's outputs and feature maps."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


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
