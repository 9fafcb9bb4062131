"""Refuses and notes every connection to anywhere but this machine, in each Python that starts.

Python imports a module of this name when it starts and finds it on PYTHONPATH, where
tests/conftest.py puts this folder. What was tried is appended, one line each, to the file that
``LIVEVISION_TEST_CONNECTIONS`` names: refusing alone would not do, since who reports home does so
on a thread of its own and hides its errors.
"""

from __future__ import annotations

import ipaddress
import os
import sys
import traceback
from typing import Any

NOTES = "LIVEVISION_TEST_CONNECTIONS"
_OWN_NAME = os.uname().nodename  # which torchrun asks the full form of
_EVENTS = {
    # Which argument of the event tells the other end.
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
}


def is_here(address: Any) -> bool:
    """Whether an address, as Python's sockets take it, is of this machine."""
    host = address
    if isinstance(address, tuple):
        if len(address) < 2:
            return True  # neither IPv4 nor IPv6: the kernel's own
        host = address[0]
    if isinstance(host, bytes | bytearray):
        host = bytes(host).decode(errors="replace")
    if not isinstance(host, str) or "/" in host or "\0" in host:
        return True  # no host, or the path of a Unix socket
    # A name that ends so belongs to nobody, by RFC 6761; tests ask for it to find none.
    if host in ("", "localhost", _OWN_NAME) or host.endswith(".invalid"):
        return True
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return found.is_loopback or found.is_unspecified


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    place = _EVENTS.get(event)
    if place is None or is_here(arguments[place]):
        return
    file = os.environ.get(NOTES)
    if file:
        where = [f"{f.filename}:{f.lineno}" for f in traceback.extract_stack()[-6:-1]]
        with open(file, "a") as notes:  # noqa: PTH123 - as little imported as can be
            notes.write(f"{event} {arguments[place]!r} from {' < '.join(reversed(where))}\n")
    raise PermissionError(f"tests connect to nothing but this machine: {arguments[place]!r}")


sys.addaudithook(_watch)
