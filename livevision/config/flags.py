"""Command-line metadata of a settings field: help heading, placeholder, choices, allowed values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class Flag:
    """How a setting appears on the command line and in messages.

    Attributes:
        group: Heading in the help.
        metavar: Placeholder of its value; empty for a switch.
        short: One-letter form such as "-v", if it has one.
        choices: All allowed values, if they can be listed.
        allowed: What the value must be, worded to follow "is not"; derived from type and bounds
            by default.
        bare: Value of the flag when it is given without one; None if a value is required.
    """

    group: str
    metavar: str = ""
    short: str = ""
    choices: tuple[str, ...] = ()
    allowed: str = ""
    bare: str = ""


def has_flag(field: FieldInfo) -> bool:
    """Whether a setting has a flag; the others are for YAML files and Python only."""
    return any(isinstance(item, Flag) for item in field.metadata)


def flag_of(field: FieldInfo) -> Flag:
    """The flag of the setting with this field."""
    return next(item for item in field.metadata if isinstance(item, Flag))


def kind_of(field: FieldInfo) -> Any:
    """The type of a field's value without `None`: bool, int, float, str, Path or a tuple type."""
    if get_origin(field.annotation) in (Union, UnionType):
        return next(a for a in get_args(field.annotation) if a is not type(None))
    return field.annotation


def allowed(field: FieldInfo) -> str:
    """What the value must be, worded to follow "is not": "a number from 0 to 1"."""
    flag = flag_of(field)
    if flag.allowed:
        return flag.allowed
    if flag.choices:
        return " or ".join(flag.choices)
    nouns = {bool: "true or false", int: "a whole number", float: "a number", Path: "a file name"}
    text = nouns.get(kind_of(field), "a text, or a list of texts")
    low, high = (
        next((getattr(m, side) for m in field.metadata if hasattr(m, side)), None)
        for side in ("ge", "le")
    )
    text += f" from {low}" if low is not None else ""
    return text + (f" to {high}" if high is not None else "")
