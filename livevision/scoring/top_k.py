"""Top-k accuracy of a classifier."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


class TopK:
    """Counts pictures whose class is the first guess, or among the first `k`.

    Args:
        k: number of guesses that count.
    """

    def __init__(self, k: int = 5) -> None:
        self.k = k
        self.pictures = self.first = self.among = 0

    def add(self, guesses: npt.ArrayLike, true_class: int) -> None:
        """Count one picture; `guesses` are class numbers, likeliest first."""
        order = np.asarray(guesses)[: self.k]
        self.pictures += 1
        self.first += int(order.size > 0 and order[0] == true_class)
        self.among += int((order == true_class).any())

    def top1(self) -> float:
        """Share of pictures whose first guess is right, 0..1; NaN without pictures."""
        return self.first / self.pictures if self.pictures else float("nan")

    def top_k(self) -> float:
        """Share of pictures with a right guess among the first `k`; NaN without pictures."""
        return self.among / self.pictures if self.pictures else float("nan")
