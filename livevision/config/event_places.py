"""What kind of place events go to, by its suffix or scheme."""

from __future__ import annotations

from pathlib import Path

_STORES = (".sqlite", ".sqlite3", ".db")


def is_store(place: str) -> bool:
    """Whether a place of events is a store."""
    return "://" not in place and Path(place).suffix.lower() in _STORES


def is_lines(place: str) -> bool:
    """Whether a place of events is a file of lines, which needs no store."""
    return "://" not in place and Path(place).suffix.lower() == ".jsonl"
