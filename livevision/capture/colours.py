"""Colour coding of decoded frames (ITU-T H.273), including unspecified and unknown values.

Streams often omit their matrix, range, primaries or transfer, and some name a matrix that swscale
does not know. The choice is made here, for decoding and for the tags of copies alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from livevision.frame import Colours

if TYPE_CHECKING:
    from av import VideoFrame

RGB, BT709, UNSPECIFIED, BT601, YCGCO, BT2020 = 0, 1, 2, 5, 8, 9
PQ, HLG = 16, 18
LIMITED, FULL = 1, 2

_SWSCALE_KNOWS = frozenset((BT709, 4, BT601, 6, 7, BT2020))
_KNOWN_PRIMARIES = frozenset((1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22))
_KNOWN_TRANSFERS = frozenset((1, *range(4, 19)))
_PRIMARIES_OF_MATRIX = {4: 4, 5: 5, 6: 6, 7: 7, 9: 9, 10: 9}
_SMPTE170M = 6


class Coding(NamedTuple):
    """How a frame's values convert to BGR.

    Attributes:
        matrix: A matrix that swscale knows, RGB, or YCGCO.
        range: LIMITED or FULL.
        guessed: The stream's own matrix, if it is unknown here and ``matrix`` replaces it; None
            otherwise.
    """

    matrix: int
    range: int
    guessed: int | None = None


def coding_of(frame: VideoFrame) -> Coding:
    """The matrix and range of a frame, with the usual defaults."""
    matrix, colour_range = int(frame.colorspace), int(frame.color_range)
    is_rgb = bool(frame.format.is_rgb)
    if colour_range not in (LIMITED, FULL):
        colour_range = _usual_range(frame.format.name)
    if is_rgb:
        return Coding(RGB, colour_range)
    if matrix in _SWSCALE_KNOWS or (matrix == YCGCO and len(frame.format.components) >= 3):
        return Coding(matrix, colour_range)
    usual = _usual_matrix(frame)
    if matrix in (UNSPECIFIED, RGB):
        return Coding(usual, colour_range)
    near = BT2020 if int(frame.color_primaries) == BT2020 else usual
    return Coding(near, colour_range, guessed=matrix)


def colours_of(frame: VideoFrame) -> Colours:
    """Primaries and transfer of a frame, inferred from its matrix if unspecified."""
    primaries, transfer = int(frame.color_primaries), int(frame.color_trc)
    if primaries not in _KNOWN_PRIMARIES:
        matrix = int(frame.colorspace)
        if matrix == UNSPECIFIED and not frame.format.is_rgb:
            matrix = _usual_matrix(frame)
            # The number of lines tells which variant of BT.601 it is.
            if matrix == BT601 and frame.height != 576:
                matrix = _SMPTE170M
        primaries = _PRIMARIES_OF_MATRIX.get(matrix, BT709)
    if transfer not in _KNOWN_TRANSFERS:
        transfer = _SMPTE170M if primaries in (5, 6) else BT709
    return Colours(primaries, transfer)


def _usual_matrix(frame: Any) -> int:
    """The default of video players: BT.709 for HD, BT.601 below."""
    return BT709 if frame.width >= 1280 or frame.height > 576 else BT601


def _usual_range(pixel_format: str) -> int:
    full = pixel_format.startswith(("yuvj", "gray", "rgb", "bgr", "gbr", "pal"))
    return FULL if full else LIMITED
