"""Fits a picture into another size, without cropping or distortion."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from livevision.frame import Image


def fitted(image: Image, size: tuple[int, int], aspect: Fraction = Fraction(1)) -> Image:
    """Scale a picture to fit, centred on black.

    Args:
        image: uint8, H×W×3, BGR.
        size: (width, height) to fill.
        aspect: Width of its pixels relative to those of the size.
    """
    import cv2

    height, width = image.shape[:2]
    seen = float(width * aspect)
    scale = min(size[0] / seen, size[1] / height)
    wide = min(size[0], max(1, round(seen * scale)))
    high = min(size[1], max(1, round(height * scale)))
    smaller = wide * high < width * height
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    resized = np.asarray(cv2.resize(image, (wide, high), interpolation=way), np.uint8)
    if (wide, high) == size:
        return resized
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    left, top = (size[0] - wide) // 2, (size[1] - high) // 2
    canvas[top : top + high, left : left + wide] = resized
    return canvas
