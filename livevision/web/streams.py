"""What goes on and on: pictures as MJPEG, results as server-sent events, both over WebSockets.

A viewer is sent what is newest when he has taken what he was sent before. One that takes nothing
for ``PATIENCE_S`` is let go.
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
from livevision.web.desk import Desk
from livevision.web.pictures import Jpeg, Pictures, Wish, nearest_width

BOUNDARY = "livevision-frame"
PATIENCE_S = 15.0
STATUS_S = 1.0
_UNSEEN = 2  # pictures that the page may have been sent and not shown yet
_WAITING = 256  # rows of results that wait for a reader
_HEARTBEAT_S = 10.0
_MOST_WATCHED = 128


async def mjpeg(pictures: Pictures, wish: Wish) -> AsyncIterator[bytes]:
    """The pictures of a wish as parts of ``multipart/x-mixed-replace``."""
    seen: Jpeg | None = None
    with pictures.looking():
        yield f"--{BOUNDARY}\r\n".encode()
        while True:
            jpeg = await pictures.next(wish, seen)
            if jpeg is None:
                if seen is None:
                    continue
                jpeg = seen  # so that a viewer who is gone is noticed
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg.data)}\r\n\r\n"
            # The boundary follows at once: browsers show a picture when they see its end.
            yield head.encode() + jpeg.data + f"\r\n--{BOUNDARY}\r\n".encode()
            seen = jpeg


class Rows:
    """The results of frames as they come, a bounded queue for one reader.

    Args:
        desk: The run.
        source: Position of the source; None for all.
    """

    def __init__(self, desk: Desk, source: int | None) -> None:
        self._desk, self._source = desk, source
        self._rows: deque[dict[str, Any]] = deque()
        self._came = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._missed = 0

    def __enter__(self) -> Rows:
        self._desk.view.listen(self._told)
        return self

    def __exit__(self, *_: object) -> None:
        self._desk.view.leave(self._told)

    async def next(self) -> dict[str, Any] | None:
        """The next row; None where none came for a while. ``missed`` tells of those left out."""
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

    def _told(self, source: int, shown: Shown) -> None:
        if self._source in (None, source) and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._take, source, shown)

    def _take(self, source: int, shown: Shown) -> None:
        try:
            row = self._desk.row(source, shown)
        except LookupError:
            return
        if len(self._rows) >= _WAITING:
            self._rows.popleft()
            self._missed += 1
        self._rows.append(row)
        self._came.set()


async def server_sent(desk: Desk, source: int | None) -> AsyncIterator[bytes]:
    """Results as server-sent events, each the JSON of a row; a comment now and then."""
    with Rows(desk, source) as rows:
        yield b": results\n\n"
        while True:
            row = await rows.next()
            if row is None:
                yield b": still here\n\n"
                continue
            yield f"event: result\ndata: {json.dumps(row, ensure_ascii=False)}\n\n".encode()


async def results(socket: WebSocket, desk: Desk, source: int | None) -> None:
    """Results over a WebSocket, a message a row."""
    await socket.accept()
    gone = asyncio.ensure_future(_until_closed(socket))
    try:
        with Rows(desk, source) as rows:
            while not gone.done():
                row = await rows.next()
                if row is not None:
                    await _patiently(socket.send_text(json.dumps(row, ensure_ascii=False)))
    except (WebSocketDisconnect, TimeoutError, RuntimeError):
        pass
    finally:
        gone.cancel()


class Live:
    """The page's connection: figures each second, and pictures of the sources that it shows.

    The page sends ``{"watch": {"0": 640}}``, sources and widths, and ``{"seen": 1}`` for each
    picture that it has shown. A picture is four bytes with the length of a JSON object, that
    object, and the JPEG.

    Args:
        socket: The connection.
        desk: The run.
        pictures: What encodes.
    """

    def __init__(self, socket: WebSocket, desk: Desk, pictures: Pictures) -> None:
        self._socket, self._desk, self._pictures = socket, desk, pictures
        self._wishes: dict[int, Wish] = {}
        self._sent: dict[int, Jpeg] = {}
        self._unseen = 0
        self._free = asyncio.Event()

    async def run(self) -> None:
        """Serve the page until it leaves."""
        await self._socket.accept()
        sending = asyncio.Lock()
        parts = [
            asyncio.ensure_future(self._hear()),
            asyncio.ensure_future(self._tell(sending)),
            asyncio.ensure_future(self._show(sending)),
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

    async def _hear(self) -> None:
        while True:
            text = await self._socket.receive_text()
            try:
                said = json.loads(text)
                watch = said.get("watch")
                if watch is not None:
                    self._watch(watch)
                if said.get("seen"):
                    self._unseen = max(0, self._unseen - 1)
                    self._free.set()
            except (ValueError, AttributeError, TypeError, RecursionError):
                await self._socket.close(1007, "not understood")
                return

    def _watch(self, watch: Mapping[str, Any]) -> None:
        wishes = {}
        for source, width in list(watch.items())[:_MOST_WATCHED]:
            position = int(source)
            wishes[position] = Wish(position, nearest_width(None if width is None else int(width)))
        self._wishes = wishes
        self._sent = {n: jpeg for n, jpeg in self._sent.items() if n in wishes}
        self._free.set()

    async def _tell(self, sending: asyncio.Lock) -> None:
        while True:
            rows = await asyncio.to_thread(self._desk.sources)
            told = {"run": self._desk.run(), "sources": rows, "viewers": self._pictures.viewers}
            async with sending:
                await _patiently(self._socket.send_text(json.dumps(told, ensure_ascii=False)))
            await asyncio.sleep(STATUS_S)

    async def _show(self, sending: asyncio.Lock) -> None:
        with self._pictures.looking():
            while True:
                while self._unseen >= _UNSEEN or not self._wishes:
                    self._free.clear()
                    await self._free.wait()
                if not await self._send_newer(sending):
                    await self._pictures.frame_came(1.0)

    async def _send_newer(self, sending: asyncio.Lock) -> bool:
        """Send a picture of each source that has a newer one; whether any had."""
        any_sent = False
        for source, wish in list(self._wishes.items()):
            if self._unseen >= _UNSEEN:
                return True
            before, shown = self._sent.get(source), self._desk.view.newest(source)
            if shown is None:
                continue
            # The page itself dims and writes, so that a picture is sent once.
            jpeg = await self._pictures.get(Wish(source, wish.width, plain=True))
            if jpeg is None or (before is not None and jpeg.mark == before.mark):
                continue
            self._sent[source] = jpeg
            self._unseen += 1
            age = round(1e3 * (time.monotonic() - jpeg.captured), 1)
            head = json.dumps({"source": source, "size": jpeg.size, "age_ms": age}).encode()
            async with sending:
                await _patiently(
                    self._socket.send_bytes(struct.pack(">I", len(head)) + head + jpeg.data)
                )
            any_sent = True
        return any_sent


async def _patiently(sending: Any) -> None:
    await asyncio.wait_for(sending, PATIENCE_S)


async def _until_closed(socket: WebSocket) -> None:
    try:
        while True:
            await socket.receive()
    except (WebSocketDisconnect, RuntimeError):
        return
