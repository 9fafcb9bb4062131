"""Counting of tracks in a zone: tracks inside, durations of visits, and directions."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from livevision.analysis.tracks import Track, heading
from livevision.config.scene import Zone
from livevision.config.scene.values import in_pixels

_LOST_S = 2.0  # seconds for which a track that is not seen counts as being where it was
_KEPT = 1000  # visits whose durations are kept for the median


@dataclass(frozen=True, slots=True)
class Visit:
    """A finished visit of a track in a zone.

    Attributes:
        zone: Name of the zone.
        track: Number of the track.
        name: Class of the track.
        entered: Time of entry in seconds of the source.
        left: Time when it was last seen inside.
        way: ``left``, ``right``, ``up`` or ``down``, from its first to its last position inside;
            None if it moved by less than half of its box's shorter side.
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
    """A current visit: a track that is in a zone, or was a moment ago.

    Attributes:
        track: The track.
        name: Its class at entry.
        entered: Time of entry.
        last: Time when it was last seen inside.
        start: Its first position inside.
        end: Its last position inside.
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
    """Durations of finished visits in seconds."""

    visits: int = 0
    total: float = 0.0
    longest: float = 0.0
    latest: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def add(self, seconds: float) -> None:
        """Add a visit."""
        self.visits += 1
        self.total += seconds
        self.longest = max(self.longest, seconds)
        self.latest.append(seconds)


class ZoneCounter:
    """Counts the visits of one zone of one source.

    A visit continues through short times outside, and while its track is not seen for up to 2 s.

    Args:
        zone: The zone.
        size: (width, height) of the source's frames in pixels.

    Attributes:
        counts: Number of visits begun ("in") and ended ("out"), by class.
        ways: Number of finished visits by direction.
        dwell: Durations of finished visits.
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

    def update(self, tracks: Sequence[Track], time: float) -> list[Visit]:
        """Update by a frame; returns the visits that have ended."""
        for track in tracks:
            if not self.zone.classes or track.name in self.zone.classes:
                self._update(track, time)
        ended = []
        for number, inside in list(self._inside.items()):
            if time - inside.last > (self.zone.grace if inside.out else _LOST_S):
                del self._inside[number]
                ended.append(self._end(inside))
        return ended

    def close(self) -> list[Visit]:
        """End all visits with the source."""
        ended = [self._end(inside) for inside in self._inside.values()]
        self._inside.clear()
        return ended

    def now(self, classes: Sequence[str] = (), moving: str | None = None) -> Iterator[Inside]:
        """The tracks inside now."""
        # A copy, since other threads may call this.
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
        """The tracks that have been inside for ``queue_after``."""
        inside = self.now(classes, moving)
        return [each for each in inside if time - each.entered >= self.zone.queue_after]

    def contains(self, x: float, y: float) -> bool:
        """Whether a point in pixels is inside; the edge is."""
        column, row = round(x), round(y)
        height, width = self._mask.shape
        return 0 <= row < height and 0 <= column < width and bool(self._mask[row, column])

    def _update(self, track: Track, time: float) -> None:
        at = track.anchor(self.zone.anchor)
        inside = self._inside.get(track.number)
        if self.contains(*at):
            if inside is not None and time - inside.last > self.zone.grace and inside.out:
                return  # this visit ends with the frame; the next one starts a new visit
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
