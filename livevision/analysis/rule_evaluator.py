"""Evaluation of rules on the lines and zones of one source, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from livevision.analysis.lines import Crossing
from livevision.analysis.rule_state import OncePerKey, RuleState, Window
from livevision.analysis.zones import Inside, ZoneCounter
from livevision.config.scene import Rule


@dataclass(frozen=True, slots=True)
class Observation:
    """The input of rules for one frame.

    Attributes:
        time: The frame's time in seconds of the source.
        moment: Time of capture, with its time zone.
        zones: Zones by name.
        crossings: Crossings of this frame.
        shares: Share of each class of a class map, by zone; None without a class map.
    """

    time: float
    moment: datetime
    zones: Mapping[str, ZoneCounter]
    crossings: Sequence[Crossing]
    shares: Mapping[str, Mapping[str, float]] | None


@dataclass(frozen=True, slots=True)
class Finding:
    """A change of a rule: the parts of an event that the rule knows."""

    rule: Rule
    phase: str
    value: float
    tracks: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    way: str | None = None
    lasted: float | None = None


class RuleEvaluator:
    """Evaluates one rule of one source.

    Args:
        rule: The rule.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._holding = RuleState(rule)
        self._once = OncePerKey(rule.cooldown)
        self._window = Window(rule.when.within)

    def update(self, observed: Observation) -> list[Finding]:
        """Evaluate a frame."""
        when = self.rule.when
        applies = self.rule.schedule.applies(observed.moment)
        if when.measure == "crosses":
            return self._crossings(observed, applies)
        assert when.zone is not None
        zone = observed.zones[when.zone]
        if when.measure == "dwell":
            return self._dwells(zone, observed, applies)
        if when.measure == "share":
            if observed.shares is None:
                return []
            covered = observed.shares[when.zone]
            classes = when.classes or tuple(covered)
            return self._changes(sum(covered.get(c, 0.0) for c in classes), [], observed, applies)
        if when.measure == "queue":
            inside = zone.queue(observed.time, when.classes, when.moving)
        else:
            inside = list(zone.now(when.classes, when.moving))
        return self._changes(len(inside), inside, observed, applies)

    def close(self, time: float) -> list[Finding]:
        """End with the source."""
        change = self._holding.close(time)
        return [Finding(self.rule, "ended", 0, lasted=change.lasted)] if change else []

    def _changes(
        self, value: float, inside: Sequence[Inside], observed: Observation, applies: bool
    ) -> list[Finding]:
        change = self._holding.update(value, observed.time, applies)
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

    def _dwells(self, zone: ZoneCounter, observed: Observation, applies: bool) -> list[Finding]:
        when = self.rule.when
        inside = list(zone.now(when.classes, when.moving))
        self._once.keep((each.track.number, each.entered) for each in zone.now())
        findings = []
        for each in inside:
            # The time seen inside: a track that is not seen may have left.
            dwell = each.last - each.entered
            long = when.bound.holds(dwell) and dwell >= when.seconds
            if (
                applies
                and long
                and self._once.update((each.track.number, each.entered), observed.time)
            ):
                track = (each.track.number,)
                findings.append(Finding(self.rule, "began", dwell, track, (each.track.name,)))
        return findings

    def _crossings(self, observed: Observation, applies: bool) -> list[Finding]:
        when = self.rule.when
        mine = [
            crossing
            for crossing in observed.crossings
            if crossing.line == when.line
            and when.crosses in ("any", crossing.way)
            and (not when.classes or crossing.name in when.classes)
        ]
        if when.within:
            for crossing in mine:
                self._window.add(crossing.time, crossing.track, crossing.name)
            recent = self._window.at(observed.time)
            change = self._holding.update(len(recent), observed.time, applies)
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
            if self._once.update((crossing.track, crossing.time), observed.time):
                tracks, names = (crossing.track,), (crossing.name,)
                findings.append(Finding(self.rule, "began", 1, tracks, names, crossing.way))
        self._once.keep(())
        return findings
