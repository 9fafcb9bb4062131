"""True and found boxes for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from livevision.datasets import BoxSample
from livevision.scoring.average_precision import Found

Box = Sequence[float]


def truth(
    boxes: Sequence[Box],
    classes: Sequence[int],
    difficult: Sequence[bool] | None = None,
    crowd: Sequence[bool] | None = None,
) -> BoxSample:
    """The objects of one picture of 100x100."""
    none = [False] * len(boxes)
    return BoxSample(
        Path("a.jpg"),
        100,
        100,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(classes, np.int64),
        np.array(difficult or none, np.bool_),
        np.array(crowd or none, np.bool_),
    )


def found(boxes: Sequence[Box], scores: Sequence[float], classes: Sequence[int]) -> Found:
    """What a detector found in it."""
    return Found(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(classes, np.int64),
    )
