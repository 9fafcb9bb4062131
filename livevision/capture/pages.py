"""Files with several pictures: pages of a TIFF, frames of an animated WebP or PNG."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from livevision.frame import Image

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG, _CHUNKS_LOOKED_AT = b"\x89PNG\r\n\x1a\n", 100
_WEBP_ANIMATED = 2  # flag in the first byte after VP8X and its length


def page_count(path: Path) -> int | None:
    """Number of pictures in a file, by its header; None if the list of pictures is broken, 1 for
    any other file.
    """
    try:
        with path.open("rb") as file:
            if not _may_hold_several(file):
                return 1
    except OSError:
        return 1
    import PIL.Image

    try:
        with _no_warnings(), PIL.Image.open(path) as picture:
            return int(getattr(picture, "n_frames", 1))
    except (OSError, ValueError, TypeError, SyntaxError, EOFError):  # raised by Pillow
        return None


def later_pages(data: bytes, count: int | None) -> Iterator[Image | None]:
    """The pictures after the first, uint8, H×W×3, BGR; None for each that is lost.

    Args:
        data: Contents of the file.
        count: Result of ``page_count``.
    """
    read = _tiff_pages if data[:4] in _TIFF else _animation
    given = 1
    for image in read(data, count):
        given += 1
        yield image
    # Without a list the number of lost pictures is unknown; at least one.
    for _ in range(given, count or given + 1):
        yield None


def _tiff_pages(data: bytes, count: int | None) -> Iterator[Image]:
    """Pages read by OpenCV, so that pixel formats are treated as on the first page."""
    import cv2

    array, page = np.frombuffer(data, np.uint8), 1
    while count is None or page < count:
        try:
            good, found = cv2.imdecodemulti(array, cv2.IMREAD_COLOR, range=(page, page + 1))
        except cv2.error:
            return
        if not good or not found:
            return
        yield np.asarray(found[0], np.uint8)
        page += 1


def _animation(data: bytes, count: int | None) -> Iterator[Image]:
    import PIL.Image

    try:
        with _no_warnings(), PIL.Image.open(io.BytesIO(data)) as picture:
            for number in range(1, count or 1):
                picture.seek(number)
                rgb = np.asarray(picture.convert("RGB"), np.uint8)
                yield np.ascontiguousarray(rgb[..., ::-1])
    except (OSError, ValueError, SyntaxError, EOFError):
        return


def _may_hold_several(file: IO[bytes]) -> bool:
    head = file.read(32)
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
        return bool(head[20] & _WEBP_ANIMATED) if len(head) > 20 else False
    if head[:8] == _PNG:
        return _is_animated_png(file)
    return head[:4] in _TIFF


def _is_animated_png(file: IO[bytes]) -> bool:
    """Whether a chunk ``acTL`` precedes the image data."""
    at = len(_PNG)
    for _ in range(_CHUNKS_LOOKED_AT):
        file.seek(at)
        header = file.read(8)
        if len(header) < 8 or header[4:] in (b"IDAT", b"IEND"):
            return False
        if header[4:] == b"acTL":
            return True
        at += 12 + int.from_bytes(header[:4], "big")
    return False


def _no_warnings() -> warnings.catch_warnings:
    """Suppress Pillow's warnings about odd files, which go to standard error."""
    return warnings.catch_warnings(action="ignore")
