"""Fuses the results of several passes over a picture: weighted boxes fusion, and pixel votes.

Weighted boxes fusion is that of Solovyev, Wang and Gabruseva (arXiv 1910.13302): overlapping boxes
of a class are replaced by their mean, weighted by score, where NMS would keep one of them and drop
the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from livevision.datasets.samples import IGNORED
from livevision.inference.across_classes import one_class_each


class Boxes(NamedTuple):
    """Boxes in one picture, strongest first.

    Attributes:
        xyxy: float32, N×4, x1 y1 x2 y2 in the picture's pixels.
        scores: float32, N, 0..1.
        classes: int64, N.
    """

    xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> Boxes:
        """Some of them, in the given order."""
        return Boxes(self.xyxy[rows], self.scores[rows], self.classes[rows])

    def mirrored(self, width: int) -> Boxes:
        """The same boxes in the mirrored picture, `width` pixels wide."""
        x1, y1, x2, y2 = self.xyxy.T
        return self._replace(xyxy=np.stack((width - x2, y1, width - x1, y2), 1))


def fuse_boxes(passes: Sequence[Boxes], iou: float = 0.55) -> Boxes:
    """Weighted boxes fusion of the boxes of several passes.

    Boxes are taken strongest first. A box joins the cluster of its class whose fused box it
    overlaps most, if by more than `iou`, or starts a cluster. A cluster of T boxes of N passes has
    the mean of their scores times min(T, N) / N: boxes of a single pass lose.

    Args:
        passes: The boxes of each pass; empty ones count too.
        iou: IoU above which two boxes are one object, 0..1.
    """
    if not passes:
        raise ValueError("there is no pass to fuse")
    every = Boxes(*(np.concatenate(parts) for parts in zip(*passes, strict=True)))
    every = every.take(np.argsort(-every.scores, kind="stable"))
    fused = [_of_class(every, int(c), len(passes), iou) for c in np.unique(every.classes)]
    if not fused:
        return every
    together = Boxes(*(np.concatenate(parts) for parts in zip(*fused, strict=True)))
    return together.take(np.argsort(-together.scores, kind="stable"))


def _of_class(every: Boxes, number: int, passes: int, iou: float) -> Boxes:
    """The fused boxes of one class."""
    rows = np.flatnonzero(every.classes == number)
    sums = np.zeros((len(rows), 4))  # for each cluster: its boxes times their scores
    weights, counts = np.zeros(len(rows)), np.zeros(len(rows), np.int64)
    means = np.zeros((len(rows), 4))
    clusters = 0
    for box, score in zip(every.xyxy[rows].astype(np.float64), every.scores[rows], strict=True):
        into = clusters
        if clusters:
            overlaps = overlap(box[None], means[:clusters])[0]
            best = int(overlaps.argmax())
            into = best if overlaps[best] > iou else clusters
        clusters = max(clusters, into + 1)
        # A score of zero has almost no weight, and must not divide by zero.
        weight = max(float(score), 1e-9)
        sums[into] += box * weight
        weights[into] += weight
        counts[into] += 1
        means[into] = sums[into] / weights[into]
    counts, weights = counts[:clusters], weights[:clusters]
    scores = weights / counts * np.minimum(counts, passes) / passes
    return Boxes(
        means[:clusters].astype(np.float32),
        scores.astype(np.float32),
        np.full(clusters, number, np.int64),
    )


def one_thing_each(boxes: Boxes, count: int) -> tuple[Boxes, NDArray[np.float32]]:
    """The strongest of boxes of different classes on one object, with the scores of all.

    Args:
        boxes: Strongest first.
        count: Number of classes.

    Returns:
        The boxes that stay, and float32 N×count: the score of each for each class.
    """
    solid = np.flatnonzero((boxes.xyxy[:, 2:] > boxes.xyxy[:, :2]).all(1))
    boxes = boxes.take(solid)
    rows = one_class_each(boxes.xyxy, boxes.classes)
    kept = boxes.take(rows)
    scores = np.zeros((len(rows), count), np.float32)
    gone = np.setdiff1d(np.arange(len(boxes.scores)), rows)
    if len(gone):
        owners = overlap(boxes.xyxy[gone], kept.xyxy).argmax(1)
        np.maximum.at(scores, (owners, boxes.classes[gone]), boxes.scores[gone])
    scores[np.arange(len(rows)), kept.classes] = kept.scores
    return kept, scores


def fuse_maps(maps: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The class that more than half of the passes gave each pixel; otherwise `IGNORED`.

    Args:
        maps: Class maps of one picture, uint8 H×W.
    """
    fused = np.full_like(maps[0], IGNORED)
    for number, mine in enumerate(maps[: len(maps) // 2 + 1]):
        agreeing = sum((other == mine).astype(np.uint8) for other in maps[number:])
        won = agreeing > len(maps) / 2
        fused[won] = mine[won]
    return fused


def overlap(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union of each of N×4 boxes with each of M×4, N×M."""
    left, right = a[:, None].astype(np.float64), b[None].astype(np.float64)
    sides = np.minimum(left[..., 2:], right[..., 2:]) - np.maximum(left[..., :2], right[..., :2])
    shared = sides.clip(0).prod(2)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(2) for boxes in (left, right)]
    united: NDArray[np.float64] = shared / np.maximum(areas[0] + areas[1] - shared, 1e-9)
    return united
