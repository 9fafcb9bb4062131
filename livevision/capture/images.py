"""Pictures of a folder, a glob or a single file, sorted by name."""

from __future__ import annotations

import glob
import logging
import time
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from livevision.capture.life import Life
from livevision.capture.locate import IMAGE_SUFFIXES
from livevision.capture.names import exists, is_file, natural
from livevision.capture.options import DEFAULTS, SourceOptions
from livevision.capture.pages import later_pages, page_count
from livevision.errors import SourceError
from livevision.frame import Frame, Image, Picture
from livevision.protocols import SourceInfo

log = logging.getLogger(__name__)

RATE = Fraction(25)
"""Pictures per second for their times: FFmpeg's default for numbered pictures."""


# Each file is opened to count its pictures, which takes long on a slow disk.
_FILES_COUNTED = 1000
_TOLD = 5  # broken files


class ImagesSource:
    """One frame per picture: in its own size, upright by its EXIF data, 8-bit BGR.

    A file with several pictures (pages of a TIFF, an animated WebP or PNG) gives a frame for each.
    ``info.size`` is that of the first readable picture. A frame's time is its place in a video of
    all pictures; ``picture`` identifies it.

    Attributes:
        losses: ``broken``: unreadable pictures; they keep their index.

    Args:
        uri: A picture, a folder (without its subfolders) or a glob.
        options: ``index``, ``stride`` and ``loop``.

    Raises:
        SourceError: There is no picture, or none is readable; raised by the iteration, after all
            readable ones, if any was unreadable.
    """

    def __init__(self, uri: str, options: SourceOptions = DEFAULTS) -> None:
        self._source, self._stride, self._loop = options.index, options.stride, options.loop
        self.life = options.life or Life()
        self.losses = {"broken": 0}
        self._broken: list[str] = []  # files with their errors
        with self.life.opening():
            self._files = _pictures(uri)
            self.info = self._describe(uri)

    def _describe(self, uri: str) -> SourceInfo:
        first = next((image for image in map(_first_of, self._files) if image is not None), None)
        if first is None:
            only = "it cannot" if len(self._files) == 1 else f"none of its {len(self._files)} can"
            raise SourceError(f"{uri}: {only} be read as a picture; it is damaged or cut off")
        count = len(self._files)
        if count <= _FILES_COUNTED:
            count = sum(page_count(path) or 1 for path in self._files)
        return SourceInfo(
            name=uri,
            live=False,
            size=(first.shape[1], first.shape[0]),
            rate=RATE / self._stride,
            time_base=1 / RATE,
            frames=None if self._loop else -(-count // self._stride),
            still=True,
        )

    def __iter__(self) -> Iterator[Frame]:
        return self.life.followed(self._all())

    def _all(self) -> Generator[Frame]:
        number = 0
        while True:
            for path in self._files:
                for page in self._pages(path, number):
                    if self.life.closing.is_set():
                        return
                    if page is not None:
                        yield page
                    number += 1
            if not self._loop:
                break
        if self.losses["broken"]:
            more = len(self._broken) - _TOLD
            raise SourceError(
                f"{self.info.name}: {self.losses['broken']} of {number} pictures cannot be read: "
                f"{'; '.join(self._broken[:_TOLD])}{f'; and {more} more files' if more > 0 else ''}"
            )

    def _pages(self, path: Path, number: int) -> Iterator[Frame | None]:
        """A frame for each picture of a file; None for lost ones and those the stride skips."""
        count = page_count(path)
        if count == 1 and number % self._stride:
            yield None
            return
        wall_time = time.monotonic()
        data = _read(path)
        first = None if data is None else _decoded(data)
        if data is None or first is None:
            self._lose(path, "it is damaged, cut off or no picture", count or 1)
            for _ in range(count or 1):
                yield None
            return
        yield self._frame(first, number, wall_time, Picture(str(path), None if count == 1 else 0))
        if count == 1:
            return
        for page, image in enumerate(later_pages(data, count), start=1):
            if image is None:
                self._lose(path, f"its picture {page + 1} is damaged or cut off")
                yield None
            else:
                now, which = time.monotonic(), Picture(str(path), page)
                yield self._frame(image, number + page, now, which)

    def _frame(self, image: Image, number: int, wall_time: float, picture: Picture) -> Frame | None:
        if number % self._stride:
            return None
        moment = float(number / RATE)
        return Frame(self._source, number, moment, wall_time, image, picture)

    def _lose(self, path: Path, why: str, pictures: int = 1) -> None:
        self.losses["broken"] += pictures
        if not self._broken or not self._broken[-1].startswith(f"{path}: "):
            self._broken.append(f"{path}: {why}")
        log.warning("%s cannot be read: %s; skipped", path, why)

    def close(self) -> None:
        self.life.close()


def _pictures(uri: str) -> list[Path]:
    path = Path(uri)
    if exists(path) and path.is_dir():
        found = list(path.iterdir())
    elif exists(path):
        return [path]
    else:
        # Path.glob does not take absolute patterns.
        found = [Path(match) for match in glob.glob(uri, recursive=True)]  # noqa: PTH207
    named = (p for p in found if p.suffix.lower() in IMAGE_SUFFIXES and is_file(p))
    pictures = sorted(named, key=natural)
    if not pictures:
        raise SourceError(f"{uri}: no picture there; known suffixes: {_known()}")
    return pictures


def _known() -> str:
    return " ".join(sorted(IMAGE_SUFFIXES))


def _first_of(path: Path) -> Image | None:
    data = _read(path)
    return None if data is None else _decoded(data)


def _read(path: Path) -> bytes | None:
    """A file's bytes, since OpenCV's own reader fails on unusual names; None if unreadable."""
    try:
        return path.read_bytes() or None
    except OSError as error:
        log.warning("%s: %s", path, error.strerror)
        return None


def _decoded(data: bytes) -> Image | None:
    """The decoded picture, or None."""
    import cv2

    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # for example above OpenCV's size limit
        return None
    return None if image is None else np.asarray(image, np.uint8)
