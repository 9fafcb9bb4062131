"""Pictures for viewers, as JPEG: encoded on request, and once for all viewers.

A ``PictureSpec`` names a picture: a source, or the grid of all sources, and a width. A viewer asks
for a newer picture than it has; frames in between are not encoded for it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np

from livevision.frame import Image
from livevision.output.live_view import LiveView, Shown
from livevision.overlay.text import TextSize, panel

WIDTHS = (320, 640, 960, 1280, 1920)
"""Widths of pictures in pixels, beside the frame's own."""

GRID_WIDTH = 1280
MIN_INTERVAL_S = 1 / 25
"""Minimum time between two pictures of a stream, in seconds."""

STALE_AFTER_S = 1.0
"""Without new frames a picture is encoded again after this time, to update its text."""

_QUALITY = 80
_CACHED = 256  # specs whose last picture is cached
_DIMMED = 0.35


@dataclass(frozen=True, slots=True)
class PictureSpec:
    """What a viewer looks at.

    Attributes:
        source: Position of the source; None for the grid of all.
        width: Width in pixels, one of ``WIDTHS``; None for the frame's own.
        plain: Whether the text on pictures without new frames is left out.
    """

    source: int | None
    width: int | None = None
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Jpeg:
    """An encoded picture.

    Attributes:
        data: The JPEG file.
        mark: Identifies the picture; the next one has another.
        size: (width, height) in pixels.
        captured: ``time.monotonic()`` when its frame was captured; of a grid, its newest frame.
        made: ``time.monotonic()`` when it was encoded.
    """

    data: bytes
    mark: tuple[object, ...]
    size: tuple[int, int]
    captured: float
    made: float


@dataclass(frozen=True, slots=True)
class Tile:
    """The texts of a source's picture.

    Attributes:
        source: Position of the source.
        name: Name of the source.
        words: Text on its last picture, such as "reconnecting, 12 s"; "" while frames arrive.
    """

    source: int
    name: str
    words: str


Seen = tuple[Tile, Shown | None]


class Pictures:
    """Encodes pictures for viewers, on threads of its own.

    Args:
        view: Holds the newest frames.
        tiles: Returns the current sources.
    """

    def __init__(self, view: LiveView, tiles: Callable[[], Sequence[Tile]]) -> None:
        self._view, self._tiles = view, tiles
        self._kept: OrderedDict[PictureSpec, Jpeg] = OrderedDict()
        self._locks: dict[PictureSpec, asyncio.Lock] = {}
        self._threads = ThreadPoolExecutor(2, "web-picture")
        self._came = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._viewers = 0
        self.encoded = 0
        """Number of encoded pictures."""

    @property
    def viewers(self) -> int:
        """Number of viewers of streams."""
        return self._viewers

    def viewing(self) -> Viewing:
        """A context for a viewer of streams; new frames are announced while there is one."""
        return Viewing(self)

    def begin(self) -> None:
        """Count a viewer; call it on the event loop."""
        self._viewers += 1
        if self._viewers == 1:
            self._loop = asyncio.get_running_loop()
            self._view.listen(self._on_frame)

    def end(self) -> None:
        """Stop counting a viewer."""
        self._viewers -= 1
        if self._viewers == 0:
            self._view.leave(self._on_frame)

    def close(self) -> None:
        """Stop the threads; waiting pictures are discarded."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def frame_came(self, seconds: float) -> None:
        """Wait for a frame of any source, at most for a time."""
        came = self._came
        try:
            await asyncio.wait_for(came.wait(), seconds)
        except TimeoutError:
            return

    async def get(self, spec: PictureSpec) -> Jpeg | None:
        """The current picture; None if there is no frame yet."""
        async with self._locks.setdefault(spec, asyncio.Lock()):
            # Looked up inside the lock, so that a frame that arrived meanwhile is used.
            seen = self._seen(spec)
            if seen is None:
                return None
            kept = self._kept.get(spec)
            if kept is not None and kept.mark == _mark(seen):
                return kept
            loop = asyncio.get_running_loop()
            jpeg = await loop.run_in_executor(self._threads, self._encode, spec, seen)
            self._keep(spec, jpeg)
        return jpeg

    async def next(self, spec: PictureSpec, before: Jpeg | None) -> Jpeg | None:
        """The next picture after another; None if there is none within ``STALE_AFTER_S``."""
        pause = 0.0 if before is None else before.made + MIN_INTERVAL_S - time.monotonic()
        if pause > 0:
            await asyncio.sleep(pause)
        until = time.monotonic() + STALE_AFTER_S
        while True:
            seen = self._seen(spec)
            if seen is not None and (before is None or _mark(seen) != before.mark):
                return await self.get(spec)
            left = until - time.monotonic()
            if left <= 0:
                return None
            await self.frame_came(left)

    def _on_frame(self, source: int, shown: Shown) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._came.set()
        self._came = asyncio.Event()

    def _keep(self, spec: PictureSpec, jpeg: Jpeg) -> None:
        self._kept[spec] = jpeg
        self._kept.move_to_end(spec)
        while len(self._kept) > _CACHED:
            gone, _ = self._kept.popitem(last=False)
            self._locks.pop(gone, None)

    def _seen(self, spec: PictureSpec) -> list[Seen] | None:
        """The sources of a picture with their newest frames; None if there are none."""
        tiles = [t for t in self._tiles() if spec.source is None or t.source == spec.source]
        if spec.plain:
            tiles = [replace(tile, words="") for tile in tiles]
        seen = [(tile, self._view.newest(tile.source)) for tile in tiles]
        if not seen or (spec.source is not None and seen[0][1] is None):
            return None
        return seen

    def _encode(self, spec: PictureSpec, seen: Sequence[Seen]) -> Jpeg:
        """Draw a picture and encode it as JPEG; runs on a thread."""
        if spec.source is None:
            image = _grid(seen, spec.width or GRID_WIDTH, self._view.picture)
        else:
            tile, shown = seen[0]
            assert shown is not None
            image = _one(self._view.picture(shown), spec.width, tile.words)
        encoded, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        if not encoded:
            raise RuntimeError("OpenCV cannot encode this picture")
        self.encoded += 1
        return Jpeg(
            data.tobytes(),
            _mark(seen),
            (image.shape[1], image.shape[0]),
            max((s.rendered.frame.wall_time for _, s in seen if s is not None), default=0.0),
            time.monotonic(),
        )


class Viewing:
    """Counts a viewer of streams while the context lasts."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    def __enter__(self) -> None:
        self._pictures.begin()

    def __exit__(self, *_: object) -> None:
        self._pictures.end()


def nearest_width(width: int | None) -> int | None:
    """The smallest of ``WIDTHS`` that is at least ``width``; None for the frame's own."""
    if width is None:
        return None
    return next((known for known in WIDTHS if known >= width), None)


def at_width(image: Image, width: int | None) -> Image:
    """A picture at a maximum width; None leaves it unchanged."""
    if width is None or width >= image.shape[1]:
        return image
    return _resized(image, width, max(1, round(image.shape[0] * width / image.shape[1])))


def _mark(seen: Sequence[Seen]) -> tuple[object, ...]:
    """What identifies a picture: its frames and texts."""
    return tuple((t.source, t.words, 0 if s is None else s.serial) for t, s in seen)


def _one(image: Image, width: int | None, words: str) -> Image:
    """A picture at a width; dimmed if there is text on it."""
    image = at_width(image, width)
    if words:
        image = _dimmed(image)
        size = TextSize.for_picture(image, 1.6)
        panel(image, [size.cut(words, image.shape[1] - 16)], 8, 8, size)
    return image


def _grid(seen: Sequence[Seen], width: int, picture: Callable[[Shown], Image]) -> Image:
    """All sources as tiles of 16:9 with their names."""
    columns = math.ceil(math.sqrt(len(seen)))
    rows = math.ceil(len(seen) / columns)
    w = width // columns // 2 * 2
    h = w * 9 // 16 // 2 * 2
    image = np.full((rows * h, columns * w, 3), 24, np.uint8)
    size = TextSize.for_side(h, 1.4)
    for place, (tile, shown) in enumerate(seen):
        y, x = divmod(place, columns)
        cell = image[y * h : (y + 1) * h, x * w : (x + 1) * w]
        if shown is not None:
            _fit(picture(shown), cell, bool(tile.words))
        lines = [line for line in (tile.name, tile.words) if line]
        panel(cell, [size.cut(line, w - 8) for line in lines], 4, 4, size)
    return image


def _dimmed(image: Image) -> Image:
    return np.asarray(cv2.convertScaleAbs(image, alpha=_DIMMED), np.uint8)


def _fit(image: Image, cell: Image, dimmed: bool) -> None:
    """Draw a whole picture into the middle of a cell."""
    scale = min(cell.shape[1] / image.shape[1], cell.shape[0] / image.shape[0])
    width, height = max(1, int(image.shape[1] * scale)), max(1, int(image.shape[0] * scale))
    small = _resized(image, width, height)
    if dimmed:
        small = _dimmed(small)
    left, top = (cell.shape[1] - width) // 2, (cell.shape[0] - height) // 2
    cell[top : top + height, left : left + width] = small


def _resized(image: Image, width: int, height: int) -> Image:
    smaller = width < image.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)
