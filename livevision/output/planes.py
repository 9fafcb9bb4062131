"""Converts BGR pictures to encoder input: BT.601 limited range, 4:2:0 chroma.

OpenCV's conversion is several times as fast as swscale's, but samples the chroma of one pixel in
four. Its luma is kept; chroma is taken from the picture at half size, which is the mean of the
four. If chroma was decoded from 4:2:0, the four are equal, and the original values are recovered.
"""

from __future__ import annotations

from typing import Any

import av
import cv2
import numpy as np

from livevision.frame import Image

# From B, G, R of full range to Cb, Cr of limited range, in OpenCV's steps of 1/1024; each row sums
# to 0, so that grey stays grey. The third row is for speed: OpenCV has vector code for three
# channels to three.
_CHROMA = np.zeros((3, 4))
_CHROMA[:2, :3] = np.array([[450, -298, -152], [-73, -377, 450]]) / 1024
_CHROMA[:2, 3] = 128


class Planes:
    """Makes PyAV frames from pictures of one size.

    Args:
        size: (width, height), both even.
        pixels: "yuv420p" (planes of Cb and Cr) or "nv12" (one plane of pairs).
    """

    def __init__(self, size: tuple[int, int], pixels: str) -> None:
        self._size, self._pixels = size, pixels
        self._half = (size[0] // 2, size[1] // 2)
        self._scratch: Any = [None, None, None]

    def __call__(self, image: Image) -> Any:
        """Convert a picture, uint8, H×W×3, BGR, contiguous, to a frame."""
        (width, height), (wide, high) = self._size, self._half
        whole, small, chroma = self._scratch
        whole = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420, dst=whole)
        small = cv2.resize(image, self._half, dst=small, interpolation=cv2.INTER_AREA)
        chroma = cv2.transform(small, _CHROMA, dst=chroma)
        self._scratch = [whole, small, chroma]
        # PyAV's from_numpy_buffer drops two rows if the height is not a multiple of 4.
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
    """A plane's writable memory: H×(bytes per row)."""
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
