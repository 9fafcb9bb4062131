"""Pictures for viewers, as JPEG: encoded when somebody looks, and once however many look.

A picture belongs to a ``Wish``: a source, or all of them as a grid, and a width. Who looks asks for
the next picture behind the one that he has; one that came in between is never made for him.
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
"""Widths that pictures may be asked for in, in pixels; beside the frame's own."""

GRID_WIDTH = 1280
FASTEST_S = 1 / 25
"""The least time between two pictures of a stream."""

STALE_S = 1.0
"""A picture whose source gives no frames is made anew after this, for the words on it."""

_QUALITY = 80
_KEPT = 256  # wishes whose last picture is kept
_DIMMED = 0.35


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody looks at.

    Attributes:
        source: Its position; None for the grid of all.
        width: In pixels, one of ``WIDTHS``; None for the frame's own.
        plain: Without words on it where no frames come.
    """

    source: int | None
    width: int | None = None
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A picture, encoded.

    Attributes:
        data: The file.
        mark: Differs from that of the next one.
        size: (width, height) in pixels.
        captured: ``time.monotonic()`` when its frame was captured; of a grid the newest frame.
        made: ``time.monotonic()`` when it was encoded.
    """

    data: bytes
    mark: tuple[object, ...]
    size: tuple[int, int]
    captured: float
    made: float


@dataclass(frozen=True, slots=True)
class Tile:
    """A source as a picture shows it.

    Attributes:
        source: Its position.
        name: Its name.
        words: What is written on its last picture, such as "reconnecting, 12 s"; "" where frames
            come.
    """

    source: int
    name: str
    words: str


Seen = tuple[Tile, Shown | None]


class Pictures:
    """Encodes what is looked at, on threads of its own.

    Args:
        view: Where frames come.
        tiles: Tells the sources of now.
    """

    def __init__(self, view: LiveView, tiles: Callable[[], Sequence[Tile]]) -> None:
        self._view, self._tiles = view, tiles
        self._kept: OrderedDict[Wish, Jpeg] = OrderedDict()
        self._locks: dict[Wish, asyncio.Lock] = {}
        self._threads = ThreadPoolExecutor(2, "web-picture")
        self._came = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looking = 0
        self.encoded = 0
        """How many pictures were encoded."""

    @property
    def viewers(self) -> int:
        """How many look at streams now."""
        return self._looking

    def looking(self) -> Looking:
        """A context in which somebody looks at streams, so that new frames are told of."""
        return Looking(self)

    def begin(self) -> None:
        """Somebody begins to look; on the event loop."""
        self._looking += 1
        if self._looking == 1:
            self._loop = asyncio.get_running_loop()
            self._view.listen(self._told)

    def end(self) -> None:
        """Somebody looks no more."""
        self._looking -= 1
        if self._looking == 0:
            self._view.leave(self._told)

    def close(self) -> None:
        """Encode nothing any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def frame_came(self, seconds: float) -> None:
        """Wait for a frame of any source, or for so long."""
        came = self._came
        try:
            await asyncio.wait_for(came.wait(), seconds)
        except TimeoutError:
            return

    async def get(self, wish: Wish) -> Jpeg | None:
        """The picture of now; None where no frame came yet."""
        async with self._locks.setdefault(wish, asyncio.Lock()):
            # Frames that came while others waited for the lock count too.
            seen = self._seen(wish)
            if seen is None:
                return None
            kept = self._kept.get(wish)
            if kept is not None and kept.mark == _mark(seen):
                return kept
            loop = asyncio.get_running_loop()
            jpeg = await loop.run_in_executor(self._threads, self._encode, wish, seen)
            self._keep(wish, jpeg)
        return jpeg

    async def next(self, wish: Wish, before: Jpeg | None) -> Jpeg | None:
        """The picture after one that was seen; None where a second passed without one."""
        pause = 0.0 if before is None else before.made + FASTEST_S - time.monotonic()
        if pause > 0:
            await asyncio.sleep(pause)
        until = time.monotonic() + STALE_S
        while True:
            seen = self._seen(wish)
            if seen is not None and (before is None or _mark(seen) != before.mark):
                return await self.get(wish)
            left = until - time.monotonic()
            if left <= 0:
                return None
            await self.frame_came(left)

    def _told(self, source: int, shown: Shown) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._came.set()
        self._came = asyncio.Event()

    def _keep(self, wish: Wish, jpeg: Jpeg) -> None:
        self._kept[wish] = jpeg
        self._kept.move_to_end(wish)
        while len(self._kept) > _KEPT:
            gone, _ = self._kept.popitem(last=False)
            self._locks.pop(gone, None)

    def _seen(self, wish: Wish) -> list[Seen] | None:
        """What is to be shown: each source with its newest frame; None where there is nothing."""
        tiles = [t for t in self._tiles() if wish.source is None or t.source == wish.source]
        if wish.plain:
            tiles = [replace(tile, words="") for tile in tiles]
        seen = [(tile, self._view.newest(tile.source)) for tile in tiles]
        if not seen or (wish.source is not None and seen[0][1] is None):
            return None
        return seen

    def _encode(self, wish: Wish, seen: Sequence[Seen]) -> Jpeg:
        """On a thread: draw what is wanted, and make a JPEG of it."""
        if wish.source is None:
            image = _grid(seen, wish.width or GRID_WIDTH)
        else:
            tile, shown = seen[0]
            assert shown is not None
            image = _one(shown.rendered.image, wish.width, tile.words)
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


class Looking:
    """Somebody looks at streams, for as long as the context lasts."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    def __enter__(self) -> None:
        self._pictures.begin()

    def __exit__(self, *_: object) -> None:
        self._pictures.end()


def nearest_width(width: int | None) -> int | None:
    """The width of ``WIDTHS`` that serves for one that was asked for."""
    if width is None:
        return None
    return next((known for known in WIDTHS if known >= width), None)


def _mark(seen: Sequence[Seen]) -> tuple[object, ...]:
    """What tells one picture from the next: the frames, and the words on them."""
    return tuple((t.source, t.words, 0 if s is None else s.serial) for t, s in seen)


def _one(image: Image, width: int | None, words: str) -> Image:
    """A picture at a width, dimmed below words."""
    if width is not None and width < image.shape[1]:
        image = _resized(image, width, max(1, round(image.shape[0] * width / image.shape[1])))
    if words:
        image = _dimmed(image)
        size = TextSize.for_picture(image, 1.6)
        panel(image, [size.cut(words, image.shape[1] - 16)], 8, 8, size)
    return image


def _grid(seen: Sequence[Seen], width: int) -> Image:
    """All sources in tiles of 16:9, with their names."""
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
            _fit(shown.rendered.image, cell, bool(tile.words))
        lines = [line for line in (tile.name, tile.words) if line]
        panel(cell, [size.cut(line, w - 8) for line in lines], 4, 4, size)
    return image


def _dimmed(image: Image) -> Image:
    return np.asarray(cv2.convertScaleAbs(image, alpha=_DIMMED), np.uint8)


def _fit(image: Image, cell: Image, dimmed: bool) -> None:
    """Lay a picture into a cell, whole, in its middle."""
    scale = min(cell.shape[1] / image.shape[1], cell.shape[0] / image.shape[0])
    width, height = max(1, int(image.shape[1] * scale)), max(1, int(image.shape[0] * scale))
    small = _resized(image, width, height)
    if dimmed:
        small = _dimmed(small)
    left, top = (cell.shape[1] - width) // 2, (cell.shape[0] - height) // 2
    cell[top : top + height, left : left + width] = small


def _resized(image: Image, width: int, height: int) -> Image:
    smaller = width < image.shape[1]
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=way), np.uint8)
