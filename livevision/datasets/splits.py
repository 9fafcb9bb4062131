"""Names of splits, and their synonyms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from livevision.errors import UsageError, unknown

T = TypeVar("T")

_ALIASES = (("val", "valid", "validation"), ("train", "training"), ("test", "testing"))


def choose_split(
    available: Mapping[str, T], split: str | None, default: str, name: str
) -> tuple[str, T]:
    """The requested split, or the default one, by any of its usual names.

    Raises:
        UsageError: The data set has no such split.
    """
    wanted = split or default
    others = next((names for names in _ALIASES if wanted in names), (wanted,))
    for candidate in (wanted, *others):
        if candidate in available:
            return candidate, available[candidate]
    if not available:
        raise UsageError(f"{name} has no splits, so there is no {wanted!r}; leave out the split")
    raise UsageError(f"{name}: {unknown('split', wanted, available)}")


def is_split(name: str) -> bool:
    """Whether a folder or file of this name is one of the usual splits."""
    return bare(name) in {"trainval", *(alias for names in _ALIASES for alias in names)}


def bare(name: str) -> str:
    """A split's name without the year that COCO appends: val2017 is val."""
    return re.sub(r"(?<=[a-z])[_-]?20\d\d$", "", name)
