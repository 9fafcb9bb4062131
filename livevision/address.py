"""Splits a network address into its parts, as FFmpeg does, however malformed it is.

``urllib.parse`` rejects a password such as ``[x]``, and finds another host in ``p@ss#1`` than
FFmpeg, which makes the connection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

ENCODED = "percent-encoded: @ as %40, : as %3A, / as %2F, # as %23, ? as %3F, a space as %20"
"""How to write user names and passwords in an address."""

_PARTS = re.compile(
    r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://"
    r"(?P<authority>[^/?#]*)(?P<rest>.*)",
    re.DOTALL,
)
_HOST = re.compile(r"[\w.-]+|\[[0-9a-fA-F:.]+(%[\w.-]+)?\]")


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of an address.

    Attributes:
        scheme: Lower case, without ``:``; "" if the text has no ``://``.
        user_info: The part before the host's ``@``; None if there is none.
        host: With brackets if written so.
        port: "" if not given.
        rest: Path, query and fragment, unchanged.
    """

    scheme: str
    user_info: str | None
    host: str
    port: str
    rest: str

    @property
    def is_sound(self) -> bool:
        """Whether host and port are plausible, so that no user name or password was cut."""
        if not re.fullmatch(r"(\d{1,5})?", self.port):
            return False
        if not _HOST.fullmatch(self.host) and (self.host or not self.port or self.user_info):
            return False  # udp://@:1234 has no host
        if int(self.port or 0) > 65535:
            return False
        # To FFmpeg rtsp://me:12/34@host has the host "me", and rtsp://me:a@b#c@host the host "b".
        # So has http://me:80/@name, rightly.
        cut = (self.user_info or self.port) and "@" in self.rest
        return not cut or "." in self.host or self.host == "localhost" or self.is_number

    @property
    def is_number(self) -> bool:
        """Whether the host is an IP address."""
        try:
            ip_address(self.host.strip("[]"))
        except ValueError:
            return False
        return True

    @property
    def host_name(self) -> str:
        """The host for messages; "the host" if it may contain part of a password."""
        name = self.host.strip("[]")
        return "the host" if not name or "@" in self.rest else name


def split_address(uri: str) -> Address:
    """Split an address; without ``://`` all of it is ``rest``."""
    found = _PARTS.fullmatch(uri)
    if found is None:
        return Address("", None, "", "", uri)
    user_info, at, place = found["authority"].rpartition("@")
    if place.startswith("["):
        host, bracket, port = place.partition("]")
        host, port = host + bracket, port
    else:
        host, colon, port = place.partition(":")
        port = colon + port
    return Address(
        scheme=found["scheme"].lower(),
        user_info=user_info if at else None,
        host=host,
        # Without a colon it is no port.
        port=port[1:] if port.startswith(":") else port and f"?{port}",
        rest=found["rest"],
    )
