"""A response that is sent until the client disconnects or stops reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from livevision.web.streams import SEND_TIMEOUT_S

ABORT = "livevision_abort"
"""Key of a request's state: a function that drops its connection at once."""


class Streaming(Response):
    """A response sent part by part.

    Args:
        parts: The parts.
        content_type: Media type of the response.
    """

    def __init__(self, parts: AsyncIterator[bytes], content_type: str) -> None:
        super().__init__(b"", media_type=None)
        self._parts = cast("AsyncGenerator[bytes]", parts)
        # A proxy that buffers the response would wait for ever.
        self._named = [(b"content-type", content_type.encode()), (b"x-accel-buffering", b"no")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the parts until the client disconnects; none for a HEAD request."""
        if scope["method"] == "HEAD":
            await self._parts.aclose()
            await send({"type": "http.response.start", "status": 200, "headers": self._named})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        leaving = asyncio.ensure_future(_disconnected(receive))
        sending = asyncio.ensure_future(self._send(scope, send))
        try:
            await asyncio.wait({leaving, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (leaving, sending):
                task.cancel()
            await asyncio.gather(leaving, sending, return_exceptions=True)

    async def _send(self, scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._named})
        async with aclosing(self._parts) as parts:
            async for part in parts:
                message = {"type": "http.response.body", "body": part, "more_body": True}
                try:
                    await asyncio.wait_for(send(message), SEND_TIMEOUT_S)
                except TimeoutError:
                    scope.get("state", {}).get(ABORT, lambda: None)()
                    return


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
