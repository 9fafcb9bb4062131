"""The parts of a scene: lines, zones, regions that are ignored, and rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from livevision.config.scene.rule import Rule
from livevision.config.scene.values import Points
from livevision.errors import UsageError, unknown

ANCHORS = ("bottom", "centre", "top", "left", "right")
"""The point of a box that counts: the middle of an edge, or of the box."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that tracks are counted over.

    Attributes:
        name: Its name.
        points: Its two ends, as fractions or in pixels. Seen from the first one looking towards the
            second, ``in`` is from right to left: upwards, for one drawn from left to right.
        classes: Classes that are counted; nothing for all.
        anchor: One of ``ANCHORS``.
    """

    name: str
    points: Points
    classes: tuple[str, ...] = ()
    anchor: str = "bottom"


@dataclass(frozen=True, slots=True)
class Zone:
    """A region that tracks are counted in.

    Attributes:
        name: Its name.
        points: Its corners, as fractions or in pixels.
        classes: Classes that are counted; nothing for all.
        anchor: One of ``ANCHORS``.
        grace: Seconds outside after which a track has left; shorter ones are one visit.
        queue_after: Seconds inside from which a track stands in the queue.
    """

    name: str
    points: Points
    classes: tuple[str, ...] = ()
    anchor: str = "bottom"
    grace: float = 1.0
    queue_after: float = 5.0


@dataclass(frozen=True, slots=True)
class Scene:
    """All that is watched in the pictures of a source.

    Attributes:
        lines: By no particular order; names are distinct, as those of zones and rules.
        zones: The same.
        ignore: Regions; boxes that lie in them by more than half are left out.
        rules: What makes an event.
    """

    lines: tuple[Line, ...] = ()
    zones: tuple[Zone, ...] = ()
    ignore: tuple[Points, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def is_watched(self) -> bool:
        """Whether anything is counted in it, which needs tracks."""
        return bool(self.lines or self.zones)

    def place_of(self, rule: Rule) -> Line | Zone:
        """The line or zone that one of its rules is about."""
        places: Sequence[Line | Zone] = self.zones if rule.when.zone else self.lines
        return next(each for each in places if each.name == (rule.when.zone or rule.when.line))

    def check_classes(self, labels: Iterable[str]) -> None:
        """Refuse classes that no model of the run knows.

        Raises:
            UsageError: One is not known; with the nearest one that is.
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
