"""Tone mapping of high dynamic range (PQ, HLG) to BT.709, by tables and one matrix.

FFmpeg's tonemap filter needs linear light from zscale, which PyAV's builds lack. swscale's own
mapping is slow to start and several times slower per picture.

Diffuse white is at 203 cd/m² (ITU-R BT.2408). Light below half of it is unchanged; brighter light
is rolled off, up to 1000 cd/m², which map to the brightest value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from livevision.capture.colours import PQ
from livevision.frame import Image

_WHITE, _PEAK = 203.0, 1000.0
_KNEE = 0.5
_GAMMA = 2.4  # of BT.1886, the display gamma of BT.709

# Linear RGB of other primaries to BT.709's; all have white point D65.
_TO_BT709 = {
    9: ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    12: ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979)),
}


class ToneMap:
    """Converts BGR in PQ or HLG to standard range. Not thread-safe.

    Args:
        transfer: PQ or HLG.
        primaries: Code point of ITU-T H.273.
    """

    def __init__(self, transfer: int, primaries: int) -> None:
        signal = np.arange(256) / 255
        light = _pq(signal) if transfer == PQ else _hlg(signal)
        self._linear = np.minimum(light / _PEAK, 1).astype(np.float32)
        matrix = _TO_BT709.get(primaries)
        self._matrix = None if matrix is None else np.array(matrix)[::-1, ::-1].copy()
        # The intermediate is the fourth root in 8 bits, about as perceptually even as PQ.
        white = signal**4 * (_PEAK / _WHITE)
        self._coded = np.rint(255 * _rolled_off(white) ** (1 / _GAMMA)).astype(np.uint8)
        self._scratch: Any = None

    def __call__(self, image: Image) -> Image:
        """Convert a picture to BT.709; returns a new uint8, H×W×3, BGR."""
        import cv2

        # Allocating with every picture would double the time.
        light = self._scratch = cv2.LUT(image, self._linear, dst=self._scratch)
        if self._matrix is not None:
            cv2.transform(light, self._matrix, dst=light)
            cv2.threshold(light, 0, 0, cv2.THRESH_TOZERO, dst=light)  # colours outside BT.709
        cv2.sqrt(light, dst=light)
        cv2.sqrt(light, dst=light)
        root = cv2.convertScaleAbs(light, alpha=255)
        return np.asarray(cv2.LUT(root, self._coded, dst=root), np.uint8)


def _pq(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in cd/m² from a PQ signal 0..1 (SMPTE ST 2084)."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = signal ** (1 / m2)
    light: NDArray[np.float64] = (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    return 10000 * light


def _hlg(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in cd/m² from an HLG signal 0..1 on a display of 1000 cd/m² (ARIB STD-B67, BT.2100)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    light: NDArray[np.float64] = _PEAK * scene**1.2
    return light


def _rolled_off(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light 0..1 from light relative to diffuse white: linear to the knee, then a smooth curve."""
    most = (_PEAK / _WHITE - _KNEE) / (1 - _KNEE)
    over = np.clip((light - _KNEE) / (1 - _KNEE), 0, most)
    rolled = over * (1 + over / most**2) / (1 + over)
    return np.where(light <= _KNEE, light, _KNEE + (1 - _KNEE) * rolled)
