"""Turns decoded video frames (PyAV) into upright BGR pictures.

Any pixel format comes out as uint8 H×W×3 BGR: the stream's own colour matrix and range are used,
10 bits are rounded to 8, an alpha plane is dropped, grey becomes three equal planes. swscale
does it in one pass, as fast as OpenCV's conversion, which knows BT.601 limited range only.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from livevision.frame import Image

if TYPE_CHECKING:
    from av import VideoFrame

# Numbers of ITU-T H.273 as FFmpeg uses them.
_BT709, _UNSPECIFIED_MATRIX, _BT601 = 1, 2, 5
_UNSPECIFIED_RANGE, _LIMITED, _FULL = 0, 1, 2


class Pictures:
    """Makes pictures of one size from the frames of one stream.

    The first frame fixes the upright size; a later frame of another size (an adaptive stream, a
    changed camera mode) is scaled to it.

    Attributes:
        size: (width, height) of every picture, upright.
    """

    def __init__(self, first: VideoFrame) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        self._stored_size = (first.width, first.height)
        self._turn = _turn(first)
        width, height = self._stored_size
        self.size = (height, width) if self._turn[0] else (width, height)

    def __call__(self, frame: VideoFrame) -> Image:
        matrix, colour_range = frame.colorspace, frame.color_range
        if matrix == _UNSPECIFIED_MATRIX:
            matrix = _usual_matrix(frame)
        if colour_range == _UNSPECIFIED_RANGE:
            colour_range = _usual_range(frame.format.name)
        converted = self._reformatter.reformat(
            frame,
            width=self._stored_size[0],
            height=self._stored_size[1],
            format="bgr24",
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=colour_range,
            dst_color_range=_FULL,
            threads=1,
        )
        image = np.asarray(converted.to_ndarray(), np.uint8)
        return _turned(image, *self._turn)


def _usual_matrix(frame: Any) -> int:
    """What players take where the stream does not say: BT.709 for HD, BT.601 below."""
    return _BT709 if frame.width >= 1280 or frame.height > 576 else _BT601


def _usual_range(pixel_format: str) -> int:
    full = pixel_format.startswith(("yuvj", "gray", "rgb", "bgr", "gbr", "pal"))
    return _FULL if full else _LIMITED


def _turn(frame: Any) -> tuple[bool, bool, bool]:
    """How to bring a stored picture upright: (swap the axes, then mirror x, then mirror y)."""
    for extra in frame.side_data:
        if extra.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = struct.unpack_from("=5i", bytes(extra))
            # A viewer puts the pixel (x, y) at (a·x + c·y, b·x + d·y), moved back into sight.
            if abs(a) + abs(d) >= abs(b) + abs(c):
                return False, a < 0, d < 0
            return True, c < 0, b < 0
    return False, False, False


def _turned(image: Image, swap: bool, mirror_x: bool, mirror_y: bool) -> Image:
    if not (swap or mirror_x or mirror_y):
        return np.ascontiguousarray(image)
    import cv2

    image = np.ascontiguousarray(image)  # rows of odd widths come padded
    if swap and mirror_x != mirror_y:
        way = cv2.ROTATE_90_CLOCKWISE if mirror_x else cv2.ROTATE_90_COUNTERCLOCKWISE
        return np.asarray(cv2.rotate(image, way), np.uint8)
    if swap:
        image = np.asarray(cv2.transpose(image), np.uint8)
    if mirror_x or mirror_y:
        code = -1 if mirror_x and mirror_y else 1 if mirror_x else 0
        image = np.asarray(cv2.flip(image, code), np.uint8)
    return image
