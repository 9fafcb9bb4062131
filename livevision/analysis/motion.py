"""The motion of a box between two frames: the Kalman filter of ``trackers``, computed by corner.

SORT and ByteTrack of the package filter the four coordinates of a box with the same noise and no
coupling between them, so that their 8×8 covariance is one 2×2 matrix four times. Computed as such,
in plain numbers, the estimate is the same and takes a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from trackers.utils.motion_models import (
    _NOMINAL_FRAME_STEP_TOLERANCE,
    _NOMINAL_FRAME_STEP_TOLERANCE_SECONDS,
)


class CornerMotion:
    """Constant velocity of x1, y1, x2, y2: a state estimator for SORT's and ByteTrack's tracklets.

    Args:
        bbox: x1 y1 x2 y2 in pixels, where the box was seen first.
    """

    def __init__(self, bbox: Sequence[float]) -> None:
        self._place = [float(value) for value in bbox]
        self._speed = [0.0, 0.0, 0.0, 0.0]  # pixels a frame
        # What tracklets read to set the noise; only its diagonal is looked at.
        self.kf = SimpleNamespace(
            measurement_noise=np.eye(4), process_noise=np.eye(8), state_covariance=np.eye(8)
        )
        self.set_kf_covariances(np.eye(4), np.eye(8), np.eye(8))

    def set_kf_covariances(
        self,
        measurement_noise: Any = None,
        process_noise: Any = None,
        state_covariance: Any = None,
    ) -> None:
        """Set the noise: diagonal matrices that treat the four coordinates alike."""
        if measurement_noise is not None:
            self._measured = float(measurement_noise[0, 0])
        if process_noise is not None:
            self._drift = float(process_noise[0, 0])
            self._jolt = float(process_noise[4, 4])
        if state_covariance is not None:
            # Variance of the place, of place with speed, and of the speed.
            self._pp = float(state_covariance[0, 0])
            self._ps = float(state_covariance[0, 4])
            self._ss = float(state_covariance[4, 4])

    def predict(self, frame_step: float = 1.0, frame_rate: float | None = None) -> None:
        """Move on by a time in frames; a gap of several makes the place less sure."""
        near = _NOMINAL_FRAME_STEP_TOLERANCE
        if frame_rate:
            near = _NOMINAL_FRAME_STEP_TOLERANCE_SECONDS * frame_rate
        step = frame_step
        if abs(step - 1.0) <= near:
            noise = self._drift, 0.0, self._jolt
        else:
            square = step * step
            noise = (
                self._jolt * square * square / 4,
                self._jolt * square * step / 2,
                self._jolt * square,
            )
        self._pp += step * (2 * self._ps + step * self._ss) + noise[0]
        self._ps += step * self._ss + noise[1]
        self._ss += noise[2]
        self._place = [p + step * s for p, s in zip(self._place, self._speed, strict=True)]

    def update(self, bbox: Any) -> None:
        """Take in where the box is seen: x1 y1 x2 y2; None for nowhere."""
        if bbox is None:
            return
        pp, ps, noise = self._pp, self._ps, self._measured
        by_place, by_speed = pp / (pp + noise), ps / (pp + noise)
        seen = bbox.tolist() if isinstance(bbox, np.ndarray) else bbox
        off = [float(z) - p for z, p in zip(seen, self._place, strict=True)]
        self._place = [p + by_place * o for p, o in zip(self._place, off, strict=True)]
        self._speed = [s + by_speed * o for s, o in zip(self._speed, off, strict=True)]
        rest = 1 - by_place
        self._pp = rest * rest * pp + by_place * by_place * noise
        self._ps = rest * (ps - by_speed * pp) + by_place * by_speed * noise
        self._ss += by_speed * (by_speed * (pp + noise) - 2 * ps)

    def state_to_bbox(self) -> list[float]:
        """Where the box is thought to be: x1 y1 x2 y2."""
        return self._place
