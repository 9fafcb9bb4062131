"""Normalises values that users write to the form that settings store."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from livevision.files import with_home

CLASSES = "class names or numbers, as person,car"
"""What a choice of classes must be, worded to follow "is not"."""


RECORD_MODES = ("off", "continuous", "on-event")
"""How a source is recorded."""

_DURATION = re.compile(r"([0-9.]+)\s*([a-z]*)")
_SECONDS = {
    **{"": 1.0, "ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0},
    **{"h": 3600.0, "d": 86400.0, "w": 604800.0},
}
_SIZE = re.compile(r"([0-9.]+)\s*([kmgt]?i?b?)")
_BYTES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}


def seconds_of(value: Any) -> Any:
    """A duration such as 5, ``5s``, ``2m`` or ``7d`` in seconds; anything else unchanged."""
    if not isinstance(value, str) or not (match := _DURATION.fullmatch(value.strip().lower())):
        return value
    number, unit = _number(match[1]), _SECONDS.get(match[2])
    return value if number is None or unit is None else number * unit


def record_mode(value: Any) -> Any:
    """How a source is recorded; YAML reads a plain ``off`` as false. Anything else unchanged."""
    return "off" if value is False else value


def bytes_of(value: Any) -> Any:
    """A size such as 500MB or 20GB in bytes; anything else unchanged."""
    if not isinstance(value, str) or not (match := _SIZE.fullmatch(value.strip().lower())):
        return value
    number, unit = _number(match[1]), match[2].removesuffix("b").removesuffix("i")
    return value if number is None else math.floor(number * _BYTES[unit])


def _number(written: str) -> float | None:
    try:
        return float(written)
    except ValueError:
        return None


def text(value: Any) -> Any:
    """A number or path as text, with ``~`` expanded; anything else unchanged."""
    if isinstance(value, int | Path) and not isinstance(value, bool):
        value = str(value)
    return str(with_home(value)) if isinstance(value, str) and value.startswith("~") else value


def texts(value: Any) -> Any:
    """One value or several as a tuple of texts."""
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple(text(item) for item in items)


def class_list(value: Any) -> Any:
    """Names and numbers of classes, from a list or comma-separated text.

    Raises:
        ValueError: Neither of these.
    """
    if value is None:
        return ()
    items = value if isinstance(value, list | tuple) else (value,)
    split = [p for item in items for p in (item.split(",") if isinstance(item, str) else [item])]
    names = [p.strip() if isinstance(p, str) else p for p in split]
    if "" in names or any(isinstance(n, bool) for n in names):
        raise ValueError(f"{value!r} is not {CLASSES}")
    return tuple(int(n) if isinstance(n, str) and n.isdecimal() else n for n in names)


def plain(name: str, value: Any) -> Any:
    """A setting's value in the form that YAML can hold and ``--config`` reads."""
    if name == "imgsz" and isinstance(value, tuple):
        return "x".join(map(str, value))
    if isinstance(value, list | tuple):
        return [plain("", item) for item in value]
    if isinstance(value, dict):
        return {key: plain("", item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value
