"""What a student's loss adds for a teacher: to answer like it, and to see like it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def answers_loss(ours: Tensor, theirs: Tensor, temperature: float) -> Tensor:
    """Mean divergence of a student's softened answers from its teacher's (arXiv 1503.02531).

    Args:
        ours: logits, N x C; of as many samples as the loss is the mean of.
        theirs: logits, N x C, without gradient.
        temperature: by which both are divided; the square of it makes up for the smaller gradients.
    """
    wanted = (theirs.float() / temperature).softmax(1)
    found = (ours.float() / temperature).log_softmax(1)
    return temperature**2 * F.kl_div(found, wanted, reduction="batchmean")


def maps_loss(ours: Tensor, theirs: Tensor) -> Tensor:
    """Squared distance of a student's maps from its teacher's, as a share of the teacher's own.

    A detector's second stage can only tell apart what lies in the maps that it pools from, so a
    light net learns much from a heavier one's (mimicking: Li et al., CVPR 2017).

    Args:
        ours: N x C x H x W.
        theirs: of the same shape, without gradient.
    """
    theirs = theirs.float()
    power: Tensor = theirs.square().mean()
    return (ours.float() - theirs).square().mean() / power.clamp(min=torch.finfo(power.dtype).tiny)
