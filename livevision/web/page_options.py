"""The page's settings: its address, its tokens and its certificate."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from livevision.address import split_address
from livevision.errors import OutputError, UsageError
from livevision.output.target import PAGE
from livevision.redact import redact_uri
from livevision.web.access import Access

if TYPE_CHECKING:
    from livevision.config import Settings

OPERATE_TOKEN, WATCH_TOKEN = "LIVEVISION_WEB_TOKEN", "LIVEVISION_WEB_WATCH_TOKEN"
"""Environment variables with the tokens."""

DEFAULT_PORT = 8080
_FORM = "web://127.0.0.1:8080"
_MIN_TOKEN = 16  # characters


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """The address that a page is served on.

    Attributes:
        host: Host name or IP address, without brackets.
        port: TCP port; 0 for any free one.
    """

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def listen_address(uri: str) -> ListenAddress:
    """The host and port of an output such as ``web://127.0.0.1:8080``.

    Raises:
        UsageError: It has another form.
    """
    address = split_address(uri)
    wrong = address.user_info is not None or address.rest not in ("", "/")
    if wrong or not address.is_sound or not (address.host or address.port):
        raise UsageError(f"output {redact_uri(uri)!r}: the address of a page has the form {_FORM}")
    if not address.host:
        raise UsageError(f"output {uri!r}: the host is missing; write it as in {_FORM}")
    return ListenAddress(address.host.strip("[]"), int(address.port or DEFAULT_PORT))


def page_of(settings: Settings) -> str | None:
    """The address of a run's page, as given by ``--output``; None without a page."""
    return next((uri for uri in settings.output if uri.lower().startswith(f"{PAGE}:")), None)


def access_of(settings: Settings, address: ListenAddress) -> Access:
    """The access control of a page.

    Raises:
        UsageError: Other machines could reach the page without a token, or a token is weak.
        OutputError: A token's file cannot be read.
    """
    operate = _token(settings.web_token_file, OPERATE_TOKEN)
    watch = _token(settings.web_watch_token_file, WATCH_TOKEN)
    if operate is not None and operate == watch:
        raise UsageError("the tokens for watching and for operating are the same; use two")
    access = Access(operate, watch, settings.web_proxy_header)
    if access.is_open and not address.is_loopback:
        raise UsageError(
            f"other machines can reach a page on {address.host}, and there is no token: put one of "
            f"at least {_MIN_TOKEN} characters into {OPERATE_TOKEN} or --web-token-file FILE, or "
            f"serve on 127.0.0.1"
        )
    return access


def certificate_of(settings: Settings) -> tuple[str, str] | None:
    """Files of the certificate and its key, after a check; None for plain HTTP.

    Raises:
        OutputError: They cannot be read, or do not match.
    """
    if settings.web_cert is None or settings.web_key is None:
        return None
    for file in (settings.web_cert, settings.web_key):
        try:
            file.read_bytes()
        except OSError as error:
            raise OutputError(f"cannot read {file}: {error.strerror}") from None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            settings.web_cert, settings.web_key, password=_no_password
        )
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or str(error)
        cause = " ".join(str(reason).replace("_", " ").lower().split())
        raise OutputError(
            f"the certificate {settings.web_cert} and the key {settings.web_key} cannot be used: "
            f"{cause}; both must be PEM files, and the key must match and have no password"
        ) from None
    return str(settings.web_cert), str(settings.web_key)


def _no_password() -> str:
    raise ValueError("the key has a password")


def _token(file: Path | None, variable: str) -> str | None:
    if file is not None:
        try:
            token = file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise OutputError(f"cannot read the token in {file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise OutputError(f"cannot read the token in {file}: it is not text") from None
        where = str(file)
    else:
        token, where = os.environ.get(variable, "").strip(), variable
        if not token:
            return None
    if len(token) < _MIN_TOKEN or any(c.isspace() or not c.isprintable() for c in token):
        raise UsageError(
            f"the token in {where} must have at least {_MIN_TOKEN} characters and no spaces; "
            "create one with openssl rand -hex 24"
        )
    return token
