"""Addresses that events are delivered to."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def split(url: str, schemes: tuple[str, ...]) -> tuple[SplitResult, str, int | None] | None:
    """The parts of an address, its host and its port; None if it is none of these schemes."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in schemes or not parts.hostname:
        return None
    return parts, parts.hostname, port
