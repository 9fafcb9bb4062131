"""Converts decoded frames (PyAV) to upright BGR pictures of one size, uint8 H×W×3."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from livevision.capture.conversion import Conversion, seen_colours
from livevision.capture.fitting import fitted
from livevision.frame import Image

if TYPE_CHECKING:
    from av import VideoFrame


class Pictures:
    """Makes pictures of one size from the frames of one stream.

    The first frame fixes the upright size; later frames of another size or shape (an adaptive
    stream, a broadcast) are scaled to fit, centred on black.

    Args:
        first: The first frame.
        aspect: Its pixel aspect ratio (width by height), as stored.

    Attributes:
        size: (width, height) of every picture, upright.
        aspect: Pixel aspect ratio, upright.
        colours: Colour primaries and transfer of the pictures.
    """

    def __init__(self, first: VideoFrame, aspect: Fraction = Fraction(1)) -> None:
        self._conversion = Conversion()
        self.colours = seen_colours(first)
        self._stored_size = (first.width, first.height)
        self._turn = _turn(first)
        width, height = self._stored_size
        self.size = (height, width) if self._turn[0] else (width, height)
        self._stored_aspect = aspect
        self.aspect = 1 / aspect if self._turn[0] else aspect

    def __call__(self, frame: VideoFrame, aspect: Fraction | None = None) -> Image:
        """The upright picture of a frame; ``aspect`` defaults to that of the first one."""
        aspect = aspect or self._stored_aspect
        size = (frame.width, frame.height)
        if size == self._stored_size and aspect == self._stored_aspect:
            return _turned(self._conversion(frame, size), *self._turn)
        turn = _turn(frame)
        image = _turned(self._conversion(frame, size), *turn)
        return fitted(image, self.size, (1 / aspect if turn[0] else aspect) / self.aspect)


def _turn(frame: Any) -> tuple[bool, bool, bool]:
    """The rotation to upright, as (swap axes, then mirror x, then mirror y)."""
    for extra in frame.side_data:
        if extra.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = struct.unpack_from("=5i", bytes(extra))
            # The display matrix maps (x, y) to (a·x + c·y, b·x + d·y), shifted into view.
            if abs(a) + abs(d) >= abs(b) + abs(c):
                return False, a < 0, d < 0
            return True, c < 0, b < 0
    return False, False, False


def _turned(image: Image, swap: bool, mirror_x: bool, mirror_y: bool) -> Image:
    if not (swap or mirror_x or mirror_y):
        return np.ascontiguousarray(image)
    import cv2

    image = np.ascontiguousarray(image)  # rows of odd widths are padded
    if swap and mirror_x != mirror_y:
        way = cv2.ROTATE_90_CLOCKWISE if mirror_x else cv2.ROTATE_90_COUNTERCLOCKWISE
        return np.asarray(cv2.rotate(image, way), np.uint8)
    if swap:
        image = np.asarray(cv2.transpose(image), np.uint8)
    if mirror_x or mirror_y:
        code = -1 if mirror_x and mirror_y else 1 if mirror_x else 0
        image = np.asarray(cv2.flip(image, code), np.uint8)
    return image
