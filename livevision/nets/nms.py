"""Non-maximum suppression with tensor operations of fixed shapes.

It exports to ONNX without data-dependent sizes and gives the result of greedy NMS.
"""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK = 512  # boxes whose pairwise matrix fits the CPU cache: 1 MB


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of all pairs: N x A x 4 and N x B x 4 give N x A x B.

    It is 0 if one of the boxes is empty.
    """
    ax1, ay1, ax2, ay2 = a.unsqueeze(2).unbind(-1)
    bx1, by1, bx2, by2 = b.unsqueeze(1).unbind(-1)
    width = (torch.min(ax2, bx2) - torch.max(ax1, bx1)).clamp(min=0)
    height = (torch.min(ay2, by2) - torch.max(ay1, by1)).clamp(min=0)
    shared = width * height
    union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared
    return shared / union.clamp(min=1e-6)


def suppress(boxes: Tensor, iou_threshold: float | Tensor, rounds: int = 20) -> Tensor:
    """Mask of the boxes that greedy NMS keeps.

    Starting with all boxes kept, every round decides again that a box is kept if no kept box of
    higher score overlaps it too much. A box is final once those before it are, so the rounds
    converge to the greedy result, and soon: 2000 boxes needed 12 at most. A chain of more boxes
    than rounds, each overlapping only the previous one, is not resolved to its end; with an even
    number of rounds the unresolved boxes are kept.

    Many boxes are processed block by block, best first, each with all the rounds: a round over the
    pairs of a block costs a fraction of one over all pairs, and pairs with final boxes are
    evaluated only once.

    Args:
        boxes: N x K x 4, best first.
        iou_threshold: IoU above which boxes are the same object.
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
    """Soft-NMS (arXiv 1704.04503): reduces the scores of boxes that overlap a better one.

    The boxes of one image and class are taken one by one, best first, and each reduces the scores
    of the remaining ones. It is a loop with a variable number of results: not for export.

    Args:
        boxes: K x 4.
        scores: K, from 0.
        sigma: an overlap multiplies the score by exp(-overlap ** 2 / sigma). None: by
            1 - overlap, if the overlap exceeds `iou_threshold`.
        iou_threshold: see `sigma`.
        smallest: boxes with a lower score are dropped.

    Returns:
        Indices of the remaining boxes in the order they were taken, and their new scores.
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
