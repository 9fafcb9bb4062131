"""A passage: a line was crossed, or a visit of a zone is over; what reports count."""

from __future__ import annotations

from dataclasses import dataclass

from livevision.analysis.lines import Crossing
from livevision.analysis.zones import Visit


@dataclass(frozen=True, slots=True)
class Passage:
    """One of them.

    Attributes:
        source: The source's name, without passwords.
        time: When, in UTC, as ISO 8601 writes it; of a visit, its end.
        place: Name of the line or zone.
        kind: "in" or "out" over a line, or "visit".
        class_: Of the track.
        seconds: Of a visit, how long it took.
    """

    source: str
    time: str
    place: str
    kind: str
    class_: str
    seconds: float | None = None


def passage_of(found: Crossing | Visit, source: str, time: str) -> Passage:
    """What a report counts of a crossing or a visit."""
    if isinstance(found, Crossing):
        return Passage(source, time, found.line, found.way, found.name)
    return Passage(source, time, found.zone, "visit", found.name, round(found.dwell, 3))
