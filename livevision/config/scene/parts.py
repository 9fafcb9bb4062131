"""The parts of a scene: lines, zones, ignored regions and rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from livevision.config.scene.rule import Rule
from livevision.config.scene.values import Points
from livevision.errors import UsageError, unknown

ANCHORS = ("bottom", "centre", "top", "left", "right")
"""Point of a box that is tested: its centre, or the middle of an edge."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that counts the tracks crossing it.

    Attributes:
        name: Its name.
        points: Its two ends, as fractions or in pixels. Looking from the first end to the second,
            ``in`` is from right to left: upwards, if the line is drawn from left to right.
        classes: Classes that are counted; empty for all.
        anchor: One of ``ANCHORS``.
    """

    name: str
    points: Points
    classes: tuple[str, ...] = ()
    anchor: str = "bottom"


@dataclass(frozen=True, slots=True)
class Zone:
    """A region that counts the tracks inside it.

    Attributes:
        name: Its name.
        points: Its corners, as fractions or in pixels.
        classes: Classes that are counted; empty for all.
        anchor: One of ``ANCHORS``.
        grace: Seconds outside before a track counts as gone; shorter absences are one visit.
        queue_after: Seconds inside before a track counts as queueing.
    """

    name: str
    points: Points
    classes: tuple[str, ...] = ()
    anchor: str = "bottom"
    grace: float = 1.0
    queue_after: float = 5.0


@dataclass(frozen=True, slots=True)
class Scene:
    """The lines, zones, ignored regions and rules of a source.

    Attributes:
        lines: In any order; names of lines, of zones and of rules are each distinct.
        zones: The same.
        ignore: Regions; a box with more than half its area inside is dropped.
        rules: The rules that make events.
    """

    lines: tuple[Line, ...] = ()
    zones: tuple[Zone, ...] = ()
    ignore: tuple[Points, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def is_watched(self) -> bool:
        """Whether the scene counts anything, which needs tracks."""
        return bool(self.lines or self.zones)

    def place_of(self, rule: Rule) -> Line | Zone:
        """The line or zone that a rule refers to."""
        places: Sequence[Line | Zone] = self.zones if rule.when.zone else self.lines
        return next(each for each in places if each.name == (rule.when.zone or rule.when.line))

    def check_classes(self, labels: Iterable[str]) -> None:
        """Check that the run's models know every class the scene names.

        Raises:
            UsageError: A class is unknown; the message suggests the nearest known one.
        """
        known = list(dict.fromkeys(labels))
        for where, names in self._classes():
            for name in names:
                if name not in known:
                    raise UsageError(f"{where}: {unknown('class', name, known)}")

    def _classes(self) -> Iterable[tuple[str, Sequence[str]]]:
        for line in self.lines:
            yield f"line {line.name!r}", line.classes
        for zone in self.zones:
            yield f"zone {zone.name!r}", zone.classes
        for rule in self.rules:
            yield f"rule {rule.name!r}", rule.when.classes
