"""Who may watch and who may operate: tokens, the cookie that stands for one, a proxy's header."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Literal

from livevision.web.limits import Attempts

Role = Literal["watch", "operate"]

COOKIE = "livevision"
COOKIE_S = 30 * 86400


class Access:
    """Tells the role of a request.

    Tokens are compared in constant time. The cookie is signed with the token, so that it outlives a
    restart and ends with the token.

    Args:
        operate: Token of those who may change things; None for none.
        watch: Token of those who may watch; None for none.
        proxy_header: Name of the header in which a reverse proxy on this machine says the role.
    """

    def __init__(
        self, operate: str | None = None, watch: str | None = None, proxy_header: str | None = None
    ) -> None:
        self._tokens: dict[Role, bytes] = {}
        if operate is not None:
            self._tokens["operate"] = _digest(operate)
        if watch is not None:
            self._tokens["watch"] = _digest(watch)
        self._header = None if proxy_header is None else proxy_header.lower()
        self._failures = Attempts(most=10, within=60.0)

    @property
    def is_open(self) -> bool:
        """Whether whoever reaches the page may do everything."""
        return not self._tokens and self._header is None

    def role(self, headers: Mapping[str, str], cookie: str | None, peer: str) -> Role | None:
        """What a request may do; None for nothing.

        Args:
            headers: By lower-case name.
            cookie: Its cookie ``COOKIE``, if it has one.
            peer: The address that it came from.

        Raises:
            TooMany: Too many wrong tokens came from there.
        """
        if self.is_open:
            return "operate"
        if self._header is not None and _is_here(peer):
            told = headers.get(self._header, "")
            if told == "operate" or told == "watch":
                return "operate" if told == "operate" else "watch"
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.role_of_token(token.strip(), peer)
        return None if cookie is None else self._role_of_cookie(cookie)

    def role_of_token(self, token: str, peer: str) -> Role | None:
        """What the bearer of a token may do; None for a wrong one.

        Raises:
            TooMany: Too many wrong tokens came from there.
        """
        self._failures.check(peer)
        given, found = _digest(token), None
        for role, known in self._tokens.items():
            # All of them, so that the time tells nothing.
            if hmac.compare_digest(given, known):
                found = role
        if found is None:
            self._failures.note(peer)
        return found

    def cookie(self, role: Role) -> str:
        """A cookie that stands for a token for 30 days."""
        until = int(time.time()) + COOKIE_S
        return f"{role}.{until}.{self._signature(role, until)}"

    def _role_of_cookie(self, cookie: str) -> Role | None:
        role, _, rest = cookie.partition(".")
        until, _, signature = rest.partition(".")
        known = next((one for one in self._tokens if one == role), None)
        if known is None:
            return None
        if not until.isascii() or not until.isdecimal() or len(until) > 12:
            return None
        right = self._signature(known, int(until))
        if not hmac.compare_digest(signature.encode(errors="replace"), right.encode()):
            return None
        return known if time.time() < int(until) else None

    def _signature(self, role: Role, until: int) -> str:
        text = f"livevision cookie {role} {until}".encode()
        return hmac.new(self._tokens[role], text, hashlib.sha256).hexdigest()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()


def _is_here(peer: str) -> bool:
    try:
        return ip_address(peer).is_loopback
    except ValueError:
        return False
