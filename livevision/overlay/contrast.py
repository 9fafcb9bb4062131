"""Contrast between colours: by brightness, and as perceived.

Colours are BGR, 0..255, in the last axis of an array.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]


def luminance(colours: ArrayLike) -> Values:
    """Relative luminance as WCAG 2 defines it, 0 (black) .. 1 (white)."""
    weighed: Values = _linear(colours) @ np.array([0.0722, 0.7152, 0.2126])
    return weighed


def contrast_ratio(a: ArrayLike, b: ArrayLike) -> Values:
    """WCAG 2's contrast ratio, 1 .. 21; text needs 4.5 to be readable, lines need 3."""
    lights = np.stack(np.broadcast_arrays(luminance(a), luminance(b))) + 0.05
    ratio: Values = lights.max(0) / lights.min(0)
    return ratio


def difference(a: ArrayLike, b: ArrayLike) -> Values:
    """Distance in Oklab: 0 for equal colours, about 0.02 just noticeable, 1 for black and white.

    Björn Ottosson, A perceptual color space for image processing, 2020.
    """
    distance: Values = np.linalg.norm(oklab(a) - oklab(b), axis=-1)
    return distance


def oklab(colours: ArrayLike) -> Values:
    """Lightness 0..1 and two opponent colours about -0.4..0.4, in the last axis."""
    red_first = _linear(colours)[..., ::-1]
    cones = np.cbrt(red_first @ _TO_CONES.T)
    lab: Values = cones @ _TO_LAB.T
    return lab


def _linear(colours: ArrayLike) -> Values:
    """sRGB to linear light, 0..1."""
    values = np.asarray(colours, np.float64) / 255
    linear: Values = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return linear


_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
