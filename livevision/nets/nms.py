"""Non-maximum suppression in plain tensor operations of fixed shapes.

It exports to ONNX without data-dependent sizes and gives what greedy suppression gives.
"""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK = 512  # boxes whose pairs stay in a processor's nearest memory: 1 MB of them


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of all pairs: N x A x 4 and N x B x 4 give N x A x B.

    A pair of which one box is empty has 0.
    """
    ax1, ay1, ax2, ay2 = a.unsqueeze(2).unbind(-1)
    bx1, by1, bx2, by2 = b.unsqueeze(1).unbind(-1)
    width = (torch.min(ax2, bx2) - torch.max(ax1, bx1)).clamp(min=0)
    height = (torch.min(ay2, by2) - torch.max(ay1, by1)).clamp(min=0)
    shared = width * height
    union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared
    return shared / union.clamp(min=1e-6)


def suppress(boxes: Tensor, iou_threshold: float | Tensor, rounds: int = 20) -> Tensor:
    """Which boxes greedy suppression keeps.

    Starting from "all are kept", every round decides anew that a box stays if no kept box of
    higher score overlaps it too much. A box is settled once those before it are, so the rounds
    end at the greedy answer, and soon: 2000 boxes needed 12 at most. A chain of more boxes than
    rounds, each overlapping only the one before, is not settled to its end; of an even number of
    rounds the unsettled boxes are kept.

    Many boxes are settled block by block, the best first, each with all the rounds: a round over
    the pairs of a block costs a small part of one over all pairs, and those of boxes that are
    settled are looked at once.

    Args:
        boxes: N x K x 4, best first.
        iou_threshold: boxes that overlap by more than this are the same object.
        rounds: fixed number of rounds, of every block.

    Returns:
        float N x K, 1 for boxes kept and 0 for others.
    """
    count = int(boxes.shape[1])
    blocks = max(1, -(-count // _BLOCK))
    size = max(1, -(-count // blocks))
    kept: list[Tensor] = []
    for start in range(0, count, size):
        block = boxes[:, start : start + size]
        # Row i, column j: box i, better than j, would suppress j.
        overlaps = torch.triu(_overlap(block, block, iou_threshold), diagonal=1)
        free = torch.ones_like(block[:, None, :, 0])
        if kept:
            better = _overlap(boxes[:, :start], block, iou_threshold)
            free = (torch.cat(kept, 2) @ better < 0.5).to(boxes.dtype)
        keep = free
        for _ in range(rounds):
            keep = (keep @ overlaps < 0.5).to(boxes.dtype)
            if kept:
                keep = keep * free
        kept.append(keep)
    return torch.cat(kept, 2)[:, 0] if kept else boxes[:, :, 0]


def _overlap(a: Tensor, b: Tensor, iou_threshold: float | Tensor) -> Tensor:
    """1 where a pair of boxes overlaps by more than the threshold, else 0."""
    return (box_iou(a, b) > iou_threshold).to(a.dtype)


def best_boxes(scores: Tensor, boxes: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` best of N x K scores and their N x K x 4 boxes, best first; all if fewer."""
    count = min(count, int(scores.shape[1]))
    scores, order = scores.topk(count, 1)
    return scores, boxes.gather(1, order.unsqueeze(-1).expand(-1, -1, 4))


def soft_suppress(
    boxes: Tensor,
    scores: Tensor,
    sigma: float | None = 0.5,
    iou_threshold: float = 0.3,
    smallest: float = 0.001,
) -> tuple[Tensor, Tensor]:
    """Soft-NMS (arXiv 1704.04503): lowers the scores of boxes that overlap a better one.

    The boxes of one image and class are taken one after another, the best first, and each lowers
    those left over. It runs in a loop and gives as many boxes as it finds: not for export.

    Args:
        boxes: K x 4.
        scores: K, from 0.
        sigma: an overlap multiplies the score by exp(-overlap ** 2 / sigma). None: by
            1 - overlap, where that is more than `iou_threshold`.
        iou_threshold: see `sigma`.
        smallest: boxes whose score falls below are left out.

    Returns:
        Which boxes are left, as indices in the order they were taken, and their new scores.
    """
    overlaps = box_iou(boxes.unsqueeze(0), boxes.unsqueeze(0))[0]
    if sigma is None:
        weights = torch.where(overlaps > iou_threshold, 1 - overlaps, torch.ones_like(overlaps))
    else:
        weights = torch.exp(-(overlaps**2) / sigma)
    left = scores.clone()
    taken: list[Tensor] = []
    new_scores: list[Tensor] = []
    for _ in range(len(scores)):
        score, best = left.max(0)
        if float(score) < smallest:
            break
        taken.append(best)
        new_scores.append(score)
        left = left * weights[best]
        left[best] = -1.0
    if not taken:
        return torch.zeros(0, dtype=torch.long, device=boxes.device), scores[:0]
    return torch.stack(taken), torch.stack(new_scores)
