"""Regions of pixels: ignored ones, and the classes that cover a zone."""

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

_SHARE = 0.5  # share of a box's area in ignored regions from which it is dropped
_PIXELS = 40_000  # pixels of a zone that are counted; larger zones are subsampled


class Ignoring:
    """The stage that drops boxes with more than half their area in ignored regions.

    It comes before tracking.

    Args:
        regions: Corners of the regions, as fractions or in pixels.
    """

    def __init__(self, regions: Sequence[Points]) -> None:
        self._regions = regions
        self._sums: dict[int, NDArray[np.int32]] = {}

    def opened(self, source: int, info: SourceInfo) -> None:
        """Nothing to prepare for a source."""

    def ended(self, source: int) -> None:
        """Forget a source."""
        self._sums.pop(source, None)

    def __call__(self, inferred: Inferred) -> Inferred:
        """The same frame, without the boxes in ignored regions."""
        height, width = inferred.frame.image.shape[:2]
        sums = self._sums.get(inferred.frame.source)
        if sums is None or sums.shape != (height + 1, width + 1):
            # With an integral image a box takes four look-ups, at any size.
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
    """A mask of the boxes with at most half their area in the regions."""
    height, width = sums.shape[0] - 1, sums.shape[1] - 1
    boxes = np.rint(np.asarray(found.xyxy)).astype(int)
    x1, x2 = boxes[:, [0, 2]].clip(0, width).T
    y1, y2 = boxes[:, [1, 3]].clip(0, height).T
    covered = sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]
    area = (x2 - x1) * (y2 - y1)
    return np.asarray(covered <= _SHARE * area, np.bool_)


class Coverage:
    """Measures the share of a zone's pixels that each class of a class map covers.

    Args:
        corners: Corners of the zone, as fractions or in pixels.
        size: (width, height) of the frames in pixels.
    """

    def __init__(self, corners: Points, size: tuple[int, int]) -> None:
        mask = filled([corners], size)
        step = max(1, round((int(mask.sum()) / _PIXELS) ** 0.5))
        self._step = slice(None, None, step)
        # A thin zone may lie between the sampled rows.
        if not mask[self._step, self._step].any():
            self._step = slice(None)
        self._pixels = np.flatnonzero(mask[self._step, self._step])

    def shares(self, result: ClassMap) -> dict[str, float]:
        """Share by class, 0..1, of the classes that occur."""
        seen = result.class_map[self._step, self._step].reshape(-1)[self._pixels]
        counts = np.bincount(seen, minlength=len(result.labels))
        total = max(1, len(self._pixels))
        return {result.labels[int(i)]: float(counts[i] / total) for i in np.flatnonzero(counts)}


def filled(shapes: Sequence[Points], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A mask that is 1 inside the shapes: uint8, H×W; ``size`` is (width, height)."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    # The fraction 1 is the picture's last pixel.
    last = np.array(size) - 1
    for shape in shapes:
        corners = np.rint(np.array(in_pixels(shape, size))).astype(np.int32)
        cv2.fillPoly(mask, [np.minimum(corners, last)], [1])
    return mask
