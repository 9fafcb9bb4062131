"""The ASGI application: the page's files, the endpoints of the API and its WebSockets."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from livevision.web import streams, video_socket
from livevision.web.endpoint import Endpoint, Services, allowed
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
MAX_SOCKETS = 128
"""Maximum number of open WebSockets, of all clients together."""


def application(
    services: Services, names: tuple[str, ...] = (), more: Sequence[Endpoint] = ()
) -> App:
    """The application of a run, behind its guard.

    Args:
        services: What the handlers use.
        names: Host names that it is served under, see ``Guard``.
        more: Additional endpoints.
    """
    routes: list[BaseRoute] = [_route(endpoint, services) for endpoint in (*ENDPOINTS, *more)]
    sockets = _Sockets()
    routes += [
        WebSocketRoute(f"{BASE}/live", _live(services, sockets)),
        WebSocketRoute(f"{BASE}/results/ws", _results(services, sockets)),
        WebSocketRoute(f"{BASE}/sources/{{id}}/video", _video(services, sockets)),
        *(_file(path) for path in sorted(STATIC.iterdir()) if path.suffix in _TYPES),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _problem})
    app.router.redirect_slashes = False
    return Guard(app, names, services.secure)


def _route(endpoint: Endpoint, services: Services) -> Route:
    async def handle(request: Request) -> Response:
        return await endpoint(services, request)

    return Route(endpoint.path, handle, methods=[endpoint.method])


def _file(path: Path) -> Route:
    """A file of the page, read once. It contains no secrets and needs no token."""
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    headers = {"etag": tag, "cache-control": "no-cache"}
    media = _TYPES[path.suffix]

    async def send(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=media, headers=headers)

    return Route("/" if path.name == "index.html" else f"/static/{path.name}", send)


class _Sockets:
    """Counts open WebSockets, and limits their number."""

    def __init__(self) -> None:
        self._open = 0

    @asynccontextmanager
    async def one(self, socket: WebSocket, services: Services) -> AsyncIterator[bool]:
        """A context for serving a socket; its value says whether the socket was accepted."""
        refused = ""
        try:
            allowed(services.access, socket, "watch")
        except (Refused, TooMany) as error:
            refused = str(error)
        if self._open >= MAX_SOCKETS:
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


def _live(services: Services, sockets: _Sockets) -> Callable[[WebSocket], Awaitable[None]]:
    async def handle(socket: WebSocket) -> None:
        async with sockets.one(socket, services) as accepted:
            if accepted:
                await streams.Live(socket, services.facade, services.pictures).run()

    return handle


def _video(services: Services, sockets: _Sockets) -> Callable[[WebSocket], Awaitable[None]]:
    async def handle(socket: WebSocket) -> None:
        async with sockets.one(socket, services) as accepted:
            if accepted:
                await video(socket)

    async def video(socket: WebSocket) -> None:
        source = _number(socket.path_params["id"])
        text = socket.query_params.get("width")
        width = None if text is None else _number(text)
        if source is None or source not in services.facade.watched:
            await socket.close(1008, "there is no such source")
        elif text is not None and width is None:
            await socket.close(1008, "width must be a number")
        else:
            await video_socket.video(socket, services.videos, source, width)

    return handle


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _results(services: Services, sockets: _Sockets) -> Callable[[WebSocket], Awaitable[None]]:
    async def handle(socket: WebSocket) -> None:
        async with sockets.one(socket, services) as accepted:
            if accepted:
                await results(socket)

    async def results(socket: WebSocket) -> None:
        text = socket.query_params.get("source")
        if text is not None and not (text.isascii() and text.isdecimal()):
            await socket.close(1008, "source must be a number")
            return
        await streams.results(socket, services.facade, None if text is None else int(text))

    return handle


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
