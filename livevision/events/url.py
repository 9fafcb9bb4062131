"""Addresses of receivers of events."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def split(url: str, schemes: tuple[str, ...]) -> tuple[SplitResult, str, int | None] | None:
    """The parts, host and port of an address; None if its scheme is another or its port invalid."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in schemes or not parts.hostname:
        return None
    return parts, parts.hostname, port
