"""Rules applied to what lines and zones of one source show, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from livevision.analysis.holding import Holding, Once, Window
from livevision.analysis.lines import Crossing
from livevision.analysis.zones import Inside, ZoneCounter
from livevision.config.scene import Rule


@dataclass(frozen=True, slots=True)
class Seen:
    """What a frame shows.

    Attributes:
        time: In seconds of the source.
        moment: Of capture, with its time zone.
        zones: By name.
        crossings: Those of this frame.
        shares: By zone, the share of each class of a class map; None without one.
    """

    time: float
    moment: datetime
    zones: Mapping[str, ZoneCounter]
    crossings: Sequence[Crossing]
    shares: Mapping[str, Mapping[str, float]] | None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule makes of a frame: the parts of an event that it knows."""

    rule: Rule
    phase: str
    value: float
    tracks: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    way: str | None = None
    lasted: float | None = None


class Judge:
    """One rule of one source.

    Args:
        rule: The rule.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._holding = Holding(rule)
        self._once = Once(rule.cooldown)
        self._window = Window(rule.when.within)

    def see(self, seen: Seen) -> list[Finding]:
        """What a frame makes of the rule."""
        when = self.rule.when
        applies = self.rule.schedule.applies(seen.moment)
        if when.measure == "crosses":
            return self._crossings(seen, applies)
        assert when.zone is not None
        zone = seen.zones[when.zone]
        if when.measure == "dwell":
            return self._dwells(zone, seen, applies)
        if when.measure == "share":
            if seen.shares is None:
                return []
            covered = seen.shares[when.zone]
            classes = when.classes or tuple(covered)
            return self._changes(sum(covered.get(c, 0.0) for c in classes), [], seen, applies)
        if when.measure == "queue":
            inside = zone.queue(seen.time, when.classes, when.moving)
        else:
            inside = list(zone.now(when.classes, when.moving))
        return self._changes(len(inside), inside, seen, applies)

    def close(self, time: float) -> list[Finding]:
        """The source has ended: what lasted ends with it."""
        change = self._holding.close(time)
        return [Finding(self.rule, "ended", 0, lasted=change.lasted)] if change else []

    def _changes(
        self, value: float, inside: Sequence[Inside], seen: Seen, applies: bool
    ) -> list[Finding]:
        change = self._holding.see(value, seen.time, applies)
        if change is None:
            return []
        return [
            Finding(
                self.rule,
                "began" if change.began else "ended",
                value,
                tuple(each.track.number for each in inside),
                tuple(each.track.name for each in inside),
                lasted=None if change.began else change.lasted,
            )
        ]

    def _dwells(self, zone: ZoneCounter, seen: Seen, applies: bool) -> list[Finding]:
        when = self.rule.when
        inside = list(zone.now(when.classes, when.moving))
        self._once.keep((each.track.number, each.entered) for each in zone.now())
        findings = []
        for each in inside:
            # Seen so long inside; one that is not seen may have left.
            dwell = each.last - each.entered
            long = when.bound.holds(dwell) and dwell >= when.seconds
            if applies and long and self._once.see((each.track.number, each.entered), seen.time):
                track = (each.track.number,)
                findings.append(Finding(self.rule, "began", dwell, track, (each.track.name,)))
        return findings

    def _crossings(self, seen: Seen, applies: bool) -> list[Finding]:
        when = self.rule.when
        mine = [
            crossing
            for crossing in seen.crossings
            if crossing.line == when.line
            and when.crosses in ("any", crossing.way)
            and (not when.classes or crossing.name in when.classes)
        ]
        if when.within:
            for crossing in mine:
                self._window.add(crossing.time, crossing.track, crossing.name)
            recent = self._window.at(seen.time)
            change = self._holding.see(len(recent), seen.time, applies)
            if change is None:
                return []
            about: dict[str, Any] = {
                "tracks": tuple(track for track, _ in recent),
                "classes": tuple(name for _, name in recent),
            }
            phase, lasted = ("began", None) if change.began else ("ended", change.lasted)
            return [Finding(self.rule, phase, len(recent), lasted=lasted, **about)]
        findings = []
        for crossing in mine if applies else ():
            if self._once.see((crossing.track, crossing.time), seen.time):
                tracks, names = (crossing.track,), (crossing.name,)
                findings.append(Finding(self.rule, "began", 1, tracks, names, crossing.way))
        self._once.keep(())
        return findings
