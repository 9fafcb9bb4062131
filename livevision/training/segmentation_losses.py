"""Losses of segmenters: cross entropy over all or hard pixels, mean IoU, and STDC's details."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from livevision.datasets.samples import IGNORED
from livevision.training.coarse import Groups, with_groups
from livevision.training.marks import mask_unmarked

_LEAST_HARD = 16  # at least 1/16 of the pixels is learned from


def pixel_loss(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor | None,
    ohem: float = 0.0,
    marked: Tensor | None = None,
    groups: Groups = (),
) -> Tensor:
    """Weighted mean of the cross entropy.

    Args:
        logits: N x C x H x W.
        labels: int64 N x H x W; pixels of `IGNORED` do not count.
        weights: of the classes, or None.
        ohem: keep pixels whose true class has less than this probability, and at least a sixteenth
            of those that count; 0 keeps all.
        marked: bool N x C, see `livevision.training.marks`.
        groups: of the coarse classes, whose numbers follow the labels'; a pixel of one weighs as
            the mean of its labels.
    """
    entropy = _entropy(mask_unmarked(logits, marked), labels, groups)
    counted = labels != IGNORED
    if ohem:
        least = max(1, int(counted.sum()) // _LEAST_HARD)
        threshold = -math.log(ohem)
        found = entropy.detach().masked_fill(~counted, -1.0)
        if int((found > threshold).sum()) < least:
            threshold = float(found.flatten().topk(least).values[-1].clamp(min=0))
        counted = counted & (found >= threshold)
    share = counted.float()
    if weights is not None:
        means = [weights[sorted(group)].mean()[None] for group in groups]
        weights = torch.cat((weights, *means))
        share = share * weights[labels.clamp(max=len(weights) - 1)]
    return (entropy * share).sum() / share.sum().clamp(min=1e-6)


def _entropy(logits: Tensor, labels: Tensor, groups: Groups) -> Tensor:
    """Cross entropy of each pixel, N x H x W; 0 where the label is `IGNORED`."""
    if not groups:
        return F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")
    every = with_groups(logits, groups)
    own = every.gather(1, labels.clamp(max=every.shape[1] - 1)[:, None])[:, 0]
    return (logits.logsumexp(1) - own).masked_fill(labels == IGNORED, 0.0)


def iou_loss(logits: Tensor, labels: Tensor, marked: Tensor | None = None) -> Tensor:
    """One minus a smooth surrogate of the mean IoU of the classes that occur.

    The Lovász extension of the Jaccard loss over the errors of the softmax (Lovász-softmax, arXiv
    1705.08790, section 3), with the batch as one picture. For certain predictions it is exactly one
    minus the mean IoU.

    Args:
        logits: N x C x H x W.
        labels: int64 N x H x W; pixels of `IGNORED` do not count.
        marked: bool N x C, see `livevision.training.marks`.

    Returns:
        A scalar in 0..1, float32; 0 if no pixel counts.
    """
    shares = mask_unmarked(logits, marked).softmax(1).movedim(1, -1)
    counted = labels != IGNORED
    shares, labels = shares[counted], labels[counted]
    truth = F.one_hot(labels, shares.shape[1])
    present = truth.any(0)
    if not bool(present.any()):
        return logits.sum() * 0.0
    truth = truth[:, present].float()
    errors, order = (truth - shares[:, present]).abs().sort(0, descending=True)
    truth = truth.gather(0, order)
    total = truth.sum(0)
    # The Jaccard loss if the first k pixels are wrong, for each k.
    jaccard = 1 - (total - truth.cumsum(0)) / (total + (1 - truth).cumsum(0))
    steps = torch.cat((jaccard[:1], jaccard.diff(dim=0)))
    return (errors * steps).sum(0).mean()


def thinned(labels: Tensor, logits: Tensor) -> Tensor:
    """Labels at the size of smaller logits, by nearest neighbour.

    Enlarging auxiliary logits to the labels' size instead costs up to a third of the net.
    """
    small = F.interpolate(labels[:, None].float(), logits.shape[2:], mode="nearest-exact")
    return small[:, 0].long()


def detail_target(labels: Tensor) -> Tensor:
    """Class boundaries: 0 or 1, float32 N x 1 x H x W (STDC, arXiv 2104.13188, section 3.3).

    The Laplacian of the labels at strides 1, 2 and 4, each enlarged and thresholded at 0.1, is
    summed with the weights 0.6, 0.3 and 0.1 and thresholded again.
    """
    x = labels[:, None].float()
    kernel = torch.full((1, 1, 3, 3), -1.0, device=labels.device)
    kernel[..., 1, 1] = 8.0
    total = torch.zeros_like(x)
    for stride, weight in ((1, 0.6), (2, 0.3), (4, 0.1)):
        edges = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, stride=stride)
        edges = F.interpolate(edges.clamp(min=0), x.shape[2:], mode="nearest")
        total += weight * (edges > 0.1)
    return (total > 0.1).float()


def detail_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy plus Dice loss of the detail head, at the labels' size."""
    target = detail_target(labels)
    found = F.interpolate(logits.float(), target.shape[2:], mode="bilinear", align_corners=True)
    entropy = F.binary_cross_entropy_with_logits(found, target)
    share, truth = found.sigmoid().flatten(1), target.flatten(1)
    overlap = 2 * (share * truth).sum(1) + 1
    dice = 1 - overlap / (share.square().sum(1) + truth.square().sum(1) + 1)
    return entropy + dice.mean()


def class_weights(counts: Tensor, smoothing: float) -> Tensor:
    """Loss weights 1 / ln(smoothing + share of the pixels), scaled to a mean of 1.

    The nearer `smoothing` is to 1, the more a rare class weighs (ENet, arXiv 1606.02147).

    Args:
        counts: pixels of each class.
        smoothing: above 1.
    """
    weights = 1 / torch.log(smoothing + counts.float() / counts.sum())
    return weights / weights.mean()
