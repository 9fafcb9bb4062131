"""A rule: what has to hold, for how long and when, to make an event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, tzinfo

from livevision.config.scene.values import Comparison

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WAYS = ("left", "right", "up", "down")
CROSSINGS = ("in", "out", "any")

_ONE = Comparison(">=", 1)


@dataclass(frozen=True, slots=True)
class When:
    """What has to hold.

    Attributes:
        zone: Name of the zone, or None where a line is watched.
        line: Name of the line, or None where a zone is watched.
        measure: Of a zone "count" (tracks inside), "queue", "dwell" (seconds of one track) or
            "share" (of its pixels, 0..1, in a class map); of a line "crosses".
        bound: What the measure is compared with; of a line, crossings ``within`` so many seconds.
        classes: Classes that count; nothing for all.
        moving: One of ``WAYS``: tracks that move that way alone.
        crosses: One of ``CROSSINGS``.
        within: Seconds over which crossings are counted; 0 for each alone.
        seconds: How long it has to hold.
    """

    zone: str | None = None
    line: str | None = None
    measure: str = "count"
    bound: Comparison = _ONE
    classes: tuple[str, ...] = ()
    moving: str | None = None
    crosses: str = "any"
    within: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a rule applies.

    Attributes:
        days: Days of the week, from 0 for Monday.
        start: Time of day from which.
        end: Time of day until which; one before ``start`` is on the next day.
        zone: Time zone; None for the machine's.
    """

    days: frozenset[int] = frozenset(range(7))
    start: time = time.min
    end: time = time.max
    zone: tzinfo | None = None

    def applies(self, moment: datetime) -> bool:
        """Whether a moment, which knows its time zone, is within the schedule."""
        local = moment.astimezone(self.zone)
        at, day = local.time(), local.weekday()
        if self.start <= self.end:
            return day in self.days and self.start <= at <= self.end
        # Over midnight: the hours after it belong to the day before.
        if at >= self.start:
            return day in self.days
        return at <= self.end and (day - 1) % 7 in self.days


_ALWAYS = Schedule()


@dataclass(frozen=True, slots=True)
class Rule:
    """What makes an event.

    Attributes:
        name: Its name.
        when: What has to hold.
        until: What ends it, for the same measure; None for its opposite.
        cooldown: Seconds after an event in which there is no other.
        schedule: When it applies.
    """

    name: str
    when: When
    until: Comparison | None = None
    cooldown: float = 0.0
    schedule: Schedule = _ALWAYS
