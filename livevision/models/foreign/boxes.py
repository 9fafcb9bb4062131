"""Selection of boxes, shared by all decoders: best classes, top scores and NMS."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FLOOR = 0.001
"""Minimum score of a box: NMS of all cells would take longer than the net."""

MOST = 1000
"""Maximum number of candidates for NMS, the highest scores."""

Boxes = dict[str, Any]


def corners(boxes: NDArray[Any]) -> NDArray[np.float32]:
    """Centre and size, N×4, as x1 y1 x2 y2."""
    half = boxes[:, 2:] / 2
    return np.concatenate((boxes[:, :2] - half, boxes[:, :2] + half), 1).astype(np.float32)


def best_classes(
    scores: NDArray[Any], conf: float
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The best class of each row of N×C scores, if it reaches ``conf``; highest scores first.

    Returns:
        Rows, scores and classes.
    """
    highest = scores.max(1) if scores.size else np.zeros(0, np.float32)
    rows = np.flatnonzero(highest >= max(conf, FLOOR))
    rows = rows[np.argsort(-highest[rows], kind="stable")][:MOST]
    return rows, highest[rows], scores[rows].argmax(1)


def top_scores(scores: NDArray[Any], conf: float, most: int) -> tuple[NDArray[Any], ...]:
    """The ``most`` highest of all N×C scores from ``conf`` on; a row may have several classes.

    Returns:
        Rows, scores and classes.
    """
    flat = scores.ravel()
    places = np.flatnonzero(flat >= max(conf, FLOOR))
    places = places[np.argsort(-flat[places], kind="stable")][:most]
    return places // scores.shape[1], flat[places], places % scores.shape[1]


def packed(boxes: NDArray[Any], scores: NDArray[Any], classes: NDArray[Any]) -> Boxes:
    """Boxes, scores and classes in the layout of livevision's own graphs."""
    return {
        "boxes": np.asarray(boxes, np.float32).reshape(1, -1, 4),
        "scores": np.asarray(scores, np.float32).reshape(1, -1),
        "classes": np.asarray(classes, np.int32).reshape(1, -1),
    }


def nms(boxes: NDArray[Any], scores: NDArray[Any], classes: NDArray[Any], iou: float) -> Boxes:
    """NMS by class: of two boxes that overlap by more than ``iou`` the higher score stays.

    Args:
        boxes: N×4, x1 y1 x2 y2.
        scores, classes: N.
    """
    if not len(boxes):
        return packed(boxes, scores, classes)
    # Boxes are shifted by class, so that one pass serves all classes.
    shifted = boxes.astype(np.float64) - boxes.min()
    shifted = shifted + (classes * (shifted.max() + 1))[:, None]
    sized = np.concatenate((shifted[:, :2], (shifted[:, 2:] - shifted[:, :2]).clip(0)), 1)
    kept = cv2.dnn.NMSBoxes(sized.tolist(), scores.astype(float).tolist(), 0.0, iou)
    rows = np.asarray(kept, np.int64).ravel()
    return packed(boxes[rows], scores[rows], classes[rows])
