"""Pictures from a folder, a pattern or a single file, in the order of their names."""

from __future__ import annotations

import glob
import logging
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from livevision.capture.locate import IMAGE_SUFFIXES
from livevision.capture.options import DEFAULTS, SourceOptions
from livevision.errors import SourceError
from livevision.frame import Frame, Image
from livevision.protocols import SourceInfo

log = logging.getLogger(__name__)

RATE = Fraction(25)
"""Pictures a second, for the times they are given: FFmpeg's custom for numbered pictures."""


class ImagesSource:
    """One frame a picture: each in its own size, turned upright as its EXIF says, BGR of 8 bits.

    ``info.size`` is that of the first readable picture.

    Attributes:
        losses: ``broken``: pictures that could not be read; they keep their index.

    Args:
        uri: A picture, a folder (its pictures, not those of folders in it) or a pattern.
        options: ``index``, ``stride`` and ``loop``.

    Raises:
        SourceError: There is no picture, or none of them can be read.
    """

    def __init__(self, uri: str, options: SourceOptions = DEFAULTS) -> None:
        self._source, self._stride, self._loop = options.index, options.stride, options.loop
        self._closed = False
        self.losses = {"broken": 0}
        self._files = _pictures(uri)
        first = next((image for image in map(_read, self._files) if image is not None), None)
        if first is None:
            only = "it cannot" if len(self._files) == 1 else f"none of its {len(self._files)} can"
            raise SourceError(f"{uri}: {only} be read as a picture")
        self.info = SourceInfo(
            name=uri,
            live=False,
            size=(first.shape[1], first.shape[0]),
            rate=RATE / self._stride,
            time_base=1 / RATE,
            frames=None if options.loop else -(-len(self._files) // self._stride),
        )

    def __iter__(self) -> Iterator[Frame]:
        number = 0
        while not self._closed and (self._loop or number < len(self._files)):
            path = self._files[number % len(self._files)]
            if number % self._stride == 0:
                wall_time = time.monotonic()
                image = _read(path)
                if image is not None:
                    yield Frame(self._source, number, float(number / RATE), wall_time, image)
                else:
                    self.losses["broken"] += 1
                    log.warning("%s: cannot be read as a picture; left out", path)
            number += 1

    def close(self) -> None:
        self._closed = True


def _pictures(uri: str) -> list[Path]:
    path = Path(uri)
    if path.is_dir():
        found = list(path.iterdir())
    elif path.exists():
        return [path]
    else:
        # Path.glob takes no absolute pattern.
        found = [Path(match) for match in glob.glob(uri, recursive=True)]  # noqa: PTH207
    pictures = sorted(p for p in found if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    if not pictures:
        raise SourceError(f"{uri}: no picture there; known endings: {_known()}")
    return pictures


def _known() -> str:
    return " ".join(sorted(IMAGE_SUFFIXES))


def _read(path: Path) -> Image | None:
    """The picture, or None where the file is none. OpenCV's own reader fails on unusual names."""
    import cv2

    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        log.warning("%s: %s", path, error.strerror)
        return None
    if not data.size:
        return None
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error:  # a size beyond OpenCV's limit, for one
        return None
    return None if image is None else np.asarray(image, np.uint8)
