"""Converts decoded frames (PyAV) of any pixel format to BGR.

The stream's own matrix and range are used; 10 bits are rounded to 8, alpha is dropped, grey becomes
three equal planes, and high dynamic range becomes BT.709. swscale is as fast as OpenCV, which only
converts BT.601 limited range, and gives pixels that share a chroma sample the same chroma, so that
encoding recovers it: directly from 8-bit planes, via those from other formats.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from livevision.capture.colours import BT709, FULL, HLG, PQ, RGB, YCGCO, coding_of, colours_of
from livevision.capture.tone import ToneMap
from livevision.frame import STANDARD_COLOURS, Colours, Image

if TYPE_CHECKING:
    from av import VideoFrame

log = logging.getLogger(__name__)

# By subsampling of chroma in 4×4 pixels, across and down: formats that swscale converts fast.
_PLANES = {(2, 2): "yuv420p", (2, 4): "yuv422p"}
_SHORT = frozenset({"yuv420p", "yuv422p", "yuvj420p", "yuvj422p"})
_HIGH_RANGE = {PQ: "PQ", HLG: "HLG"}


class Conversion:
    """Converts the frames of one stream to BGR; warns once if that is inexact."""

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        # Two, since each caches the parameters of its last call.
        self._reformat, self._to_planes = VideoReformatter().reformat, VideoReformatter().reformat
        self._unknown: set[int] = set()
        self._tone_maps: dict[Colours, ToneMap] = {}

    def __call__(self, frame: VideoFrame, size: tuple[int, int]) -> Image:
        """Convert a frame to size (width, height), uint8, H×W×3, BGR."""
        coding = coding_of(frame)
        if coding.guessed is not None and coding.guessed not in self._unknown:
            self._unknown.add(coding.guessed)
            log.warning(
                "the video's colour matrix (number %d of H.273) is unknown: colours may be off",
                coding.guessed,
            )
        if coding.matrix == YCGCO:
            image = self._of_ycgco(frame, size, coding.range)
        else:
            # RGB has no matrix, but swscale requires one that it knows.
            matrix = BT709 if coding.matrix == RGB else coding.matrix
            planes = self._in_planes(frame, matrix, coding.range)
            image = self._reformatted(planes, size, "bgr24", matrix, coding.range, FULL)
        if frame.color_trc in _HIGH_RANGE:
            return self._tone_map(colours_of(frame))(np.ascontiguousarray(image))
        return image

    def _in_planes(self, frame: VideoFrame, matrix: int, colour_range: int) -> VideoFrame:
        """The frame in 8-bit planes, if swscale would otherwise blur its chroma."""
        kind = frame.format
        planes = _PLANES.get((kind.chroma_width(4), kind.chroma_height(4)))
        if planes is None or kind.name in _SHORT or frame.color_trc in _HIGH_RANGE:
            return frame  # high dynamic range needs the two extra bits
        return self._to_planes(
            frame,
            format=planes,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=colour_range,
            dst_color_range=colour_range,
            threads=1,
        )

    def _of_ycgco(self, frame: VideoFrame, size: tuple[int, int], colour_range: int) -> Image:
        """Convert YCgCo to BGR, which swscale cannot; it only scales the planes to 8 bits."""
        import cv2

        planes = self._reformatted(frame, size, "yuv444p", BT709, colour_range, colour_range)
        bgr = cv2.transform(cv2.merge(list(planes)), _ycgco_to_bgr(colour_range))
        return np.asarray(bgr, np.uint8)

    def _tone_map(self, colours: Colours) -> ToneMap:
        if colours not in self._tone_maps:
            self._tone_maps[colours] = ToneMap(colours.transfer, colours.primaries)
            log.info(
                "high dynamic range (%s) is converted to the standard range of BT.709",
                _HIGH_RANGE[colours.transfer],
            )
        return self._tone_maps[colours]

    def _reformatted(
        self,
        frame: VideoFrame,
        size: tuple[int, int],
        pixels: str,
        matrix: int,
        range_in: int,
        range_out: int,
    ) -> Image:
        converted = self._reformat(
            frame,
            width=size[0],
            height=size[1],
            format=pixels,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=range_in,
            dst_color_range=range_out,
            threads=1,
        )
        return np.asarray(converted.to_ndarray(), np.uint8)


def seen_colours(frame: VideoFrame) -> Colours:
    """The colours of the pictures that ``Conversion`` makes of a frame."""
    return STANDARD_COLOURS if frame.color_trc in _HIGH_RANGE else colours_of(frame)


def _ycgco_to_bgr(colour_range: int) -> NDArray[np.float64]:
    """The 3×4 matrix from 8-bit (Y, Cg, Co, 1) to (B, G, R) of full range."""
    luma, chroma, black = (1.0, 1.0, 0) if colour_range == FULL else (255 / 219, 255 / 224, 16)
    turn = np.array([[1, -1, -1], [1, 1, 0], [1, -1, 1]]) * (luma, chroma, chroma)
    return np.hstack([turn, -turn @ [[black], [128], [128]]])
