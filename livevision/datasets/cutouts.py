"""Cut-outs: objects without background, as PNGs with transparency, one folder per class.

    ROOT/CLASS/NAME.png, or a zip of it

`livevision cutouts` makes them from data sets with masks; others work too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from livevision.datasets.opening import open_dataset
from livevision.datasets.samples import ClassSample
from livevision.errors import DataError

_VISIBLE = 128
"""Opacity above which a pixel belongs to the object and to its box."""


@dataclass(frozen=True, eq=False)
class Cutout:
    """One object of a class.

    Attributes:
        sample: The PNG and its class.
    """

    sample: ClassSample

    @property
    def class_id(self) -> int:
        """Index into the model's labels."""
        return self.sample.class_id

    def read(self) -> npt.NDArray[np.uint8]:
        """The object, uint8 H×W×4, RGBA, cropped to its visible part.

        Raises:
            DataError: It cannot be decoded, or has no transparency.
        """
        stored = cv2.imdecode(np.frombuffer(self.sample.data(), np.uint8), cv2.IMREAD_UNCHANGED)
        if stored is None:
            raise DataError(f"{self._place()}: cannot be decoded as a picture")
        if stored.ndim != 3 or stored.shape[2] != 4 or stored.dtype != np.uint8:
            raise DataError(
                f"{self._place()}: is not a cut-out, which is an 8-bit PNG with transparency"
            )
        rows, columns = np.nonzero(stored[..., 3] >= _VISIBLE)
        if not len(rows):
            raise DataError(f"{self._place()}: it is fully transparent")
        cut = stored[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        return cv2.cvtColor(cut, cv2.COLOR_BGRA2RGBA).astype(np.uint8, copy=False)

    def _place(self) -> str:
        return f"{self.sample.path}{': ' if self.sample.member else ''}{self.sample.member}"


def open_cutouts(entry: Any, root: Path, labels: Sequence[str]) -> list[Cutout]:
    """The cut-outs of a data entry, in the classes of a model; none is decoded yet.

    Raises:
        UsageError: The entry is invalid, or its classes do not match.
        DataError: There are none, or a file is empty.
    """
    opened = open_dataset(entry, root, "classify", labels)
    return [Cutout(sample) for sample in cast(Sequence[ClassSample], opened.samples)]
