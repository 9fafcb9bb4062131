"""A source as H.264 over a WebSocket, for a browser's MediaSource.

The first message is a text, ``{"mime": …, "size": [w, h]}``; then come bytes: the head of an MP4,
and a fragment for each picture. The viewer acknowledges each fragment by any text. A viewer that
has not acknowledged for a second gets nothing more until it has, and continues at a key frame.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque

from starlette.websockets import WebSocket, WebSocketDisconnect

from livevision.errors import LivevisionError
from livevision.web.pictures import PictureSpec, nearest_width
from livevision.web.streams import SEND_TIMEOUT_S, within_timeout
from livevision.web.videos import Videos

ANOTHER, FAILED = 1012, 1011
"""Codes that close a socket: the video changes, so connect again; there is no video."""

_BEHIND_S = 1.0
_MAX_UNACKNOWLEDGED = 64


async def video(socket: WebSocket, videos: Videos, source: int, width: int | None) -> None:
    """Send a source until the viewer disconnects or the size of its pictures changes."""
    await socket.accept()
    connection = _Connection(socket)
    parts = [
        asyncio.ensure_future(connection.receive()),
        asyncio.ensure_future(
            connection.send(videos, PictureSpec(source, nearest_width(width), True))
        ),
    ]
    try:
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for part in parts:
            part.cancel()
        ends = await asyncio.gather(*parts, return_exceptions=True)
    for error in ends:
        expected = (WebSocketDisconnect, TimeoutError, RuntimeError, asyncio.CancelledError)
        if isinstance(error, BaseException) and not isinstance(error, expected):
            raise error


class _Connection:
    """One viewer's socket."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._unacknowledged: deque[float] = deque()
        self._acknowledged = asyncio.Event()

    async def receive(self) -> None:
        while True:
            await self._socket.receive_text()
            if self._unacknowledged:
                self._unacknowledged.popleft()
            self._acknowledged.set()

    async def send(self, videos: Videos, spec: PictureSpec) -> None:
        try:
            async with videos.watched(spec) as (video, viewer):
                head = json.dumps({"mime": video.mime, "size": video.size})
                await within_timeout(self._socket.send_text(head))
                await within_timeout(self._socket.send_bytes(video.head))
                while (fragment := await viewer.next()) is not None:
                    await self._acknowledgements()
                    self._unacknowledged.append(time.monotonic())
                    await within_timeout(self._socket.send_bytes(fragment.data))
            await self._socket.close(ANOTHER, "the video changes")
        except LivevisionError as error:
            await self._socket.close(FAILED, str(error)[:100])

    async def _acknowledgements(self) -> None:
        """Wait until the viewer has acknowledged enough; raises TimeoutError if it never does."""
        waiting = self._unacknowledged
        while waiting and (
            len(waiting) >= _MAX_UNACKNOWLEDGED or time.monotonic() - waiting[0] > _BEHIND_S
        ):
            self._acknowledged.clear()
            await asyncio.wait_for(self._acknowledged.wait(), SEND_TIMEOUT_S)
