"""Events to an HTTP server: a signed POST of JSON for each event.

The headers follow standardwebhooks.com, which has libraries to verify them: ``webhook-id``,
``webhook-timestamp`` and ``webhook-signature``, an HMAC-SHA256 of ``id.timestamp.body``. The id is
the event's, and is also sent as ``Idempotency-Key``, so that a receiver recognises repeats.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Sequence

from livevision.errors import UsageError
from livevision.events.sending import Sender, SendError
from livevision.events.store import Stored
from livevision.events.url import split
from livevision.redact import redact_uri
from livevision.version import __version__

_TIMEOUT_S = 10.0
_RETRYABLE = (408, 409, 425, 429)  # client errors after which a retry may succeed


class WebhookSender(Sender):
    """Posts events to a URL.

    Redirects are not followed. IP addresses of private networks are refused unless allowed, under
    any host name: whoever may set the URL may not be allowed to reach these networks.

    Args:
        url: http:// or https://.
        secret: Key of the signature; None for no signature.
        private: Whether addresses of this machine and of private networks are allowed.

    Raises:
        UsageError: The URL is invalid.
    """

    def __init__(self, url: str, secret: str | None = None, *, private: bool = False) -> None:
        self.name = redact_uri(url)
        found = split(url, ("http", "https"))
        if found is None:
            raise UsageError(f"{self.name!r}: an address has the form https://example.com/events")
        parts, self._host, port = found
        self._tls = parts.scheme == "https"
        self._port = port or (443 if self._tls else 80)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._authorization = None
        if parts.username is not None:
            words = f"{parts.username}:{parts.password or ''}".encode()
            self._authorization = "Basic " + base64.b64encode(words).decode()
        self._secret, self._private = secret, private
        self._connection: http.client.HTTPConnection | None = None

    def send(self, events: Sequence[Stored]) -> None:
        """Post events one by one.

        Raises:
            SendError: The server cannot be reached, or returns an error.
        """
        for done, event in enumerate(events):
            try:
                status, reason, after = self._post(event)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                text = str(error) or type(error).__name__
                raise SendError(f"cannot be reached: {text}", done) from None
            if 200 <= status < 300:
                continue
            refused = 400 <= status < 500 and status not in _RETRYABLE
            raise SendError(f"returned {status} {reason}", done, refused=refused, after=after)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, event: Stored) -> tuple[int, str, float | None]:
        body = event.text.encode(errors="backslashreplace")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"livevision/{__version__}",
            "Idempotency-Key": event.id,
            **signature_headers(event.id, body, self._secret, int(time.time())),
        }
        if self._authorization is not None:
            headers["Authorization"] = self._authorization
        if self._connection is None:
            self._connection = self._connected()
        self._connection.request("POST", self._path, body, headers)
        answer = self._connection.getresponse()
        answer.read(65536)
        if answer.will_close or not answer.isclosed():
            self.close()
        return answer.status, answer.reason, _seconds(answer.headers.get("Retry-After"))

    def _connected(self) -> http.client.HTTPConnection:
        """A connection to a checked IP address: a second look-up could return another one."""
        found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        refused: list[str] = []
        failed: OSError | None = None
        for *_, address in found:
            host = str(address[0])
            if not self._private and not is_public(host):
                refused.append(host)
                continue
            try:
                plain = socket.create_connection((host, self._port), _TIMEOUT_S)
                # Headers and body are two writes; Nagle's algorithm would delay the second.
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                failed = error
                continue
            kind = http.client.HTTPSConnection if self._tls else http.client.HTTPConnection
            connection = kind(self._host, self._port, timeout=_TIMEOUT_S)
            context = ssl.create_default_context()
            connection.sock = (
                context.wrap_socket(plain, server_hostname=self._host) if self._tls else plain
            )
            return connection
        if failed is not None:
            raise failed
        raise OSError(
            f"{self._host} is {', '.join(refused)}, an address of a private network; allow these "
            "with --events-private"
        )


def is_public(host: str) -> bool:
    """Whether an IP address is public, not of a private network."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return address.is_global and not address.is_multicast


def signature_headers(name: str, body: bytes, secret: str | None, now: int) -> dict[str, str]:
    """The headers that identify a message and sign it."""
    headers = {"webhook-id": name, "webhook-timestamp": str(now)}
    if secret is not None:
        content = f"{name}.{now}.".encode() + body
        digest = hmac.new(_key(secret), content, hashlib.sha256).digest()
        headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
    return headers


def _key(secret: str) -> bytes:
    """A secret as bytes: base64 after ``whsec_``, otherwise the text itself."""
    if secret.startswith("whsec_"):
        return base64.b64decode(secret.removeprefix("whsec_"))
    return secret.encode()


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:
        return None
