"""Where a page is served, and whether that is allowed without a token."""

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
_LEAST = 16  # characters of a token


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page is served.

    Attributes:
        host: Without brackets.
        port: 0 takes one that is free.
    """

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this machine reach it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def place_of(uri: str) -> Place:
    """The host and port of an output such as ``web://127.0.0.1:8080``.

    Raises:
        UsageError: It has none, or more than these.
    """
    address = split_address(uri)
    wrong = address.user_info is not None or address.rest not in ("", "/")
    if wrong or not address.is_sound or not (address.host or address.port):
        raise UsageError(f"output {redact_uri(uri)!r}: a page is written {_FORM}, and no more")
    if not address.host:
        raise UsageError(f"output {uri!r}: name the address to serve on too, as in {_FORM}")
    return Place(address.host.strip("[]"), int(address.port or DEFAULT_PORT))


def page_of(settings: Settings) -> str | None:
    """The output of a run that is a page; None where there is none."""
    return next((uri for uri in settings.output if uri.lower().startswith(f"{PAGE}:")), None)


def access_of(settings: Settings, place: Place) -> Access:
    """Who gets in.

    Raises:
        UsageError: The page could be reached from elsewhere without a token, or a token is weak.
        OutputError: A token's file cannot be read.
    """
    operate = _token(settings.web_token_file, OPERATE_TOKEN)
    watch = _token(settings.web_watch_token_file, WATCH_TOKEN)
    if operate is not None and operate == watch:
        raise UsageError("the tokens for watching and for changing are the same; take two")
    access = Access(operate, watch, settings.web_proxy_header)
    if access.is_open and not place.is_loopback:
        raise UsageError(
            f"a page on {place.host} can be reached by others, and no token was given: put one of "
            f"{_LEAST} characters or more into {OPERATE_TOKEN} or --web-token-file FILE, or serve "
            f"on 127.0.0.1"
        )
    return access


def certificate_of(settings: Settings) -> tuple[str, str] | None:
    """Files of the certificate and its key, seen to fit; None for http.

    Raises:
        OutputError: They cannot be read, or do not fit each other.
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
        told = " ".join(str(reason).replace("_", " ").lower().split())
        raise OutputError(
            f"the certificate {settings.web_cert} and the key {settings.web_key} cannot be used: "
            f"{told}; both are PEM files, and the key is the certificate's, without a password"
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
            raise OutputError(f"cannot read the token in {file}: it is no text") from None
        where = str(file)
    else:
        token, where = os.environ.get(variable, "").strip(), variable
        if not token:
            return None
    if len(token) < _LEAST or any(sign.isspace() or not sign.isprintable() for sign in token):
        raise UsageError(
            f"the token in {where} is {_LEAST} characters or more, without blanks; make one with "
            "openssl rand -hex 24"
        )
    return token
