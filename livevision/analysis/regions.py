"""Regions of the picture itself: those that are ignored, and what covers a zone."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from livevision.config.scene.values import Points, in_pixels
from livevision.frame import Inferred
from livevision.protocols import SourceInfo
from livevision.results import ClassMap, Label

if TYPE_CHECKING:
    import supervision as sv

_SHARE = 0.5  # of a box, from which it lies in a region that is ignored
_PIXELS = 40_000  # of a zone that are looked at; of larger ones every second, third, …


class Ignoring:
    """The stage that leaves out boxes which lie by more than half in regions that are ignored.

    It stands before tracking.

    Args:
        regions: Corners of the regions, as fractions or in pixels.
    """

    def __init__(self, regions: Sequence[Points]) -> None:
        self._regions = regions
        self._sums: dict[int, NDArray[np.int32]] = {}

    def opened(self, source: int, info: SourceInfo) -> None:
        """The frames of a source will come."""

    def ended(self, source: int) -> None:
        """A source has given its last frame."""
        self._sums.pop(source, None)

    def __call__(self, inferred: Inferred) -> Inferred:
        """The same frame, with what is left of each ``sv.Detections``."""
        height, width = inferred.frame.image.shape[:2]
        sums = self._sums.get(inferred.frame.source)
        if sums is None or sums.shape != (height + 1, width + 1):
            # Sums over the picture, so that a box takes four look-ups whatever its size.
            mask = filled(self._regions, (width, height))
            sums = self._sums[inferred.frame.source] = np.asarray(cv2.integral(mask), np.int32)
        results: dict[str, Any] = dict(inferred.results)
        ignored = []
        for name, result in inferred.results.items():
            if not isinstance(result, ClassMap | Label) and len(result):
                outside = _outside(result, sums)
                if not outside.all():
                    results[name] = copy.copy(result)[outside]
                    ignored.append(cast("sv.Detections", copy.copy(result)[~outside]))
        return replace(inferred, results=results, ignored=tuple(ignored))


def _outside(found: sv.Detections, sums: NDArray[np.int32]) -> NDArray[np.bool_]:
    """The boxes that do not lie in the region by more than half."""
    height, width = sums.shape[0] - 1, sums.shape[1] - 1
    boxes = np.rint(np.asarray(found.xyxy)).astype(int)
    x1, x2 = boxes[:, [0, 2]].clip(0, width).T
    y1, y2 = boxes[:, [1, 3]].clip(0, height).T
    covered = sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]
    area = (x2 - x1) * (y2 - y1)
    return np.asarray(covered <= _SHARE * area, np.bool_)


class Coverage:
    """Which share of a zone's pixels each class of a class map covers.

    Args:
        corners: Of the zone, as fractions or in pixels.
        size: (width, height) of the frames in pixels.
    """

    def __init__(self, corners: Points, size: tuple[int, int]) -> None:
        mask = filled([corners], size)
        step = max(1, round((int(mask.sum()) / _PIXELS) ** 0.5))
        self._step = slice(None, None, step)
        # Those of a thin zone may lie between the rows looked at.
        if not mask[self._step, self._step].any():
            self._step = slice(None)
        self._pixels = np.flatnonzero(mask[self._step, self._step])

    def shares(self, result: ClassMap) -> dict[str, float]:
        """Share by class, 0..1, of those that are there."""
        seen = result.class_map[self._step, self._step].reshape(-1)[self._pixels]
        counts = np.bincount(seen, minlength=len(result.labels))
        total = max(1, len(self._pixels))
        return {result.labels[int(i)]: float(counts[i] / total) for i in np.flatnonzero(counts)}


def filled(shapes: Sequence[Points], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture of (width, height) that is 1 within the shapes: uint8, H×W."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    # Fractions end with the picture's last pixel, not behind it.
    last = np.array(size) - 1
    for shape in shapes:
        corners = np.rint(np.array(in_pixels(shape, size))).astype(np.int32)
        cv2.fillPoly(mask, [np.minimum(corners, last)], [1])
    return mask
