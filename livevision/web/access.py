"""The role of a request, from a token, the cookie issued for one, or a proxy's header."""

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
    """Decides the role of a request.

    Tokens are compared in constant time. The cookie is signed with the token, so that it outlives a
    restart and becomes invalid with the token.

    Args:
        operate: Token for watching and changing; None for none.
        watch: Token for watching only; None for none.
        proxy_header: Header in which a reverse proxy on this machine passes the role.
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
        """Whether every request has the role operate."""
        return not self._tokens and self._header is None

    def role(self, headers: Mapping[str, str], cookie: str | None, peer: str) -> Role | None:
        """The role of a request; None for no access.

        Args:
            headers: By lower-case name.
            cookie: Its cookie ``COOKIE``, if any.
            peer: The client's IP address.

        Raises:
            TooMany: The client has sent too many wrong tokens.
        """
        if self.is_open:
            return "operate"
        if self._header is not None and _is_local(peer):
            role = headers.get(self._header, "")
            if role == "operate" or role == "watch":
                return "operate" if role == "operate" else "watch"
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.role_of_token(token.strip(), peer)
        return None if cookie is None else self._role_of_cookie(cookie)

    def role_of_token(self, token: str, peer: str) -> Role | None:
        """The role that a token gives; None if it is wrong.

        Raises:
            TooMany: The client has sent too many wrong tokens.
        """
        self._failures.check(peer)
        given, found = _digest(token), None
        for role, known in self._tokens.items():
            # All are compared, so that the time reveals nothing.
            if hmac.compare_digest(given, known):
                found = role
        if found is None:
            self._failures.note(peer)
        return found

    def cookie(self, role: Role) -> str:
        """A cookie that gives a role for 30 days."""
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


def _is_local(peer: str) -> bool:
    try:
        return ip_address(peer).is_loopback
    except ValueError:
        return False
