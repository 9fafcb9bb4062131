"""The confusion matrix of a segmenter or classifier, and the scores that come of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


class ConfusionMatrix:
    """Counts of pixels, or of whole pictures, by true class (row) and found class (column).

    One matrix over a whole data set gives the IoU that papers print; a mean of each picture's own
    would not.

    Args:
        num_classes: what is labelled with a number that is not below it is not counted.
    """

    def __init__(self, num_classes: int) -> None:
        self.counts: npt.NDArray[np.int64] = np.zeros((num_classes, num_classes), np.int64)

    def add(self, found: npt.ArrayLike, labels: npt.ArrayLike) -> None:
        """Count class maps of one shape and an integer dtype: arrays, or tensors on the CPU.

        Raises:
            ValueError: the shapes differ, or a found class is not one of the matrix's.
        """
        n = len(self.counts)
        guess, truth = np.asarray(found), np.asarray(labels)
        if guess.shape != truth.shape:
            raise ValueError(f"found {guess.shape} and labels {truth.shape} differ in shape")
        counted = (truth >= 0) & (truth < n)
        guess, truth = guess[counted].astype(np.int64), truth[counted].astype(np.int64)
        if guess.size and not 0 <= guess.min() <= guess.max() < n:
            raise ValueError(f"found classes {guess.min()}..{guess.max()}; there are {n}")
        self.counts += np.bincount(truth * n + guess, minlength=n * n).reshape(n, n)

    def iou(self) -> npt.NDArray[np.float64]:
        """Intersection over union of each class; NaN for one that is neither there nor found."""
        hit = self.counts.diagonal()
        union = self.counts.sum(0) + self.counts.sum(1) - hit
        return _ratio(hit, union)

    def mean_iou(self) -> float:
        """Mean of `iou` over the classes that occur, 0..1; NaN where none does."""
        return mean_of_known(self.iou())

    def recall(self) -> npt.NDArray[np.float64]:
        """Share of each class's pixels that were found; NaN for a class that does not occur."""
        return _ratio(self.counts.diagonal(), self.counts.sum(1))

    def pixel_accuracy(self) -> float:
        """Share of what was counted whose class was found; NaN where nothing was counted."""
        total = self.counts.sum()
        return float(self.counts.trace() / total) if total else float("nan")


def mean_of_known(values: npt.NDArray[np.float64]) -> float:
    """Mean of the values that are not NaN; NaN where there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _ratio(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    ratio: npt.NDArray[np.float64] = np.full(len(part), np.nan)
    return np.divide(part, whole, out=ratio, where=whole > 0)
