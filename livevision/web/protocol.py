"""HTTP connections with bounds: how many there are, and how long a request may take to come."""

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

HEAD_S = 10.0
"""Seconds within which the head of a request has to come, from its first byte or the connection."""

MOST_CONNECTIONS, MOST_OF_ONE = 256, 96
"""Connections at once, of all and of one address."""

KEEP_ALIVE_S = 20
LONGEST_HEAD = 32_768
LARGEST_MESSAGE = 65_536

logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)


class Protocol(H11Protocol):
    """uvicorn's, which drops who connects and says nothing, or says it letter by letter."""

    _of_peer: ClassVar[Counter[str]]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless its peer has too many."""
        super().connection_made(transport)
        self._head: asyncio.TimerHandle | None = None
        self.app_state = {**self.app_state, ABORT: transport.abort}
        self._peer: str | None = (peer := self.client[0] if self.client else "")
        self._of_peer[peer] += 1
        if self._of_peer[peer] > MOST_OF_ONE or self._of_peer.total() > MOST_CONNECTIONS:
            transport.abort()
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._stop_waiting()
        self._left()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take some bytes."""
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE and self.timeout_keep_alive_task is None:
            self._wait_for_head()
        else:
            self._stop_waiting()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection on."""
        self._stop_waiting()
        self._left()  # what comes now has bounds of its own
        super().handle_websocket_upgrade(event)

    def _left(self) -> None:
        if self._peer is not None:
            self._of_peer[self._peer] -= 1
            if self._of_peer[self._peer] <= 0:
                del self._of_peer[self._peer]
            self._peer = None

    def _wait_for_head(self) -> None:
        if self._head is None:
            self._head = self.loop.call_later(HEAD_S, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None


def config(app: App, certificate: tuple[str, str] | None) -> uvicorn.Config:
    """uvicorn's settings.

    Args:
        app: What is served.
        certificate: Files of a certificate and its key, for TLS.
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
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=LONGEST_HEAD,
        ws_max_size=LARGEST_MESSAGE,
        ws_max_queue=8,
        ws_per_message_deflate=False,
        **tls,
    )
