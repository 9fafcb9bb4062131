"""Reads a scene from YAML or a mapping, with one-line error messages.

lines: {gate: {points: [[0.1, 0.5], [0.9, 0.5]]}}
zones: {till: {points: [[0.1, 0.2], [0.4, 0.2], [0.4, 0.9]], classes: [person]}}
ignore: [[[0, 0], [0.2, 0], [0.2, 0.1], [0, 0.1]]]
rules: {queue: {when: {zone: till, count: ">= 3", for: 2m}, cooldown: 10m}}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from livevision.config.scene.parts import ANCHORS, Line, Scene, Zone
from livevision.config.scene.rule import CROSSINGS, DAYS, WAYS, Rule, Schedule, When
from livevision.config.scene.values import comparison, points, seconds
from livevision.errors import UsageError, unknown

PARTS = ("lines", "zones", "ignore", "rules")
"""The keys of a scene."""

_MEASURES = {"count": "", "queue": "", "dwell": "s", "share": "%"}
_OPPOSITE = {">=": "<", "<=": ">", ">": "<=", "<": ">=", "==": "=="}


def read_scene(file: Path) -> Scene:
    """Read the scene in a YAML file.

    Raises:
        UsageError: The file cannot be read, or a value is not allowed.
    """
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{file}: not valid YAML: {reason}") from None
    return scene_of({} if content is None else content, str(file))


def scene_of(content: Any, where: str = "scene") -> Scene:
    """Read a scene from a mapping with lines, zones, ignore and rules.

    Args:
        content: The mapping.
        where: Its name in messages.

    Raises:
        UsageError: A value is not allowed.
    """
    parts = _mapping(content, where, PARTS)
    lines = tuple(
        _line(name, each, f"{where}: line {name!r}")
        for name, each in _named(parts.get("lines"), f"{where}: lines")
    )
    zones = tuple(
        _zone(name, each, f"{where}: zone {name!r}")
        for name, each in _named(parts.get("zones"), f"{where}: zones")
    )
    ignored = parts.get("ignore") or ()
    if not isinstance(ignored, list | tuple):
        raise UsageError(f"{where}: ignore: {ignored!r} is not a list of regions")
    known = {"zone": [z.name for z in zones], "line": [line.name for line in lines]}
    return Scene(
        lines=lines,
        zones=zones,
        ignore=tuple(points(each, f"{where}: ignore", 3) for each in ignored),
        rules=tuple(
            _rule(name, each, known, f"{where}: rule {name!r}")
            for name, each in _named(parts.get("rules"), f"{where}: rules")
        ),
    )


def _line(name: str, content: Any, where: str) -> Line:
    given = _mapping(content, where, ("points", "classes", "anchor"))
    ends = points(given.get("points"), where, 2)
    if len(ends) != 2 or ends[0] == ends[1]:
        raise UsageError(f"{where}: a line has two ends that differ, and {list(ends)} was given")
    return Line(name, ends, _classes(given.get("classes"), where), _anchor(given, where))


def _zone(name: str, content: Any, where: str) -> Zone:
    allowed = ("points", "classes", "anchor", "grace", "queue-after")
    given = _mapping(content, where, allowed)
    more = {
        key.replace("-", "_"): seconds(given[key], f"{where}: {key}")
        for key in ("grace", "queue-after")
        if key in given
    }
    corners = points(given.get("points"), where, 3)
    if _area(corners) == 0:
        raise UsageError(f"{where}: {list(corners)} encloses nothing")
    classes = _classes(given.get("classes"), where)
    return Zone(name, corners, classes, _anchor(given, where), **more)


def _rule(name: str, content: Any, known: Mapping[str, list[str]], where: str) -> Rule:
    given = _mapping(content, where, ("when", "until", "cooldown", "schedule"))
    when = _when(given.get("when"), known, f"{where}: when")
    until = None
    if "until" in given:
        if when.measure in ("crosses", "dwell"):
            raise UsageError(f"{where}: until is for count, queue and share, not {when.measure}")
        until = comparison(given["until"], f"{where}: until", _MEASURES[when.measure])
        if _OPPOSITE[until.sign][0] != when.bound.sign[0] and until.sign != "==":
            raise UsageError(
                f"{where}: until {str(until)!r} does not end what {str(when.bound)!r} begins"
            )
    return Rule(
        name,
        when,
        until,
        seconds(given.get("cooldown", 0), f"{where}: cooldown"),
        _schedule(given.get("schedule"), f"{where}: schedule"),
    )


def _when(content: Any, known: Mapping[str, list[str]], where: str) -> When:
    allowed = (
        *("zone", "line", "class", "classes", *_MEASURES, "moving", "crosses"),
        *("within", "for"),
    )
    given = _mapping(content, where, allowed)
    if ("zone" in given) == ("line" in given):
        raise UsageError(f"{where}: needs a zone or a line, one of the two")
    kind = "zone" if "zone" in given else "line"
    place = str(given[kind])
    if place not in known[kind]:
        if not known[kind]:
            raise UsageError(f"{where}: {kind} {place!r} is not there: there are no {kind}s")
        raise UsageError(f"{where}: {unknown(kind, place, known[kind])}")
    classes = _classes(given.get("class", given.get("classes")), where)
    lasting = seconds(given.get("for", 0), f"{where}: for")
    if kind == "line":
        return _when_crossed(place, classes, given, where)
    for key in ("crosses", "within"):
        if key in given:
            raise UsageError(f"{where}: {key} is for a line, and {place!r} is a zone")
    measures = [key for key in _MEASURES if key in given]
    if len(measures) > 1:
        raise UsageError(f"{where}: {' and '.join(measures)} were given: choose one")
    measure = measures[0] if measures else "count"
    bound = comparison(given.get(measure, ">= 1"), f"{where}: {measure}", _MEASURES[measure])
    moving = given.get("moving")
    if moving is not None:
        _one_of(moving, WAYS, f"{where}: moving")
    return When(
        zone=place,
        measure=measure,
        bound=bound,
        classes=classes,
        moving=moving,
        seconds=lasting,
    )


def _when_crossed(
    line: str, classes: tuple[str, ...], given: Mapping[str, Any], where: str
) -> When:
    for key in ("queue", "dwell", "share", "moving", "for"):
        if key in given:
            raise UsageError(f"{where}: {key} is for a zone, and {line!r} is a line")
    if ("count" in given) != ("within" in given):
        raise UsageError(f"{where}: count and within go together: count: '>= 10', within: 60s")
    crosses = {True: "any", None: "any"}.get(given.get("crosses"), given.get("crosses"))
    _one_of(crosses, CROSSINGS, f"{where}: crosses")
    return When(
        line=line,
        measure="crosses",
        bound=comparison(given.get("count", ">= 1"), f"{where}: count"),
        classes=classes,
        crosses=str(crosses),
        within=seconds(given.get("within", 0), f"{where}: within"),
    )


def _schedule(content: Any, where: str) -> Schedule:
    if content is None:
        return Schedule()
    given = _mapping(content, where, ("days", "from", "to", "timezone"))
    zone = None
    if "timezone" in given:
        try:
            zone = ZoneInfo(str(given["timezone"]))
        except (ValueError, OSError, KeyError):
            raise UsageError(
                f"{where}: {given['timezone']!r} is not a time zone such as Europe/Berlin"
            ) from None
    return Schedule(
        _days(given.get("days", "mon-sun"), where),
        _time(given["from"], f"{where}: from") if "from" in given else time.min,
        _time(given["to"], f"{where}: to") if "to" in given else time.max,
        zone,
    )


def _days(value: Any, where: str) -> frozenset[int]:
    """Parse days from ``mon-fri``, ``[sat, sun]`` or ``fri-mon``."""
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list | tuple):
        raise UsageError(f"{where}: days: {value!r} is not days such as mon-fri or [sat, sun]")
    days: set[int] = set()
    for word in words:
        ends = [part.strip().lower()[:3] for part in str(word).split("-")]
        for end in ends:
            _one_of(end, DAYS, f"{where}: days")
        first, last = DAYS.index(ends[0]), DAYS.index(ends[-1])
        days |= {(first + n) % 7 for n in range((last - first) % 7 + 1)}
    return frozenset(days)


def _time(value: Any, where: str) -> time:
    # YAML 1.1 reads an unquoted 8:30 as a number of minutes in base 60.
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return time(value // 60, value % 60)
    try:
        return time.fromisoformat(str(value).strip().zfill(5))
    except ValueError:
        raise UsageError(f"{where}: {value!r} is not a time of day such as '08:30'") from None


def _mapping(content: Any, where: str, allowed: Iterable[str]) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise UsageError(f"{where}: {content!r} is not settings such as {next(iter(allowed))}: …")
    # YAML 1.1 reads on, yes and the like as booleans; none of them is a setting's name here.
    given = {str(key).replace("_", "-"): value for key, value in content.items()}
    for key in given:
        if key not in allowed:
            raise UsageError(f"{where}: {unknown('setting', key, allowed)}")
    return given


def _named(content: Any, where: str) -> list[tuple[str, Any]]:
    if content is None:
        return []
    if not isinstance(content, Mapping):
        raise UsageError(f"{where}: {content!r} is not names with settings, such as gate: {{…}}")
    return [(str(name), each) for name, each in content.items()]


def _classes(value: Any, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    items = value if isinstance(value, list | tuple) else str(value).split(",")
    return tuple(str(item).strip() for item in items)


def _anchor(given: Mapping[str, Any], where: str) -> str:
    anchor = str(given.get("anchor", "bottom")).replace("center", "centre")
    _one_of(anchor, ANCHORS, f"{where}: anchor")
    return anchor


def _one_of(value: Any, allowed: Iterable[str], where: str) -> None:
    if value not in allowed:
        raise UsageError(f"{where}: {unknown('value', str(value), allowed)}")


def _area(corners: tuple[tuple[float, float], ...]) -> float:
    pairs = zip(corners, (*corners[1:], corners[0]), strict=True)
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs)) / 2
