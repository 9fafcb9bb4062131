"""A passage: a crossing of a line or a finished visit of a zone, as summaries count them."""

from __future__ import annotations

from dataclasses import dataclass

from livevision.analysis.lines import Crossing
from livevision.analysis.zones import Visit


@dataclass(frozen=True, slots=True)
class Passage:
    """A crossing of a line or a finished visit of a zone.

    Attributes:
        source: The source's name, without passwords.
        time: Time in UTC, ISO 8601; of a visit, its end.
        place: Name of the line or zone.
        kind: "in" or "out" over a line, or "visit".
        class_: Class of the track.
        seconds: Duration of a visit; None for a crossing.
    """

    source: str
    time: str
    place: str
    kind: str
    class_: str
    seconds: float | None = None


def passage_of(found: Crossing | Visit, source: str, time: str) -> Passage:
    """The passage of a crossing or a visit."""
    if isinstance(found, Crossing):
        return Passage(source, time, found.line, found.way, found.name)
    return Passage(source, time, found.zone, "visit", found.name, round(found.dwell, 3))
