"""The application: the page's files, the interface for programs, and the sockets beside it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from livevision.web import streams
from livevision.web.endpoint import Endpoint, Rooms, allowed
from livevision.web.endpoints import BASE, ENDPOINTS
from livevision.web.guard import App, Guard, Refused
from livevision.web.limits import TooMany

STATIC = Path(__file__).parent / "static"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
MOST_SOCKETS = 128
"""WebSockets at once, of all readers together."""


def application(rooms: Rooms, names: tuple[str, ...] = ()) -> App:
    """The application of a run, guarded.

    Args:
        rooms: What its handlers work with.
        names: Names under which it is reached, see ``Guard``.
    """
    routes: list[BaseRoute] = [_route(endpoint, rooms) for endpoint in ENDPOINTS]
    sockets = _Sockets()
    routes += [
        WebSocketRoute(f"{BASE}/live", _live(rooms, sockets)),
        WebSocketRoute(f"{BASE}/results/ws", _results(rooms, sockets)),
        *(_file(path) for path in sorted(STATIC.iterdir()) if path.suffix in _TYPES),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _problem})
    app.router.redirect_slashes = False
    return Guard(app, names, rooms.secure)


def _route(endpoint: Endpoint, rooms: Rooms) -> Route:
    async def handle(request: Request) -> Response:
        return await endpoint(rooms, request)

    return Route(endpoint.path, handle, methods=[endpoint.method])


def _file(path: Path) -> Route:
    """A file of the page, read once; it holds no secret, and so is for everybody."""
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    headers = {"etag": tag, "cache-control": "no-cache"}
    media = _TYPES[path.suffix]

    async def give(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=media, headers=headers)

    return Route("/" if path.name == "index.html" else f"/static/{path.name}", give)


class _Sockets:
    """The WebSockets that are open, of which there are so many at most."""

    def __init__(self) -> None:
        self._open = 0

    @asynccontextmanager
    async def one(self, socket: WebSocket, rooms: Rooms) -> AsyncIterator[bool]:
        """A socket, as long as it is served; whether it is let in."""
        refused = ""
        try:
            allowed(rooms.access, socket, "watch")
        except (Refused, TooMany) as error:
            refused = str(error)
        if self._open >= MOST_SOCKETS:
            refused = refused or "too many sockets are open"
        if refused:
            await socket.close(1008, refused)
            yield False
            return
        self._open += 1
        try:
            yield True
        finally:
            self._open -= 1


def _live(rooms: Rooms, sockets: _Sockets) -> Callable[[WebSocket], Awaitable[None]]:
    async def handle(socket: WebSocket) -> None:
        async with sockets.one(socket, rooms) as let_in:
            if let_in:
                await streams.Live(socket, rooms.desk, rooms.pictures).run()

    return handle


def _results(rooms: Rooms, sockets: _Sockets) -> Callable[[WebSocket], Awaitable[None]]:
    async def handle(socket: WebSocket) -> None:
        async with sockets.one(socket, rooms) as let_in:
            if let_in:
                await results(socket)

    async def results(socket: WebSocket) -> None:
        wanted = socket.query_params.get("source")
        if wanted is not None and not (wanted.isascii() and wanted.isdecimal()):
            await socket.close(1008, "source is a number")
            return
        await streams.results(socket, rooms.desk, None if wanted is None else int(wanted))

    return handle


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
