"""Base of two-stage detectors: anchors to proposals, and proposals to detections."""

from __future__ import annotations

from typing import ClassVar, TypedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from livevision.nets.anchors import decode_boxes
from livevision.nets.layers import Step
from livevision.nets.nms import best_boxes, suppress
from livevision.nets.roi import ps_roi_align

# The second stage's codes are divided by these, so that their targets have similar variance.
CODE_SCALE = (0.1, 0.1, 0.2, 0.2)


class Counts(TypedDict, total=False):
    """Numbers of boxes in a detector; see `TwoStageDetector`."""

    pre_nms: int
    proposals: int
    candidates: int
    detections: int


class TwoStageDetector(nn.Module):
    """A detector that proposes boxes, then classifies each; subclasses define its parts.

    Attributes:
        PARTS: see `livevision.nets.parts`.
        pre_nms: proposals before the first stage's NMS.
        proposals: proposals after NMS that the second stage processes.
        candidates: pairs of proposal and class before the final NMS.
        detections: rows of the output.
    """

    PARTS: ClassVar[dict[str, str]] = {
        "backbone": "backbone",
        "rpn": "RPN",
        "proposing": "proposals + NMS",
        "roi": "RoI",
        "fc": "head",
        "classes": "head",
        "boxes": "head",
        "": "head",
        "choosing": "final NMS",
    }

    pre_nms: int
    proposals: int
    candidates: int
    detections: int

    def __init__(self) -> None:
        super().__init__()
        self.proposing, self.roi, self.choosing = Step(propose), Step(ps_roi_align), Step(refine)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The map that proposals are pooled from, and objectness and codes of all anchors."""
        raise NotImplementedError

    def anchors(self, maps: Tensor) -> Tensor:
        """All anchors of a map that `features` returned, A x 4 in input pixels."""
        raise NotImplementedError

    def second_stage(self, maps: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits N x R x (1 + classes), background first, and codes for `refine`."""
        raise NotImplementedError

    def propose(
        self, objectness: Tensor, codes: Tensor, anchors: Tensor, size: tuple[int, int]
    ) -> Tensor:
        """The proposals, N x R x 4; see `propose` of this module."""
        boxes: Tensor = self.proposing(
            objectness, codes, anchors, size, self.pre_nms, self.proposals
        )
        return boxes

    def forward(
        self, images: Tensor, iou_threshold: float | Tensor = 0.5
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Detect objects.

        Args:
            images: N x 3 x H x W.
            iou_threshold: of the final NMS, within a class.

        Returns:
            boxes, float32 N x K x 4 in input pixels; scores, float32 N x K, -1 in empty rows,
            which come last; classes, int64 N x K, from 0. K is `detections`.
        """
        size = (int(images.shape[2]), int(images.shape[3]))
        maps, objectness, codes = self.features(images)
        proposals = self.propose(objectness, codes, self.anchors(maps), size)
        logits, codes = self.second_stage(maps, proposals)
        scale = torch.tensor(CODE_SCALE * (int(codes.shape[-1]) // 4), device=codes.device)
        found: tuple[Tensor, Tensor, Tensor] = self.choosing(
            logits, codes * scale, proposals, size, iou_threshold, self.candidates, self.detections
        )
        return found


def by_anchor(x: Tensor, values: int) -> Tensor:
    """N x (anchors * values) x H x W to N x all anchors x values, cells row by row."""
    count = int(x.shape[1]) * int(x.shape[2]) * int(x.shape[3]) // values
    return x.permute(0, 2, 3, 1).reshape(-1, count, values)


def propose(
    objectness: Tensor,
    codes: Tensor,
    anchors: Tensor,
    size: tuple[int, int],
    pre_nms: int,
    proposals: int,
) -> Tensor:
    """The best anchors, moved by their codes, after NMS at an IoU of 0.7.

    If NMS keeps too few, the best suppressed boxes fill the rest: the number is fixed, and
    duplicates do no harm before the final NMS.

    Args:
        objectness: logits (background, object) of all anchors, N x A x 2.
        codes: N x A x 4.
        anchors: A x 4.
        size: height and width of the images.
        pre_nms: boxes before NMS.
        proposals: boxes returned, or all if there are fewer.

    Returns:
        N x `proposals` x 4.
    """
    # The softmax of two logits is monotonic in their difference.
    scores = objectness[..., 1] - objectness[..., 0]
    count = min(pre_nms, int(scores.shape[1]))
    _, order = scores.topk(count, 1)
    chosen = order.unsqueeze(-1).expand(-1, -1, 4)
    references = anchors.expand(int(codes.shape[0]), -1, 4).gather(1, chosen)
    boxes = decode_boxes(codes.gather(1, chosen), references, *size)
    keep = suppress(boxes, 0.7)
    # Scores are sorted already, so ranks decide: kept boxes first, in order.
    rank = torch.arange(count, 0, -1, device=boxes.device, dtype=boxes.dtype)
    return best_boxes(keep * count + rank, boxes, proposals)[1]


def refine(
    logits: Tensor,
    codes: Tensor,
    proposals: Tensor,
    size: tuple[int, int],
    iou_threshold: float | Tensor,
    candidates: int,
    detections: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Detections from the outputs of the second stage.

    Args:
        logits: N x R x (1 + classes), background first.
        codes: relative to the proposals, N x R x 4, or N x R x 4 * (1 + classes) if the background
            and every class have their own.
        proposals: N x R x 4.
        size, iou_threshold, candidates, detections: see `choose`.

    Returns:
        What `choose` returns.
    """
    codes = torch.unflatten(codes, -1, (-1, 4))
    if int(codes.shape[2]) > 1:
        codes = codes[:, :, 1:]  # the background's box is never used
    boxes = decode_boxes(codes, proposals.unsqueeze(2), *size)
    scores = logits.softmax(-1)[..., 1:]
    return choose(boxes, scores, size, iou_threshold, candidates, detections)


def choose(
    boxes: Tensor,
    scores: Tensor,
    size: tuple[int, int],
    iou_threshold: float | Tensor,
    candidates: int,
    detections: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The best pairs of box and class after NMS within each class.

    Args:
        boxes: N x R x 1 x 4, or N x R x classes x 4 if every class has its own.
        scores: of the foreground classes, N x R x classes, from 0.
        size: height and width of the images.
        iou_threshold: IoU above which boxes of a class are the same object.
        candidates: pairs before NMS.
        detections: rows returned.

    Returns:
        boxes, N x `detections` x 4; scores, -1 in empty rows, which come last; classes, int64.
    """
    classes_count = int(scores.shape[2])
    boxes = boxes.expand(-1, -1, classes_count, 4).flatten(1, 2)
    scores, order = scores.flatten(1).topk(min(candidates, int(boxes.shape[1])), 1)
    rows = torch.div(order, classes_count, rounding_mode="floor")
    classes = order - rows * classes_count
    boxes = boxes.gather(1, order.unsqueeze(-1).expand(-1, -1, 4))
    # Classes are shifted apart so far that they cannot overlap.
    apart = boxes + (classes * (max(size) + 1)).unsqueeze(-1).to(boxes.dtype)
    keep = suppress(apart, iou_threshold)
    scores = scores * keep - (1 - keep)
    missing = max(0, detections - int(scores.shape[1]))
    if missing:
        scores = F.pad(scores, (0, missing), value=-1.0)
        classes = F.pad(classes, (0, missing))
        boxes = F.pad(boxes, (0, 0, 0, missing))
    scores, order = scores.topk(detections, 1)
    boxes = boxes.gather(1, order.unsqueeze(-1).expand(-1, -1, 4))
    return boxes, scores, classes.gather(1, order)
