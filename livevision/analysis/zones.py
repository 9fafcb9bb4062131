"""A region that tracks are counted in: who is inside, for how long, and which way they went."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from livevision.analysis.tracks import Track, heading
from livevision.config.scene import Zone
from livevision.config.scene.values import in_pixels

_LOST_S = 2.0  # a track that is not seen is thought to be where it was for so long
_KEPT = 1000  # visits whose times are kept


@dataclass(frozen=True, slots=True)
class Visit:
    """A track was in a zone.

    Attributes:
        zone: The zone's name.
        track: Its number.
        name: Its class.
        entered: In seconds of the source.
        left: When it was last seen inside.
        way: ``left``, ``right``, ``up`` or ``down``, from where it came in to where it was last
            inside; None where it moved by less than half of its box's shorter side.
    """

    zone: str
    track: int
    name: str
    entered: float
    left: float
    way: str | None

    @property
    def dwell(self) -> float:
        """Seconds inside."""
        return self.left - self.entered


@dataclass(slots=True)
class Inside:
    """A track that is in a zone, or was a moment ago.

    Attributes:
        track: The track.
        name: Its class as it came in.
        entered: When.
        last: When it was last seen inside.
        out: Whether it has been seen outside since.
    """

    track: Track
    name: str
    entered: float
    last: float
    start: tuple[float, float]
    end: tuple[float, float]
    out: bool = False


@dataclass(slots=True)
class Dwell:
    """How long visits took, of those that have ended; seconds."""

    visits: int = 0
    total: float = 0.0
    longest: float = 0.0
    latest: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def add(self, seconds: float) -> None:
        """A visit has ended."""
        self.visits += 1
        self.total += seconds
        self.longest = max(self.longest, seconds)
        self.latest.append(seconds)


class ZoneCounter:
    """Watches one zone of one source.

    A visit goes on over short times outside and while a track is not seen for up to two seconds.

    Args:
        zone: The zone.
        size: (width, height) of the source's frames in pixels.

    Attributes:
        counts: Visits begun and ended, by "in" and "out" and class.
        ways: Visits ended, by the way they went.
        dwell: How long they took.
    """

    def __init__(self, zone: Zone, size: tuple[int, int]) -> None:
        import supervision as sv

        self.zone = zone
        self.counts: dict[str, Counter[str]] = {"in": Counter(), "out": Counter()}
        self.ways: Counter[str] = Counter()
        self.dwell = Dwell()
        corners = np.rint(np.array(in_pixels(zone.points, size))).astype(np.int64)
        self._mask = sv.PolygonZone(corners).mask
        self._inside: dict[int, Inside] = {}

    def see(self, tracks: Sequence[Track], time: float) -> list[Visit]:
        """The visits that ended before a frame."""
        for track in tracks:
            if not self.zone.classes or track.name in self.zone.classes:
                self._see(track, time)
        ended = []
        for number, inside in list(self._inside.items()):
            if time - inside.last > (self.zone.grace if inside.out else _LOST_S):
                del self._inside[number]
                ended.append(self._end(inside))
        return ended

    def close(self) -> list[Visit]:
        """The source has ended, and with it all visits."""
        ended = [self._end(inside) for inside in self._inside.values()]
        self._inside.clear()
        return ended

    def now(self, classes: Sequence[str] = (), moving: str | None = None) -> Iterator[Inside]:
        """Who is inside."""
        # A copy, since others than the thread of the frames may ask.
        for inside in list(self._inside.values()):
            if (
                not inside.out
                and (not classes or inside.track.name in classes)
                and (moving is None or inside.track.moving == moving)
            ):
                yield inside

    def queue(
        self, time: float, classes: Sequence[str] = (), moving: str | None = None
    ) -> list[Inside]:
        """Who has been inside for as long as makes a queue."""
        inside = self.now(classes, moving)
        return [each for each in inside if time - each.entered >= self.zone.queue_after]

    def contains(self, x: float, y: float) -> bool:
        """Whether a point in pixels is inside, its edge included."""
        column, row = round(x), round(y)
        height, width = self._mask.shape
        return 0 <= row < height and 0 <= column < width and bool(self._mask[row, column])

    def _see(self, track: Track, time: float) -> None:
        at = track.anchor(self.zone.anchor)
        inside = self._inside.get(track.number)
        if self.contains(*at):
            if inside is not None and time - inside.last > self.zone.grace and inside.out:
                return  # ends with this frame, and begins anew with the next one
            if inside is None:
                inside = Inside(track, track.name, time, time, at, at)
                self._inside[track.number] = inside
                self.counts["in"][track.name] += 1
            inside.track, inside.last, inside.end, inside.out = track, time, at, False
        elif inside is not None:
            inside.out = True

    def _end(self, inside: Inside) -> Visit:
        (x1, y1), (x2, y2) = inside.start, inside.end
        far = max(abs(x2 - x1), abs(y2 - y1)) >= inside.track.side / 2
        way = heading(x2 - x1, y2 - y1) if far else None
        self.counts["out"][inside.name] += 1
        self.dwell.add(inside.last - inside.entered)
        if way is not None:
            self.ways[way] += 1
        return Visit(
            self.zone.name, inside.track.number, inside.name, inside.entered, inside.last, way
        )
