"""Matches detections with true boxes at one score threshold: hits, false positives and misses."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from livevision.scoring.average_precision import Found, Objects, crowds_of


class Matches:
    """Counts over a data set at one setting of the score threshold.

    A box hits an object of its class if their IoU is at least `iou`; each object is hit once, by
    the strongest box. Difficult objects and crowds count neither as misses nor their detections as
    false positives.

    Args:
        num_classes: of the detector.
        conf: minimum score.
        iou: minimum IoU.

    Attributes:
        confusion: boxes by true class (row) and predicted class (column), matched by overlap
            regardless of class; the last row has false positives, the last column misses.
    """

    def __init__(self, num_classes: int, conf: float = 0.25, iou: float = 0.5) -> None:
        self.conf = conf
        self.iou = iou
        self.hits = np.zeros(num_classes, np.int64)
        self.found = np.zeros(num_classes, np.int64)
        self.asked = np.zeros(num_classes, np.int64)
        self.confusion = np.zeros((num_classes + 1, num_classes + 1), np.int64)

    def add(self, truth: Objects, found: Found) -> None:
        """Count one picture."""
        order = np.argsort(-found.scores, kind="stable")
        order = order[found.scores[order] >= self.conf]
        boxes, classes = found.boxes[order], found.classes[order]
        crowd = crowds_of(truth)
        ignored = truth.difficult | crowd
        overlap = box_iou(boxes, truth.boxes, crowd)
        of_class = np.where(classes[:, None] == truth.classes, overlap, 0.0)
        matched = _assign(of_class, ignored, crowd, self.iou)
        counted = np.array([m < 0 or not ignored[m] for m in matched], np.bool_)
        hit = np.array([m >= 0 for m in matched], np.bool_) & counted
        count = len(self.hits)
        self.hits += np.bincount(classes[hit], minlength=count)
        self.found += np.bincount(classes[counted], minlength=count)
        self.asked += np.bincount(truth.classes[~ignored], minlength=count)
        # Right classes first, so that a box of another class does not take their object.
        missed = set(np.flatnonzero(~ignored).tolist())
        for i in np.flatnonzero(hit):
            self.confusion[classes[i], classes[i]] += 1
            missed.discard(matched[i])
        for i in np.flatnonzero(counted & ~hit):
            left = [j for j in missed if overlap[i, j] >= self.iou]
            true = count
            if left:
                best = max(left, key=lambda j: float(overlap[i, j]))
                missed.discard(best)
                true = int(truth.classes[best])
            self.confusion[true, classes[i]] += 1
        for j in missed:
            self.confusion[truth.classes[j], count] += 1

    def precision(self) -> npt.NDArray[np.float64]:
        """Precision of each class; NaN without boxes."""
        return _share(self.hits, self.found)

    def recall(self) -> npt.NDArray[np.float64]:
        """Recall of each class; NaN without objects."""
        return _share(self.hits, self.asked)

    def total_precision(self) -> float:
        """Precision over all boxes; NaN without boxes."""
        return float(_share(self.hits.sum(keepdims=True), self.found.sum(keepdims=True))[0])

    def total_recall(self) -> float:
        """Recall over all objects; NaN without objects."""
        return float(_share(self.hits.sum(keepdims=True), self.asked.sum(keepdims=True))[0])


def box_iou(
    first: npt.NDArray[np.float32],
    second: npt.NDArray[np.float32],
    crowd: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.float64]:
    """IoU of all pairs of N×4 and M×4 boxes, x1 y1 x2 y2: N×M.

    For boxes of `second` that are a `crowd` (bool, M) it is the share of the first box that is
    inside, as in COCO.
    """
    a, b = first.astype(np.float64)[:, None], second.astype(np.float64)[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = sides.clip(0).prod(-1)
    area = (a[..., 2:] - a[..., :2]).prod(-1)
    whole = area + (b[..., 2:] - b[..., :2]).prod(-1) - shared
    if crowd is not None:
        whole = np.where(crowd, area, whole)
    overlap: npt.NDArray[np.float64] = np.zeros(shared.shape)
    np.divide(shared, whole, out=overlap, where=whole > 0)
    return overlap


def _assign(
    overlap: npt.NDArray[np.float64],
    ignored: npt.NDArray[np.bool_],
    crowd: npt.NDArray[np.bool_],
    least: float,
) -> list[int]:
    """For each box, strongest first, the object that it hits, -1 for none.

    An ignored object is only matched if no other is left; a crowd any number of times.
    """
    free = np.ones(len(ignored), np.bool_)
    matched = []
    for row in overlap:
        chosen = -1
        for candidates in (free & ~ignored, (free | crowd) & ignored):
            shares = np.where(candidates & (row >= least), row, 0.0)
            if shares.any():
                chosen = int(shares.argmax())
                break
        if chosen >= 0:
            free[chosen] = False
        matched.append(chosen)
    return matched


def _share(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    out: npt.NDArray[np.float64] = np.full(part.shape, np.nan)
    return np.divide(part, whole, out=out, where=whole > 0)
