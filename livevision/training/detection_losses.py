"""The losses of a two-stage detector, sampled as Light-Head R-CNN does (arXiv 1711.07264)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from livevision.nets.anchors import encode_boxes
from livevision.nets.nms import box_iou
from livevision.nets.two_stage import CODE_SCALE
from livevision.training.marks import mask_unmarked
from livevision.training.ragged import on_device

ANCHOR_SAMPLES = 256  # anchors per image in the first stage's loss
_FOREGROUND_IOU, _BACKGROUND_IOU = 0.7, 0.3


def match_anchors(anchors: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Assign every anchor to an object or the background.

    An anchor is an object if its IoU with one is at least 0.7, or the highest for that object.

    Args:
        anchors: A x 4.
        boxes: N x G x 4; rows of padding are empty boxes.

    Returns:
        int64 N x A: 1 object, 0 background, -1 neither; and the object's row in `boxes`.
    """
    iou = box_iou(anchors.expand(len(boxes), -1, 4), boxes)
    best, match = iou.max(2)
    labels = torch.full_like(match, -1)
    labels[best < _BACKGROUND_IOU] = 0
    closest = (iou == iou.amax(1, keepdim=True)) & (iou > 0)
    is_closest = closest.any(2)
    match = torch.where(is_closest, closest.int().argmax(2), match)
    labels[(best >= _FOREGROUND_IOU) | is_closest] = 1
    return labels, match


def sample(
    labels: Tensor, random: torch.Generator, count: int = ANCHOR_SAMPLES, objects: float = 0.5
) -> tuple[Tensor, Tensor]:
    """Sample anchors or proposals of each image, objects and background.

    Args:
        labels: int64 N x A: 1 object, 0 background, -1 neither.
        random: generator; on the labels' own device it saves a copy.
        count: number to sample.
        objects: maximum share of objects; if there are fewer, background replaces them.

    Returns:
        Their indices, int64 N x up to (1 + objects) * count, and which of them are valid, bool.
    """
    noise = torch.rand(labels.shape, generator=random, device=random.device).to(labels.device)
    available = labels.shape[1]
    # Others get noise below zero, so that the top-k are a random sample of the right kind.
    most, all_of_them = min(int(objects * count), available), min(count, available)
    chosen, object_places = torch.where(labels == 1, noise, -1.0).topk(most, 1)
    backgrounds, background_places = torch.where(labels == 0, noise, -1.0).topk(all_of_them, 1)
    free = count - (chosen >= 0).sum(1, keepdim=True)
    counted = (backgrounds >= 0) & (torch.arange(all_of_them, device=labels.device) < free)
    return torch.cat((object_places, background_places), 1), torch.cat((chosen >= 0, counted), 1)


def first_stage_loss(
    objectness: Tensor,
    codes: Tensor,
    anchors: Tensor,
    boxes: Tensor,
    random: torch.Generator,
    inside: tuple[int, int] | None = None,
    crowds: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Cross entropy of objectness and smooth L1 (sigma 3) of the codes over sampled anchors.

    Args:
        objectness: N x A x 2, logits of background and object.
        codes: N x A x 4.
        anchors: A x 4.
        boxes: N x G x 4; rows of padding are empty boxes.
        random: generator for sampling anchors.
        inside: height and width of the images, if only anchors inside them count.
        crowds: see `unknown_boxes`.
    """
    labels, match = match_anchors(anchors, boxes)
    if inside is not None:
        ends = on_device(np.array((inside[1], inside[0]), np.float32), anchors.device)
        outside = (anchors[:, :2] < 0).any(1) | (anchors[:, 2:] > ends).any(1)
        labels = labels.masked_fill(outside, -1)
    if crowds is not None:
        everywhere = anchors.expand(len(boxes), -1, 4)
        unknown = (labels == 0) & _in_crowds(everywhere, crowds)
        labels = labels.masked_fill(unknown, -1)
    places, counted = sample(labels, random)
    total = counted.sum()
    picked = labels.gather(1, places)
    logits = objectness.gather(1, places.unsqueeze(-1).expand(-1, -1, 2)).float()
    target = torch.where(counted, picked, -1)
    entropy = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-1)

    targets = encode_boxes(_rows(boxes, match.gather(1, places)), anchors[places])
    found = codes.gather(1, places.unsqueeze(-1).expand(-1, -1, 4)).float()
    distance = F.smooth_l1_loss(found, targets, reduction="none", beta=1 / 9).sum(-1)
    return entropy, (distance * (counted & (picked == 1))).sum() / total


def second_stage_loss(
    logits: Tensor,
    codes: Tensor,
    proposals: Tensor,
    valid: Tensor,
    boxes: Tensor,
    classes: Tensor,
    hardest: int,
    marked: Tensor | None = None,
    sampled: int = 0,
    random: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Cross entropy of the classes and (doubled) smooth L1 of the codes, over hard proposals.

    A proposal with an IoU of at least 0.5 is an object. Online hard example mining keeps those with
    the largest loss among all proposals of the batch.

    Args:
        logits: N x R x (1 + classes).
        codes: N x R x 4, or N x R x 4 * (1 + classes) if every class has its own.
        proposals: N x R x 4.
        valid: bool N x R, which proposals exist.
        boxes: N x G x 4 objects; rows of padding are empty boxes.
        classes: int64 N x G, from 0; or float32 N x G x classes, soft labels that sum to 1, used in
            a soft cross entropy.
        hardest: proposals that count, per image on average; 0 for all.
        marked: bool N x classes, those that an image's data set marks; the others are neither
            right nor wrong there. None for all.
        sampled: proposals of each image sampled beforehand, at most a quarter of them objects; 0
            for all.
        random: generator for sampling.
    """
    overlap, match = box_iou(proposals, boxes).max(2)
    is_object = (overlap >= 0.5) & valid
    likeliest = classes if classes.ndim == 2 else classes.argmax(2)
    labels = torch.where(is_object, likeliest.gather(1, match) + 1, 0)
    if marked is not None:
        marked = F.pad(marked, (1, 0), value=True)  # every set marks the background
    masked = mask_unmarked(logits.transpose(1, 2), marked)
    if classes.ndim == 2:
        entropy = F.cross_entropy(masked, labels, reduction="none")
    else:
        entropy = _soft_entropy(masked, classes, match, is_object)
    scale = on_device(np.array(CODE_SCALE, np.float32), boxes.device)
    targets = encode_boxes(_rows(boxes, match), proposals) / scale
    distance = F.smooth_l1_loss(_own(codes, labels).float(), targets, reduction="none")
    distance = distance.sum(-1) * is_object

    if sampled and random is not None:
        kinds = torch.where(valid, is_object.long(), -1)
        places, counted = sample(kinds, random, sampled, objects=0.25)
        chosen = torch.zeros_like(kinds).scatter_reduce(1, places, counted.long(), "amax")
        valid = valid & (chosen > 0)
    # The number of valid ones is not read, as that would wait for a GPU.
    entropy, distance, counted = entropy.flatten(), distance.flatten(), valid.flatten()
    if hardest:
        difficulty = torch.where(counted, (entropy + distance).detach(), -1.0)
        kept = difficulty.topk(min(hardest * len(logits), len(difficulty))).indices
        entropy, distance, counted = entropy[kept], distance[kept], counted[kept]
    number = counted.sum().clamp(min=1)
    entropy, distance = (torch.where(counted, x, 0).sum() / number for x in (entropy, distance))
    return entropy, 2 * distance


def unknown_boxes(proposals: Tensor, boxes: Tensor, crowds: Tensor) -> Tensor:
    """Which proposals are no object and lie in a crowd, so that their truth is unknown.

    Args:
        proposals: N x R x 4.
        boxes: N x G x 4 objects.
        crowds: N x K x 4, regions with any number of objects; rows of padding are empty.
    """
    is_object = box_iou(proposals, boxes).amax(2) >= 0.5
    return _in_crowds(proposals, crowds) & ~is_object


def _in_crowds(boxes: Tensor, crowds: Tensor) -> Tensor:
    """Which boxes have at least half of their area in a crowd, bool N x R."""
    low = torch.maximum(boxes[:, :, None, :2], crowds[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], crowds[:, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    area = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)
    return (shared >= 0.5 * area[..., None].clamp(min=1e-6)).any(2)


def _soft_entropy(logits: Tensor, shares: Tensor, match: Tensor, is_object: Tensor) -> Tensor:
    """Cross entropy with the soft labels of the objects, N x R.

    Args:
        logits: N x (1 + classes) x R.
        shares: N x G x classes, summing to 1.
        match: int64 N x R, the object of each proposal.
        is_object: bool N x R; the others are background.
    """
    log_shares = logits.log_softmax(1)
    rows = match.unsqueeze(-1).expand(-1, -1, shares.shape[2])
    of_object = -(shares.gather(1, rows).transpose(1, 2) * log_shares[:, 1:]).sum(1)
    return torch.where(is_object, of_object, -log_shares[:, 0])


def _own(codes: Tensor, labels: Tensor) -> Tensor:
    """The codes of each proposal's own class, N x R x 4."""
    if codes.shape[-1] == 4:
        return codes
    by_class = torch.unflatten(codes, -1, (-1, 4))
    places = labels[..., None, None].expand(*labels.shape, 1, 4)
    return by_class.gather(2, places)[:, :, 0]


def _rows(boxes: Tensor, rows: Tensor) -> Tensor:
    """boxes[n, rows[n, k]] for all n and k."""
    return boxes.gather(1, rows.unsqueeze(-1).expand(-1, -1, 4))
