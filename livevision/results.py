"""Results of the tasks, in pixel coordinates of the frame.

Detection gives supervision's ``sv.Detections`` with ``xyxy`` (float32, N×4, pixels),
``confidence`` (float32, N, 0..1), ``class_id`` (int, N) and ``data["class_name"]`` (str, N), so
all of supervision works on it. supervision has no types for class maps and labels; they are
defined here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import supervision as sv


@dataclass(frozen=True, slots=True)
class ClassMap:
    """The class of every pixel of a frame.

    Attributes:
        class_map: uint8, H×W, at the frame's size; each value indexes ``labels``.
        labels: Class names.
    """

    class_map: NDArray[np.uint8]
    labels: Sequence[str]

    def shares(self) -> dict[str, float]:
        """Share of the frame's pixels of each class that occurs, 0..1."""
        counts = np.bincount(self.class_map.reshape(-1), minlength=len(self.labels))
        total = max(1, self.class_map.size)
        return {self.labels[int(i)]: float(counts[i] / total) for i in np.flatnonzero(counts)}


@dataclass(frozen=True, slots=True)
class Label:
    """The classes of a whole frame, most likely first.

    Attributes:
        class_id: int64, K.
        confidence: float32, K, 0..1, in descending order.
        labels: All class names, indexed by ``class_id``.
    """

    class_id: NDArray[np.int64]
    confidence: NDArray[np.float32]
    labels: Sequence[str]


Result: TypeAlias = Union["sv.Detections", ClassMap, Label]
