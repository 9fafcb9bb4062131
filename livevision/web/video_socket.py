"""A source as H.264 over a WebSocket, for a browser's MediaSource.

First a text, ``{"mime": …, "size": [w, h]}``, then messages of bytes: the head of an MP4, and a
fragment for each picture. The viewer answers each fragment with a text, whatever it says: who has
not answered for a second is sent nothing more until he has, and then goes on at a key frame.
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
"""Codes with which a socket is closed: what follows is another video; there is none."""

_BEHIND_S = 1.0
_MOST_UNSEEN = 64


async def video(socket: WebSocket, videos: Videos, source: int, width: int | None) -> None:
    """Send a source until its viewer leaves, or its pictures have another size."""
    await socket.accept()
    watching = _Watching(socket)
    parts = [
        asyncio.ensure_future(watching.hear()),
        asyncio.ensure_future(
            watching.show(videos, PictureSpec(source, nearest_width(width), True))
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


class _Watching:
    """One viewer's socket."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._unseen: deque[float] = deque()
        self._seen = asyncio.Event()

    async def hear(self) -> None:
        while True:
            await self._socket.receive_text()
            if self._unseen:
                self._unseen.popleft()
            self._seen.set()

    async def show(self, videos: Videos, spec: PictureSpec) -> None:
        try:
            async with videos.watched(spec) as (told, viewer):
                head = json.dumps({"mime": told.mime, "size": told.size})
                await within_timeout(self._socket.send_text(head))
                await within_timeout(self._socket.send_bytes(told.head))
                while (fragment := await viewer.next()) is not None:
                    await self._seen_so_far()
                    self._unseen.append(time.monotonic())
                    await within_timeout(self._socket.send_bytes(fragment.data))
            await self._socket.close(ANOTHER, "another video follows")
        except LivevisionError as error:
            await self._socket.close(FAILED, str(error)[:100])

    async def _seen_so_far(self) -> None:
        """Wait until the viewer has answered enough; TimeoutError where he never does."""
        while self._unseen and (
            len(self._unseen) >= _MOST_UNSEEN or time.monotonic() - self._unseen[0] > _BEHIND_S
        ):
            self._seen.clear()
            await asyncio.wait_for(self._seen.wait(), SEND_TIMEOUT_S)
