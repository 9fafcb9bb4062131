"""Scores of a net's output against the truth."""

from __future__ import annotations

import torch
from torch import Tensor


class ConfusionMatrix:
    """Counts of pixels by true class (row) and found class (column).

    Args:
        num_classes: pixels whose label is not below it are not counted.
    """

    def __init__(self, num_classes: int) -> None:
        self.counts = torch.zeros(num_classes, num_classes, dtype=torch.int64)

    def add(self, found: Tensor, labels: Tensor) -> None:
        """Count class maps of one shape and an integer dtype."""
        n = len(self.counts)
        counted = labels < n
        pairs = labels[counted].long() * n + found[counted].long()
        self.counts += torch.bincount(pairs, minlength=n * n).view(n, n)

    def iou(self) -> Tensor:
        """Intersection over union of each class, float64; NaN for one that never occurs."""
        hit = self.counts.diag().double()
        union = self.counts.sum(0) + self.counts.sum(1) - self.counts.diag()
        return hit / union.where(union > 0, torch.nan)

    def mean_iou(self) -> float:
        """Mean of `iou` over the classes that occur, in 0..1."""
        return float(self.iou().nanmean())

    def pixel_accuracy(self) -> float:
        """Share of counted pixels whose class was found."""
        return float(self.counts.diag().sum() / self.counts.sum())
