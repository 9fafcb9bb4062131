"""A rule: the condition, duration and schedule that make an event."""

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
    """The condition of a rule.

    Attributes:
        zone: Name of the zone, or None for a rule about a line.
        line: Name of the line, or None for a rule about a zone.
        measure: For a zone: "count" (tracks inside), "queue", "dwell" (seconds of one track) or
            "share" (of its pixels, 0..1, in a class map). For a line: "crosses".
        bound: Bound of the measure; for a line, of the crossings in the last ``within`` seconds.
        classes: Classes that count; empty for all.
        moving: One of ``WAYS``: count only tracks that move this way.
        crosses: One of ``CROSSINGS``.
        within: Seconds over which crossings are counted; 0 reports each crossing.
        seconds: How long the condition must hold.
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
        start: Time of day it begins.
        end: Time of day it ends; before ``start`` means on the next day.
        zone: Time zone; None for the machine's.
    """

    days: frozenset[int] = frozenset(range(7))
    start: time = time.min
    end: time = time.max
    zone: tzinfo | None = None

    def applies(self, moment: datetime) -> bool:
        """Whether a time-zone-aware moment is within the schedule."""
        local = moment.astimezone(self.zone)
        at, day = local.time(), local.weekday()
        if self.start <= self.end:
            return day in self.days and self.start <= at <= self.end
        # Past midnight: the hours after it belong to the previous day.
        if at >= self.start:
            return day in self.days
        return at <= self.end and (day - 1) % 7 in self.days


_ALWAYS = Schedule()


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition that makes an event.

    Attributes:
        name: Its name.
        when: The condition.
        until: Bound of the same measure that ends the event; None for the opposite of ``when``.
        cooldown: Seconds after an event during which there is no other.
        schedule: When the rule applies.
    """

    name: str
    when: When
    until: Comparison | None = None
    cooldown: float = 0.0
    schedule: Schedule = _ALWAYS
