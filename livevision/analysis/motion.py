"""The motion of a box between frames: the Kalman filter of ``trackers``, computed per coordinate.

The package's SORT and ByteTrack filter the four coordinates of a box with the same noise and
without coupling, so their 8×8 covariance is four times the same 2×2 matrix. With plain numbers
the same estimate takes a tenth of the time.
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
    """Constant-velocity model of x1, y1, x2, y2: a state estimator for SORT and ByteTrack.

    Args:
        bbox: The first box, x1 y1 x2 y2 in pixels.
    """

    def __init__(self, bbox: Sequence[float]) -> None:
        self._position = [float(value) for value in bbox]
        self._velocity = [0.0, 0.0, 0.0, 0.0]  # pixels a frame
        # Tracklets read these to set the noise; only the diagonals count.
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
        """Set the noise: diagonal matrices with equal values for the four coordinates."""
        if measurement_noise is not None:
            self._measurement_noise = float(measurement_noise[0, 0])
        if process_noise is not None:
            self._position_noise = float(process_noise[0, 0])
            self._velocity_noise = float(process_noise[4, 4])
        if state_covariance is not None:
            # Variance of the position, covariance with the velocity, and variance of the velocity.
            self._pp = float(state_covariance[0, 0])
            self._pv = float(state_covariance[0, 4])
            self._vv = float(state_covariance[4, 4])

    def predict(self, frame_step: float = 1.0, frame_rate: float | None = None) -> None:
        """Predict the box after a time in frames; a longer gap makes it less certain."""
        tolerance = _NOMINAL_FRAME_STEP_TOLERANCE
        if frame_rate:
            tolerance = _NOMINAL_FRAME_STEP_TOLERANCE_SECONDS * frame_rate
        step = frame_step
        if abs(step - 1.0) <= tolerance:
            noise = self._position_noise, 0.0, self._velocity_noise
        else:
            square = step * step
            noise = (
                self._velocity_noise * square * square / 4,
                self._velocity_noise * square * step / 2,
                self._velocity_noise * square,
            )
        self._pp += step * (2 * self._pv + step * self._vv) + noise[0]
        self._pv += step * self._vv + noise[1]
        self._vv += noise[2]
        self._position = [p + step * s for p, s in zip(self._position, self._velocity, strict=True)]

    def update(self, bbox: Any) -> None:
        """Update by a measured box, x1 y1 x2 y2; None for no measurement."""
        if bbox is None:
            return
        pp, pv, noise = self._pp, self._pv, self._measurement_noise
        position_gain, velocity_gain = pp / (pp + noise), pv / (pp + noise)
        seen = bbox.tolist() if isinstance(bbox, np.ndarray) else bbox
        off = [float(z) - p for z, p in zip(seen, self._position, strict=True)]
        self._position = [p + position_gain * o for p, o in zip(self._position, off, strict=True)]
        self._velocity = [s + velocity_gain * o for s, o in zip(self._velocity, off, strict=True)]
        rest = 1 - position_gain
        self._pp = rest * rest * pp + position_gain * position_gain * noise
        self._pv = rest * (pv - velocity_gain * pp) + position_gain * velocity_gain * noise
        self._vv += velocity_gain * (velocity_gain * (pp + noise) - 2 * pv)

    def state_to_bbox(self) -> list[float]:
        """The estimated box: x1 y1 x2 y2."""
        return self._position
