"""Summary of a store of events: counts by hour and class, and durations of visits."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from livevision.events.reading import EventFilter, EventReader

EDGES = (0.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
"""Lower bounds of the histogram's bars, in seconds."""

_KEPT = 100_000  # durations of visits kept for the median


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line or zone of a source."""

    source: str
    name: str


@dataclass(slots=True)
class Durations:
    """Durations of the visits of a zone.

    Attributes:
        bars: Histogram with the bounds ``EDGES``.
        total, longest: Seconds.
        durations: Those of the first hundred thousand visits, in seconds.
    """

    bars: list[int] = field(default_factory=lambda: [0] * len(EDGES))
    total: float = 0.0
    longest: float = 0.0
    durations: list[float] = field(default_factory=list)

    def add(self, seconds: float) -> None:
        """Add a visit."""
        number = max(n for n, edge in enumerate(EDGES) if seconds >= edge or n == 0)
        self.bars[number] += 1
        self.total += seconds
        self.longest = max(self.longest, seconds)
        if len(self.durations) < _KEPT:
            self.durations.append(seconds)

    @property
    def visits(self) -> int:
        """Number of visits."""
        return sum(self.bars)

    @property
    def mean(self) -> float:
        """Mean duration in seconds."""
        return self.total / max(1, self.visits)

    @property
    def median(self) -> float:
        """Median duration in seconds."""
        return statistics.median(self.durations) if self.durations else 0.0


@dataclass(slots=True)
class Summary:
    """Counts and durations of a store's events.

    Attributes:
        hours: Every hour or day from the first to the last with an entry.
        counts: Crossings and visits by hour, place, kind ("in", "out" or "visit") and class.
        events: Events that began, by hour, source and rule.
        durations: Durations of visits by place and class.
    """

    hours: list[str] = field(default_factory=list)
    counts: Counter[tuple[str, Place, str, str]] = field(default_factory=Counter)
    events: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    durations: defaultdict[tuple[Place, str], Durations] = field(
        default_factory=lambda: defaultdict(Durations)
    )

    @property
    def places(self) -> list[Place]:
        """Places with crossings or visits, by name."""
        return sorted({place for _, place, _, _ in self.counts})

    def classes(self, place: Place) -> list[str]:
        """Classes counted at a place, the most frequent first."""
        found: Counter[str] = Counter()
        for (_, where, _, name), number in self.counts.items():
            if where == place:
                found[name] += number
        return [name for name, _ in found.most_common()]

    def kinds(self, place: Place) -> list[str]:
        """What is counted at a place: ("in", "out") or ("visit")."""
        return sorted({kind for _, where, kind, _ in self.counts if where == place})


def summarise(
    reader: EventReader,
    chosen: EventFilter | None = None,
    zone: tzinfo | None = None,
    by: str = "hour",
) -> Summary:
    """Summarise a store.

    Args:
        reader: The store.
        chosen: Which events, crossings and visits count; None for all.
        zone: Time zone of the hours; None for the machine's.
        by: "hour" or "day".
    """
    found = Summary()
    starts: dict[str, str] = {}

    def start(time: str) -> str:
        """The hour of a time; computed once for every ten minutes."""
        known = time[:15]
        if known not in starts:
            local = datetime.fromisoformat(f"{time[:16]}:00+00:00").astimezone(zone)
            starts[known] = _begin(local, by)
        return starts[known]

    for passage in reader.passages(chosen):
        place = Place(passage.source, passage.place)
        found.counts[start(passage.time), place, passage.kind, passage.class_] += 1
        if passage.seconds is not None:
            found.durations[place, passage.class_].add(passage.seconds)
    for event in reader.each(chosen):
        body = event.body
        if body["phase"] == "began":
            found.events[start(body["time"]), body["source"], body["rule"]] += 1
    hours = {hour for hour, *_ in found.counts} | {hour for hour, *_ in found.events}
    seen = sorted(hours, key=_moment)
    found.hours = _between(seen, zone, by)
    return found


def _begin(moment: datetime, by: str) -> str:
    kept = moment.replace(minute=0, second=0, microsecond=0)
    return kept.date().isoformat() if by == "day" else kept.isoformat(timespec="minutes")


def _moment(hour: str) -> datetime:
    moment = datetime.fromisoformat(hour)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _between(seen: Sequence[str], zone: tzinfo | None, by: str) -> list[str]:
    """All hours or days from the first to the last, including empty ones."""
    if not seen:
        return []
    at, last = _moment(seen[0]).timestamp(), _moment(seen[-1]).timestamp()
    hours: dict[str, None] = {}
    while at <= last:
        moment = datetime.fromtimestamp(at, UTC)
        hours[_begin(moment if by == "day" else moment.astimezone(zone), by)] = None
        at += 86400 if by == "day" else 3600
    return sorted({*hours, *seen}, key=_moment)


def bar_label(number: int) -> str:
    """The label of a histogram's bar, such as ``15 s – 30 s``."""
    first = _length(EDGES[number])
    if number + 1 == len(EDGES):
        return f"over {first}"
    return f"up to {_length(EDGES[1])}" if not number else f"{first} – {_length(EDGES[number + 1])}"


def _length(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 3600 else f"{seconds / 3600:g} h"
