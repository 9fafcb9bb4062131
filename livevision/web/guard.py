"""Checks before any request is handled: host, origin, rate and body; security headers on responses.

Every site that the user's browser shows can send requests to a page on 127.0.0.1. They are
recognised by ``Origin``, by ``Sec-Fetch-Site``, or by a ``Host`` that is the site's own name (DNS
rebinding). Programs send neither ``Origin`` nor ``Sec-Fetch-Site``.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from livevision.web.limits import Rate, TooMany

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CHANGING = ("POST", "PUT", "PATCH", "DELETE")
MAX_PICTURE_BYTES = 20_000_000
MAX_BODY_BYTES = 256_000
BODY_TIMEOUT_S = 20.0
"""Maximum size of a body in bytes, and seconds for it to arrive."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:\d{1,5})?", re.IGNORECASE)
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Refused(Exception):
    """A request that is refused; ``status`` is the HTTP status of the response."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Guard:
    """An ASGI middleware that refuses requests of other sites, and too many or too large ones.

    Args:
        app: The application.
        names: Host names of the page, beside this machine's own and IP addresses.
        secure: Whether it is served by TLS.
    """

    def __init__(self, app: App, names: Iterable[str] = (), secure: bool = False) -> None:
        own = socket.gethostname().lower()
        self._names = {"localhost", own, f"{own.partition('.')[0]}.local"}
        self._names |= {name.lower().strip("[]") for name in names}
        self._app, self._secure = app, secure
        self._rate = Rate(burst=300, per_second=60.0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if scope["type"] == "http":
            send = self._with_headers(send)
        try:
            self._check(scope)
        except TooMany as error:
            await refuse(scope, receive, send, 429, str(error), error.wait)
        except Refused as error:
            await refuse(scope, receive, send, error.status, str(error))
        else:
            body = receive if scope["type"] == "websocket" else _Body(scope, receive)
            try:
                await self._app(scope, body, send)
            except Refused as error:
                await refuse(scope, receive, send, error.status, str(error))

    def _check(self, scope: Scope) -> None:
        headers = headers_of(scope)
        self._rate.take(peer_of(scope))
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not self._is_ours(headers["host"]):
            raise Refused(421, "this page is not served under that name; see --web-host")
        upgrade = scope["type"] == "websocket"
        changing = upgrade or scope["method"] in CHANGING
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if changing and origin is not None and not self._same(origin, headers["host"]):
            raise Refused(403, "this request comes from another site")
        if site in (None, "same-origin", "none"):
            return
        # A link on another site may open the page; the other site cannot read it.
        shown = headers.get("sec-fetch-mode") == "navigate" and scope["path"] == "/"
        if changing or not shown:
            raise Refused(403, "this request comes from another site")

    def _is_ours(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].lower().strip("[]").rstrip(".")
        try:
            # An IP address is safe: DNS rebinding needs a name.
            ip_address(name)
        except ValueError:
            return name in self._names
        return True

    def _same(self, origin: str, host: str) -> bool:
        try:
            given = urlsplit(origin)
        except ValueError:
            return False
        if given.scheme not in ("http", "https") or (self._secure and given.scheme != "https"):
            return False
        default = ":443" if given.scheme == "https" else ":80"
        return given.netloc.lower().removesuffix(default) == host.lower().removesuffix(default)

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                there = {name for name, _ in given}
                ours = {**HEADERS, "cache-control": "no-store"}
                given += [
                    (name.encode(), value.encode())
                    for name, value in ours.items()
                    if name.encode() not in there
                ]
                message["headers"] = given
            await send(message)

        return sending


class _Body:
    """Receives a request's body, and refuses one that is too long or too slow."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._left = MAX_PICTURE_BYTES if scope["path"].endswith("/detect") else MAX_BODY_BYTES
        self._until = asyncio.get_running_loop().time() + BODY_TIMEOUT_S
        self._all = False
        length = headers_of(scope).get("content-length", "0")
        self._declared = int(length) if length.isdecimal() and len(length) < 18 else 0

    async def __call__(self) -> Message:
        if self._all:
            return await self._receive()
        if self._declared > self._left:
            raise Refused(413, f"the body has {self._declared} bytes; {self._left} are allowed")
        left = self._until - asyncio.get_running_loop().time()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, left))
        except TimeoutError:
            raise Refused(408, f"the body did not arrive within {BODY_TIMEOUT_S:.0f} s") from None
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self._declared = 0
            self._all = not message.get("more_body", False)
            if self._left < 0:
                raise Refused(413, "the body is longer than allowed")
        return message


def headers_of(scope: Scope) -> dict[str, str]:
    """A request's headers by lower-case name; of a repeated one, the last."""
    return {name.decode("latin-1").lower(): v.decode("latin-1") for name, v in scope["headers"]}


def peer_of(scope: Scope) -> str:
    """The client's IP address."""
    client = scope.get("client")
    return str(client[0]) if client else ""


async def refuse(
    scope: Scope, receive: Receive, send: Send, status: int, reason: str, wait: float | None = None
) -> None:
    """Send an error response."""
    if scope["type"] == "websocket":
        await receive()
        # Closing a WebSocket before it is accepted gives status 403.
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return
    from starlette.responses import JSONResponse

    headers = {"connection": "close"}
    if wait is not None:
        headers["retry-after"] = str(max(1, round(wait)))
    await JSONResponse({"error": reason}, status, headers)(scope, receive, send)
