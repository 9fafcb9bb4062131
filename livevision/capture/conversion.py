"""Decoded video frames (PyAV) of any pixel format and colours to BGR pictures, as they are stored.

The stream's own matrix and range are used, 10 bits are rounded to 8, an alpha plane is dropped,
grey becomes three equal planes. swscale does it as fast as OpenCV's conversion, which knows BT.601
limited range only, and gives the pixels that share a chroma value the same one, so that encoding
finds that value again: from planes of 8 bits at once, from all else by way of those. High dynamic
range becomes the standard range of BT.709.
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

# By the chroma values of 4×4 pixels, across and down: planes that swscale has a short way from.
_PLANES = {(2, 2): "yuv420p", (2, 4): "yuv422p"}
_SHORT = frozenset({"yuv420p", "yuv422p", "yuvj420p", "yuvj422p"})
_HIGH_RANGE = {PQ: "PQ", HLG: "HLG"}


class Conversion:
    """Makes BGR pictures of one stream's frames, and tells once what it cannot make quite right."""

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        # Two, since each remembers what its last call was about.
        self._reformat, self._to_planes = VideoReformatter().reformat, VideoReformatter().reformat
        self._unknown: set[int] = set()
        self._tone_maps: dict[Colours, ToneMap] = {}

    def __call__(self, frame: VideoFrame, size: tuple[int, int]) -> Image:
        """The picture at a size (width, height), uint8, H×W×3, BGR."""
        coding = coding_of(frame)
        if coding.guessed is not None and coding.guessed not in self._unknown:
            self._unknown.add(coding.guessed)
            log.warning(
                "the video's colour matrix (number %d of H.273) is not known: colours may be off",
                coding.guessed,
            )
        if coding.matrix == YCGCO:
            image = self._of_ycgco(frame, size, coding.range)
        else:
            # A matrix means nothing to RGB, but swscale wants one that it knows.
            matrix = BT709 if coding.matrix == RGB else coding.matrix
            planes = self._in_planes(frame, matrix, coding.range)
            image = self._reformatted(planes, size, "bgr24", matrix, coding.range, FULL)
        if frame.color_trc in _HIGH_RANGE:
            return self._tone_map(colours_of(frame))(np.ascontiguousarray(image))
        return image

    def _in_planes(self, frame: VideoFrame, matrix: int, colour_range: int) -> VideoFrame:
        """A frame's values in planes of 8 bits, where swscale would else blur its chroma."""
        kind = frame.format
        planes = _PLANES.get((kind.chroma_width(4), kind.chroma_height(4)))
        if planes is None or kind.name in _SHORT or frame.color_trc in _HIGH_RANGE:
            return frame  # of high dynamic range the two bits more are worth having
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
        """BGR of a matrix that swscale lacks; it only brings all planes to one size and 8 bits."""
        import cv2

        planes = self._reformatted(frame, size, "yuv444p", BT709, colour_range, colour_range)
        bgr = cv2.transform(cv2.merge(list(planes)), _ycgco_to_bgr(colour_range))
        return np.asarray(bgr, np.uint8)

    def _tone_map(self, colours: Colours) -> ToneMap:
        if colours not in self._tone_maps:
            self._tone_maps[colours] = ToneMap(colours.transfer, colours.primaries)
            log.info(
                "high dynamic range (%s) is brought to the standard range of BT.709",
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
    """What the values of the pictures mean that ``Conversion`` makes of a frame."""
    return STANDARD_COLOURS if frame.color_trc in _HIGH_RANGE else colours_of(frame)


def _ycgco_to_bgr(colour_range: int) -> NDArray[np.float64]:
    """A 3×4 matrix from 8-bit (Y, Cg, Co, 1) to (B, G, R) of full range."""
    luma, chroma, black = (1.0, 1.0, 0) if colour_range == FULL else (255 / 219, 255 / 224, 16)
    turn = np.array([[1, -1, -1], [1, 1, 0], [1, -1, 1]]) * (luma, chroma, chroma)
    return np.hstack([turn, -turn @ [[black], [128], [128]]])
