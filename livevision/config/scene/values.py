"""Parsers of values in a scene: points, durations and comparisons."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from livevision.errors import UsageError

Point = tuple[float, float]
Points = tuple[Point, ...]

_UNITS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_DURATION = re.compile(r"\s*([0-9.]+)\s*([a-z]*)\s*")
_COMPARISON = re.compile(r"\s*(>=|<=|==|=|>|<)?\s*([0-9.]+)\s*([a-z%]*)\s*")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A bound such as ``>= 3``."""

    sign: str
    bound: float

    def holds(self, value: float) -> bool:
        """Whether a value satisfies the bound."""
        return _COMPARE[self.sign](value, self.bound)

    def __str__(self) -> str:
        return f"{self.sign} {self.bound:g}"


def points(value: Any, where: str, least: int) -> Points:
    """Parse the corners of a shape: x and y, as fractions of the frame or in pixels.

    Raises:
        UsageError: Not such a list, or fewer than ``least`` points.
    """
    wanted = (
        f"{least} points or more" if least > 2 else "2 points"
    ) + " such as [[0.1, 0.5], [0.9, 0.5]]"
    if not isinstance(value, list | tuple) or len(value) < least:
        raise UsageError(f"{where}: {value!r} is not {wanted}")
    read = []
    for point in value:
        if not isinstance(point, list | tuple) or len(point) != 2:
            raise UsageError(f"{where}: {point!r} is not a point such as [0.1, 0.5]")
        for number in point:
            finite = isinstance(number, int | float) and math.isfinite(number)
            if isinstance(number, bool) or not finite or number < 0:
                raise UsageError(f"{where}: {number!r} in {point!r} is not a number from 0")
        read.append((float(point[0]), float(point[1])))
    return tuple(read)


def in_pixels(shape: Points, size: tuple[int, int]) -> Points:
    """Convert a shape to pixels of a (width, height) frame; numbers all up to 1 are fractions."""
    if any(number > 1 for point in shape for number in point):
        return shape
    return tuple((x * size[0], y * size[1]) for x, y in shape)


def seconds(value: Any, where: str) -> float:
    """Parse a duration such as 120, ``90s``, ``2m`` or ``1h`` to seconds.

    Raises:
        UsageError: Not a duration.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if 0 <= value < math.inf:
            return float(value)
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        number, unit = _number(match[1]), match[2] or "s"
        if number is not None and unit in _UNITS:
            return number * _UNITS[unit]
    raise UsageError(f"{where}: {value!r} is not a duration such as 90s, 2m or 1h")


def comparison(value: Any, where: str, unit: str = "") -> Comparison:
    """Parse a bound such as ``>= 3``; a bare number means at least that.

    Args:
        value: The value as written.
        where: Its location, for messages.
        unit: "s" for a duration, "%" for a share; a share is stored as 0..1.

    Raises:
        UsageError: Not a bound.
    """
    example = {"s": "> 60s", "%": "> 30%"}.get(unit, ">= 3")
    text = str(value) if isinstance(value, int | float | str) else ""
    match = None if isinstance(value, bool) else _COMPARISON.fullmatch(text)
    number = _number(match[2]) if match else None
    if match is None or number is None:
        raise UsageError(f"{where}: {value!r} is not a bound such as {example!r}")
    sign = {None: ">=", "=": "=="}.get(match[1], match[1])
    if unit == "s":
        number = seconds(f"{match[2]}{match[3]}", where)
    elif unit == "%" and match[3] == "%":
        number /= 100
    elif match[3]:
        raise UsageError(f"{where}: {value!r} is not a bound such as {example!r}")
    if unit == "%" and number > 1:
        raise UsageError(f"{where}: {value!r} is not a share: give '> 30%' or '> 0.3'")
    return Comparison(sign, number)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
