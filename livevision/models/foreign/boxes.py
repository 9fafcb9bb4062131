"""Boxes as all decoders give them: candidates chosen, and of those that overlap the strongest."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FLOOR = 0.001
"""Scores below it are never boxes: suppression of all cells would take longer than the net."""

MOST = 1000
"""At most so many candidates go into suppression, the strongest."""

Boxes = dict[str, Any]


def corners(boxes: NDArray[Any]) -> NDArray[np.float32]:
    """Centre and size, N×4, as x1 y1 x2 y2."""
    half = boxes[:, 2:] / 2
    return np.concatenate((boxes[:, :2] - half, boxes[:, :2] + half), 1).astype(np.float32)


def best(scores: NDArray[Any], conf: float) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Of each row of N×C scores the best class, where it reaches ``conf``, strongest first.

    Returns:
        Rows, scores and classes.
    """
    highest = scores.max(1) if scores.size else np.zeros(0, np.float32)
    rows = np.flatnonzero(highest >= max(conf, FLOOR))
    rows = rows[np.argsort(-highest[rows], kind="stable")][:MOST]
    return rows, highest[rows], scores[rows].argmax(1)


def several(scores: NDArray[Any], conf: float, most: int) -> tuple[NDArray[Any], ...]:
    """The ``most`` highest of all N×C scores from ``conf`` on: a row may come with several classes.

    Returns:
        Rows, scores and classes.
    """
    flat = scores.ravel()
    places = np.flatnonzero(flat >= max(conf, FLOOR))
    places = places[np.argsort(-flat[places], kind="stable")][:most]
    return places // scores.shape[1], flat[places], places % scores.shape[1]


def packed(boxes: NDArray[Any], scores: NDArray[Any], classes: NDArray[Any]) -> Boxes:
    """Boxes, scores and classes laid out as livevision's own graphs give them."""
    return {
        "boxes": np.asarray(boxes, np.float32).reshape(1, -1, 4),
        "scores": np.asarray(scores, np.float32).reshape(1, -1),
        "classes": np.asarray(classes, np.int32).reshape(1, -1),
    }


def suppressed(
    boxes: NDArray[Any], scores: NDArray[Any], classes: NDArray[Any], iou: float
) -> Boxes:
    """The boxes that stay: of two of a class that overlap by more than ``iou`` the stronger.

    Args:
        boxes: N×4, x1 y1 x2 y2.
        scores, classes: N.
    """
    if not len(boxes):
        return packed(boxes, scores, classes)
    # Classes lie apart from each other, so that one pass serves them all.
    apart = boxes.astype(np.float64) - boxes.min()
    apart = apart + (classes * (apart.max() + 1))[:, None]
    sized = np.concatenate((apart[:, :2], (apart[:, 2:] - apart[:, :2]).clip(0)), 1)
    kept = cv2.dnn.NMSBoxes(sized.tolist(), scores.astype(float).tolist(), 0.0, iou)
    rows = np.asarray(kept, np.int64).ravel()
    return packed(boxes[rows], scores[rows], classes[rows])
