"""HTTP connections with limits on their number and on the time a request may take to arrive."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from typing import Any, ClassVar

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from livevision.web.guard import App
from livevision.web.streaming import ABORT

HEAD_TIMEOUT_S = 10.0
"""Seconds for the head of a request to arrive, from its first byte or the connection."""

MAX_CONNECTIONS, MAX_PER_PEER = 256, 96
"""Maximum number of connections, in total and from one IP address."""

KEEP_ALIVE_S = 20
MAX_HEAD_BYTES = 32_768
MAX_MESSAGE_BYTES = 65_536

logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)


class Protocol(H11Protocol):
    """uvicorn's protocol; it drops clients that send nothing, or send too slowly."""

    _of_peer: ClassVar[Counter[str]]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, unless its client has too many."""
        super().connection_made(transport)
        self._head: asyncio.TimerHandle | None = None
        self.app_state = {**self.app_state, ABORT: transport.abort}
        self._peer: str | None = (peer := self.client[0] if self.client else "")
        self._of_peer[peer] += 1
        if self._of_peer[peer] > MAX_PER_PEER or self._of_peer.total() > MAX_CONNECTIONS:
            transport.abort()
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop counting a connection."""
        self._stop_waiting()
        self._left()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes; the timeout runs while a head is incomplete."""
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE and self.timeout_keep_alive_task is None:
            self._wait_for_head()
        else:
            self._stop_waiting()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over to a WebSocket."""
        self._stop_waiting()
        self._left()  # WebSockets have a limit of their own
        super().handle_websocket_upgrade(event)

    def _left(self) -> None:
        if self._peer is not None:
            self._of_peer[self._peer] -= 1
            if self._of_peer[self._peer] <= 0:
                del self._of_peer[self._peer]
            self._peer = None

    def _wait_for_head(self) -> None:
        if self._head is None:
            self._head = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None


def config(app: App, certificate: tuple[str, str] | None) -> uvicorn.Config:
    """Settings of uvicorn.

    Args:
        app: The application.
        certificate: Files of a certificate and its key; None for plain HTTP.
    """
    tls: dict[str, Any] = {}
    if certificate is not None:
        tls = {"ssl_certfile": certificate[0], "ssl_keyfile": certificate[1]}
        tls["ssl_version"] = ssl.PROTOCOL_TLS_SERVER
    return uvicorn.Config(
        app,
        http=type("Counted", (Protocol,), {"_of_peer": Counter()}),
        ws="websockets-sansio",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_max_queue=8,
        ws_per_message_deflate=False,
        **tls,
    )
