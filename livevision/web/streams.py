"""Streams: pictures as MJPEG, results as server-sent events, and both over WebSockets.

A client gets the newest picture once it has received the one before. A client that receives
nothing for ``SEND_TIMEOUT_S`` is disconnected.
"""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from livevision.output.live_view import Shown
from livevision.web.pictures import Jpeg, Pictures, PictureSpec, nearest_width
from livevision.web.run_facade import RunFacade

BOUNDARY = "livevision-frame"
SEND_TIMEOUT_S = 15.0
STATUS_S = 1.0
_MAX_UNACKNOWLEDGED = 2  # pictures sent to the page that it has not shown yet
_MAX_ROWS = 256  # rows of results that wait for a client
_HEARTBEAT_S = 10.0
_MAX_WATCHED = 128


async def mjpeg(pictures: Pictures, spec: PictureSpec) -> AsyncIterator[bytes]:
    """A stream of pictures as parts of ``multipart/x-mixed-replace``."""
    seen: Jpeg | None = None
    with pictures.viewing():
        yield f"--{BOUNDARY}\r\n".encode()
        while True:
            jpeg = await pictures.next(spec, seen)
            if jpeg is None:
                if seen is None:
                    continue
                jpeg = seen  # sent again, so that a disconnected client is noticed
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg.data)}\r\n\r\n"
            # The boundary follows at once: browsers show a picture when they receive its end.
            yield head.encode() + jpeg.data + f"\r\n--{BOUNDARY}\r\n".encode()
            seen = jpeg


class Rows:
    """Results of new frames, in a bounded queue for one client.

    Args:
        facade: The run.
        source: Position of the source; None for all.
    """

    def __init__(self, facade: RunFacade, source: int | None) -> None:
        self._facade, self._source = facade, source
        self._rows: deque[dict[str, Any]] = deque()
        self._came = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._missed = 0

    def __enter__(self) -> Rows:
        self._facade.view.listen(self._on_frame)
        return self

    def __exit__(self, *_: object) -> None:
        self._facade.view.leave(self._on_frame)

    async def next(self) -> dict[str, Any] | None:
        """The next row, with the number ``missed`` if the queue was full; None on timeout."""
        if not self._rows:
            self._came.clear()
            try:
                await asyncio.wait_for(self._came.wait(), _HEARTBEAT_S)
            except TimeoutError:
                return None
        row = self._rows.popleft()
        if self._missed:
            row, self._missed = {**row, "missed": self._missed}, 0
        return row

    def _on_frame(self, source: int, shown: Shown) -> None:
        if self._source in (None, source) and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._take, source, shown)

    def _take(self, source: int, shown: Shown) -> None:
        try:
            row = self._facade.row(source, shown)
        except LookupError:
            return
        if len(self._rows) >= _MAX_ROWS:
            self._rows.popleft()
            self._missed += 1
        self._rows.append(row)
        self._came.set()


async def server_sent(facade: RunFacade, source: int | None) -> AsyncIterator[bytes]:
    """Results as server-sent events, each a row as JSON; comments keep the connection alive."""
    with Rows(facade, source) as rows:
        yield b": results\n\n"
        while True:
            row = await rows.next()
            if row is None:
                yield b": heartbeat\n\n"
                continue
            yield f"event: result\ndata: {json.dumps(row, ensure_ascii=False)}\n\n".encode()


async def results(socket: WebSocket, facade: RunFacade, source: int | None) -> None:
    """Send results over a WebSocket, one message per row."""
    await socket.accept()
    gone = asyncio.ensure_future(_until_closed(socket))
    try:
        with Rows(facade, source) as rows:
            while not gone.done():
                row = await rows.next()
                if row is not None:
                    await within_timeout(socket.send_text(json.dumps(row, ensure_ascii=False)))
    except (WebSocketDisconnect, TimeoutError, RuntimeError):
        pass
    finally:
        gone.cancel()


class Live:
    """The page's WebSocket: figures each second, and pictures of the sources that it shows.

    The page sends ``{"watch": {"0": 640}}``, sources and widths, and ``{"seen": 1}`` for each
    picture that it has shown. A picture is sent as four bytes with the length of a JSON object,
    the object, and the JPEG.

    Args:
        socket: The connection.
        facade: The run.
        pictures: Encodes the pictures.
    """

    def __init__(self, socket: WebSocket, facade: RunFacade, pictures: Pictures) -> None:
        self._socket, self._facade, self._pictures = socket, facade, pictures
        self._specs: dict[int, PictureSpec] = {}
        self._sent: dict[int, Jpeg] = {}
        self._unacknowledged = 0
        self._free = asyncio.Event()

    async def run(self) -> None:
        """Serve the page until it disconnects."""
        await self._socket.accept()
        sending = asyncio.Lock()
        parts = [
            asyncio.ensure_future(self._receive()),
            asyncio.ensure_future(self._send_status(sending)),
            asyncio.ensure_future(self._send_pictures(sending)),
        ]
        done, left = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        for part in left:
            part.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for part in done:
            error = part.exception()
            if error is not None and not isinstance(
                error, WebSocketDisconnect | TimeoutError | RuntimeError
            ):
                raise error

    async def _receive(self) -> None:
        while True:
            text = await self._socket.receive_text()
            try:
                message = json.loads(text)
                watch = message.get("watch")
                if watch is not None:
                    self._watch(watch)
                if message.get("seen"):
                    self._unacknowledged = max(0, self._unacknowledged - 1)
                    self._free.set()
            except (ValueError, AttributeError, TypeError, RecursionError):
                await self._socket.close(1007, "invalid message")
                return

    def _watch(self, watch: Mapping[str, Any]) -> None:
        specs = {}
        for source, width in list(watch.items())[:_MAX_WATCHED]:
            position = int(source)
            specs[position] = PictureSpec(
                position, nearest_width(None if width is None else int(width))
            )
        self._specs = specs
        self._sent = {n: jpeg for n, jpeg in self._sent.items() if n in specs}
        self._free.set()

    async def _send_status(self, sending: asyncio.Lock) -> None:
        while True:
            rows = await asyncio.to_thread(self._facade.sources)
            viewers = self._pictures.viewers
            status = {"run": self._facade.run(), "sources": rows, "viewers": viewers}
            async with sending:
                text = json.dumps(status, ensure_ascii=False)
                await within_timeout(self._socket.send_text(text))
            await asyncio.sleep(STATUS_S)

    async def _send_pictures(self, sending: asyncio.Lock) -> None:
        with self._pictures.viewing():
            while True:
                while self._unacknowledged >= _MAX_UNACKNOWLEDGED or not self._specs:
                    self._free.clear()
                    await self._free.wait()
                if not await self._send_newer(sending):
                    await self._pictures.frame_came(1.0)

    async def _send_newer(self, sending: asyncio.Lock) -> bool:
        """Send each source's picture if there is a newer one; whether any was sent."""
        any_sent = False
        for source, spec in list(self._specs.items()):
            if self._unacknowledged >= _MAX_UNACKNOWLEDGED:
                return True
            before, shown = self._sent.get(source), self._facade.view.newest(source)
            if shown is None:
                continue
            # The page dims the picture and writes on it, so that it need not be sent again.
            jpeg = await self._pictures.get(PictureSpec(source, spec.width, plain=True))
            if jpeg is None or (before is not None and jpeg.mark == before.mark):
                continue
            self._sent[source] = jpeg
            self._unacknowledged += 1
            age = round(1e3 * (time.monotonic() - jpeg.captured), 1)
            head = json.dumps({"source": source, "size": jpeg.size, "age_ms": age}).encode()
            async with sending:
                await within_timeout(
                    self._socket.send_bytes(struct.pack(">I", len(head)) + head + jpeg.data)
                )
            any_sent = True
        return any_sent


async def within_timeout(sending: Any) -> None:
    """Send; TimeoutError if the client receives nothing for ``SEND_TIMEOUT_S``."""
    await asyncio.wait_for(sending, SEND_TIMEOUT_S)


async def _until_closed(socket: WebSocket) -> None:
    try:
        while True:
            await socket.receive()
    except (WebSocketDisconnect, RuntimeError):
        return
