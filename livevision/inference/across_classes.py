"""Suppresses boxes of different classes on the same object.

NMS inside the graph works class by class, so a car that could be a truck keeps a box of each. The
weaker box of such a pair is dropped here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAME_OBJECT = 0.7
"""IoU above which boxes of different classes are one object.

High enough for a rider and a horse, or a person behind a table, to stay two.
"""


def one_class_each(boxes: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of the boxes to keep, ascending.

    Greedy, strongest first: a box is dropped if a kept box of another class overlaps it by more
    than ``SAME_OBJECT``. Boxes of one class never suppress each other here.

    Args:
        boxes: N×4, x1 y1 x2 y2, strongest first, each with an area.
        classes: N.
    """
    kept = np.ones(len(boxes), np.bool_)
    if len(boxes) > 1 and (classes != classes[0]).any():
        x1, y1, x2, y2 = boxes.T.astype(np.float64)
        areas = (x2 - x1) * (y2 - y1)
        width = np.minimum(x2[:, None], x2) - np.maximum(x1[:, None], x1)
        height = np.minimum(y2[:, None], y2) - np.maximum(y1[:, None], y1)
        shared = width.clip(0) * height.clip(0)
        same = shared > SAME_OBJECT * (areas[:, None] + areas - shared)
        same &= classes[:, None] != classes
        for row in np.flatnonzero(np.triu(same, 1).any(1)):
            if kept[row]:
                kept[row + 1 :] &= ~same[row, row + 1 :]
    return np.flatnonzero(kept)
