"""The confusion matrix of a segmenter or classifier, and the scores derived from it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


class ConfusionMatrix:
    """Counts of pixels, or of whole pictures, by true class (row) and predicted class (column).

    One matrix over a whole data set gives the IoU of the papers; a mean over pictures would not.

    Args:
        num_classes: labels of this number and above are not counted.
    """

    def __init__(self, num_classes: int) -> None:
        self.counts: npt.NDArray[np.int64] = np.zeros((num_classes, num_classes), np.int64)

    def add(self, found: npt.ArrayLike, labels: npt.ArrayLike) -> None:
        """Count class maps of one shape and an integer dtype: arrays, or tensors on the CPU.

        Raises:
            ValueError: the shapes differ, or a predicted class is outside the matrix.
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
        """Intersection over union of each class; NaN for one neither present nor predicted."""
        hit = self.counts.diagonal()
        union = self.counts.sum(0) + self.counts.sum(1) - hit
        return _ratio(hit, union)

    def mean_iou(self) -> float:
        """Mean of `iou` over the classes that occur, 0..1; NaN if none does."""
        return mean_of_known(self.iou())

    def recall(self) -> npt.NDArray[np.float64]:
        """Recall of each class; NaN for a class that does not occur."""
        return _ratio(self.counts.diagonal(), self.counts.sum(1))

    def pixel_accuracy(self) -> float:
        """Share of counted pixels with the right class; NaN if nothing was counted."""
        total = self.counts.sum()
        return float(self.counts.trace() / total) if total else float("nan")


def mean_of_known(values: npt.NDArray[np.float64]) -> float:
    """Mean of the values that are not NaN; NaN if there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _ratio(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    ratio: npt.NDArray[np.float64] = np.full(len(part), np.nan)
    return np.divide(part, whole, out=ratio, where=whole > 0)
