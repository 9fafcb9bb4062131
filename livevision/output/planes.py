"""BGR pictures as what encoders take: BT.601 of limited range, one chroma value for 2×2 pixels.

OpenCV's conversion is several times as fast as swscale's but takes the chroma of one pixel in four.
Its luma is kept, and chroma is that of the picture at half its size, which is the mean of the four.
Where chroma was decoded from 4:2:0 the four are alike, and the very values come out again.
"""

from __future__ import annotations

from typing import Any

import av
import cv2
import numpy as np

from livevision.frame import Image

# From B, G, R of full range to Cb, Cr of limited range. OpenCV computes with 1024ths, so these are
# the nearest ones; each row adds up to 0, so that grey stays grey. The third row is for speed:
# three channels to three is what OpenCV has vector instructions for.
_CHROMA = np.zeros((3, 4))
_CHROMA[:2, :3] = np.array([[450, -298, -152], [-73, -377, 450]]) / 1024
_CHROMA[:2, 3] = 128


class Planes:
    """Makes PyAV's frames of pictures of one size.

    Args:
        size: (width, height), both even.
        pixels: "yuv420p" (planes of Cb and Cr) or "nv12" (one plane of pairs).
    """

    def __init__(self, size: tuple[int, int], pixels: str) -> None:
        self._size, self._pixels = size, pixels
        self._half = (size[0] // 2, size[1] // 2)
        self._scratch: Any = [None, None, None]

    def __call__(self, image: Image) -> Any:
        """The frame of a picture, uint8, H×W×3, BGR, contiguous."""
        (width, height), (wide, high) = self._size, self._half
        whole, small, chroma = self._scratch
        whole = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420, dst=whole)
        small = cv2.resize(image, self._half, dst=small, interpolation=cv2.INTER_AREA)
        chroma = cv2.transform(small, _CHROMA, dst=chroma)
        self._scratch = [whole, small, chroma]
        # PyAV's from_numpy_buffer takes two rows too few where the height is no multiple of 4.
        frame = av.VideoFrame(width, height, self._pixels)
        luma, *under = (_rows(plane) for plane in frame.planes)
        luma[:, :width] = whole[:height]
        if self._pixels == "nv12":
            into = [under[0][:, :width].reshape(high, wide, 2)]
        else:
            into = [plane[:, :wide] for plane in under]
        cv2.mixChannels([chroma], into, [0, 0, 1, 1])
        return frame


def _rows(plane: Any) -> Any:
    """A plane's memory, to be written to: H×(its length of a row) bytes."""
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
