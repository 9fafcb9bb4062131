"""Scores of an evaluation in training, and the data of its plots."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Scores:
    """Scores on the validation split, shares of 1.

    Attributes:
        main: name of the figure that decides the best weights.
        figures: by name.
        classes: values of the figure by class, in the labels' order; NaN if a class does not occur.
        by: name of that figure.
        data: what was scored, for the card.
        confusion: counts by true class (row) and predicted class (column); for detectors with a
            last row of false positives and a last column of misses.
        precision: for detectors, classes x 101: at recalls 0, 0.01 .. 1.
    """

    main: str
    figures: dict[str, float]
    by: str
    classes: npt.NDArray[np.float64]
    data: str
    confusion: npt.NDArray[np.int64] | None = None
    precision: npt.NDArray[np.float64] | None = field(default=None, repr=False)

    @property
    def value(self) -> float:
        """The main figure; below every score if nothing could be scored."""
        value = self.figures[self.main]
        return -1.0 if np.isnan(value) else value

    def row(self, labels: list[str]) -> dict[str, float]:
        """All figures by name, for the log; without unknown ones."""
        by_class = {f"{self.by}/{n}": float(v) for n, v in zip(labels, self.classes, strict=False)}
        return {k: v for k, v in (self.figures | by_class).items() if not np.isnan(v)}

    def for_card(self) -> dict[str, Any]:
        """The card's field."""
        shown = {k: round(v, 4) for k, v in self.figures.items() if not np.isnan(v)}
        return {"text": f"{self.main} {100 * self.value:.1f} on {self.data}", **shown}
