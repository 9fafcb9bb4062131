"""Pictures for viewers as H.264: encoded while there are viewers, and once for all of them.

A slow viewer gets nothing until the next key frame, and slows nobody.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from livevision.errors import LivevisionError
from livevision.output.live_video import Fragment, LiveVideo
from livevision.output.live_view import LiveView, Shown
from livevision.web.pictures import (
    MIN_INTERVAL_S,
    STALE_AFTER_S,
    Pictures,
    PictureSpec,
    at_width,
)

log = logging.getLogger(__name__)

KEY_S = 2.0
"""Seconds between key frames, unless a viewer joins."""

_MIN_KEY_S = 0.5  # minimum time between key frames when viewers join
_MAX_WAITING = 50  # fragments that wait for a viewer
_MAX_WAITING_BYTES = 4_000_000


class Viewer:
    """A viewer of a video, with the fragments to send.

    Attributes:
        skipped: Pictures not sent, since the viewer was slow.
        over: Whether the video has ended.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self.over = False
        self._waiting: deque[Fragment] = deque()
        self._bytes = 0
        self._needs_key, self._began = True, False
        self._came = asyncio.Event()

    @property
    def is_new(self) -> bool:
        """Whether nothing has been sent yet."""
        return not self._began

    def offer(self, fragment: Fragment) -> None:
        """Add a new picture."""
        too_much = len(self._waiting) >= _MAX_WAITING or self._bytes > _MAX_WAITING_BYTES
        if too_much and not self._needs_key:
            self.skipped += len(self._waiting)
            self._waiting.clear()
            self._bytes, self._needs_key = 0, True
        if self._needs_key and not fragment.key:
            self.skipped += self._began
            return
        self._needs_key, self._began = False, True
        self._waiting.append(fragment)
        self._bytes += len(fragment.data)
        self._came.set()

    def end(self) -> None:
        """End the video."""
        self.over = True
        self._came.set()

    async def next(self) -> Fragment | None:
        """The next picture to send; None at the end."""
        while not self._waiting:
            if self.over:
                return None
            self._came.clear()
            await self._came.wait()
        fragment = self._waiting.popleft()
        self._bytes -= len(fragment.data)
        return fragment


class Videos:
    """Encodes videos for viewers, on threads of its own.

    Args:
        view: Holds the newest frames.
        pictures: Announces new frames.
        sources: Returns the positions of the current sources.

    Attributes:
        encoded: Number of encoded pictures.
    """

    def __init__(
        self, view: LiveView, pictures: Pictures, sources: Callable[[], Collection[int]]
    ) -> None:
        self.view, self.pictures, self.sources = view, pictures, sources
        self._streams: dict[PictureSpec, _Stream] = {}
        self.threads = ThreadPoolExecutor(2, "web-video")
        self.encoded = 0

    @property
    def active(self) -> int:
        """Number of videos being encoded."""
        return len(self._streams)

    def close(self) -> None:
        """Stop the threads; waiting pictures are discarded."""
        self.threads.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def watched(self, spec: PictureSpec) -> AsyncIterator[tuple[LiveVideo, Viewer]]:
        """A context for a viewer: the video, and the fragments to send.

        Raises:
            LivevisionError: The video cannot be encoded, or its source has been removed.
        """
        viewer = Viewer()
        with self.pictures.viewing():
            stream = self._streams.get(spec)
            if stream is None:
                stream = self._streams[spec] = _Stream(self, spec)
            stream.viewers.append(viewer)
            try:
                yield await asyncio.shield(stream.begun), viewer
            finally:
                stream.viewers.remove(viewer)
                if not stream.viewers:
                    stream.task.cancel()
                    self.ended(spec, stream)

    def ended(self, spec: PictureSpec, stream: _Stream) -> None:
        """Forget a video that has ended."""
        if self._streams.get(spec) is stream:
            del self._streams[spec]


class _Stream:
    """A video being encoded, and its viewers."""

    def __init__(self, videos: Videos, spec: PictureSpec) -> None:
        assert spec.source is not None
        self._videos, self._spec, self._source = videos, spec, spec.source
        self.viewers: list[Viewer] = []
        self.begun: asyncio.Future[LiveVideo] = asyncio.get_running_loop().create_future()
        self._video: LiveVideo | None = None
        self._last, self._key_at = 0, float("-inf")
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        error = LivevisionError("the source has been removed")
        try:
            await self._encode_all()
        except LivevisionError as failure:
            error = failure
            log.warning("H.264 for the page failed: %s", failure)
        finally:
            self._videos.ended(self._spec, self)
            if not self.begun.done() and self.viewers:
                self.begun.set_exception(error)
            for viewer in self.viewers:
                viewer.end()

    async def _encode_all(self) -> None:
        """Encode the newest frames until their size changes or the source is removed."""
        loop, videos = asyncio.get_running_loop(), self._videos
        while self._source in videos.sources():
            shown, now = videos.view.newest(self._source), time.monotonic()
            wants_key = self._wants_key(now)
            # A new viewer of a source without new frames gets its last picture.
            if shown is None or (shown.serial == self._last and not wants_key):
                await videos.pictures.frame_came(STALE_AFTER_S)
                continue
            self._last = shown.serial
            key = wants_key or now - self._key_at >= KEY_S
            fragment = await loop.run_in_executor(videos.threads, self._encoded, shown, key)
            if fragment is None:
                return
            if fragment.key:
                self._key_at = now
            if not self.begun.done():
                assert self._video is not None
                self.begun.set_result(self._video)
                await asyncio.sleep(0)  # lets waiting viewers continue
            for viewer in self.viewers:
                viewer.offer(fragment)
            await asyncio.sleep(max(0.0, now + MIN_INTERVAL_S - time.monotonic()))

    def _wants_key(self, now: float) -> bool:
        """Whether a new viewer waits for a key frame."""
        return now - self._key_at >= _MIN_KEY_S and any(v.is_new for v in self.viewers)

    def _encoded(self, shown: Shown, key: bool) -> Fragment | None:
        """Encode a picture, on a thread; None if its size has changed."""
        image = at_width(self._videos.view.picture(shown), self._spec.width)
        size = (image.shape[1], image.shape[0])
        if self._video is None:
            self._video = LiveVideo(size)
        if self._video.size != size:
            return None
        self._videos.encoded += 1
        return self._video.encode(image, shown.rendered.frame.wall_time, key=key)
