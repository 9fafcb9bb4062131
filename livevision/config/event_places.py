"""Kinds of event destination, by suffix or scheme."""

from __future__ import annotations

from pathlib import Path

_STORES = (".sqlite", ".sqlite3", ".db")


def is_store(place: str) -> bool:
    """Whether an event destination is a store (SQLite)."""
    return "://" not in place and Path(place).suffix.lower() in _STORES


def is_lines(place: str) -> bool:
    """Whether an event destination is a file of JSON lines, which needs no store."""
    return "://" not in place and Path(place).suffix.lower() == ".jsonl"
