"""Collects and checks the boxes of one picture while they are read."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from livevision.datasets.samples import BoxSample
from livevision.datasets.tables import ClassTable
from livevision.errors import DataError

_log = logging.getLogger(__name__)

_SLACK_PX, _SLACK_SHARE = 2.0, 0.01
"""How far a box may extend outside its picture, for rounding; the larger of the two. It is clipped
to the picture."""


class FlatBoxes:
    """Counts boxes without width or height, which are dropped; well-known data sets have a few."""

    def __init__(self) -> None:
        self.places: list[str] = []

    def tell(self, name: str) -> None:
        """Log how many there were."""
        if self.places:
            count = len(self.places)
            _log.warning(
                "%s: %d box%s of no width or height left out, the first: %s",
                *(name, count, "" if count == 1 else "es", self.places[0]),
            )


class BoxList:
    """Collects the boxes of one picture.

    Args:
        width: Width of the picture in pixels.
        height: Likewise.
        table: The classes; boxes of ignored ones are checked and dropped.
        flat: Counts boxes without an area.
    """

    def __init__(self, width: int, height: int, table: ClassTable, flat: FlatBoxes) -> None:
        self._size = width, height
        self._table = table
        self._flat = flat
        self._boxes: list[tuple[float, ...]] = []
        self._classes: list[int] = []
        self._difficult: list[bool] = []
        self._crowd: list[bool] = []
        self._scores: list[Mapping[int, float]] = []

    def add(
        self,
        corners: tuple[float, float, float, float],
        their_class: int,
        place: str,
        difficult: bool = False,
        crowd: bool = False,
        scores: Mapping[int, float] | None = None,
    ) -> None:
        """Add a box, x1 y1 x2 y2 in pixels; `place` is its location, for errors.

        `scores` are a teacher's for each class, in any unit: only their ratios count.

        Raises:
            DataError: It is not a box, or not inside the picture.
        """
        x1, y1, x2, y2 = corners
        width, height = self._size
        if not all(map(math.isfinite, corners)):
            raise DataError(f"{place}: the box {_shown(corners)} contains something not a number")
        if x2 < x1 or y2 < y1:
            raise DataError(
                f"{place}: the box is {x2 - x1:g} wide and {y2 - y1:g} high; "
                "neither may be negative"
            )
        slack_x, slack_y = (max(_SLACK_PX, _SLACK_SHARE * side) for side in (width, height))
        if min(x1 + slack_x, y1 + slack_y, width + slack_x - x2, height + slack_y - y2) < 0:
            raise DataError(
                f"{place}: the box {_shown(corners)} (x1 y1 x2 y2 in pixels) reaches outside its "
                f"picture of {width}x{height}"
            )
        x1, x2 = (min(max(x, 0.0), width) for x in (x1, x2))
        y1, y2 = (min(max(y, 0.0), height) for y in (y1, y2))
        if x1 == x2 or y1 == y2:
            self._flat.places.append(place)
            return
        ours = self._table.ours[their_class]
        if ours is None:
            return
        self._boxes.append((x1, y1, x2, y2))
        self._classes.append(ours)
        self._difficult.append(difficult)
        self._crowd.append(crowd)
        self._scores.append(scores or {their_class: 1.0})

    def sample(self, path: Path) -> BoxSample:
        """The sample of the picture `path`."""
        width, height = self._size
        return BoxSample(
            path,
            width,
            height,
            np.array(self._boxes, np.float32).reshape(-1, 4),
            np.array(self._classes, np.int64),
            np.array(self._difficult, np.bool_),
            np.array(self._crowd, np.bool_),
            self._shares(),
        )

    def _shares(self) -> npt.NDArray[np.float32] | None:
        """The class shares of each box; None if all classes are certain."""
        if all(len(scores) == 1 for scores in self._scores):
            return None
        shares = np.zeros((len(self._scores), len(self._table.labels)), np.float32)
        for row, scores, own in zip(shares, self._scores, self._classes, strict=True):
            for their_class, score in scores.items():
                ours = self._table.ours[their_class]
                if ours is not None:
                    row[ours] += score
            if not row.sum() > 0:
                row[own] = 1.0
        shares /= shares.sum(1, keepdims=True)
        return shares


def _shown(corners: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in corners)
