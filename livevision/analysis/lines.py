"""Counting of tracks that cross a line, in and out.

supervision's ``LineZone`` compares the sides on which a track is seen within a strip along the
line. It miscounts a track that walks around an end of the line, jumps over the strip between two
frames or is missing for two frames, and it counts frames, so that the result depends on the rate.
Here the path of a track's anchor is intersected with the line, and a crossing counts once the
anchor is clear of the line.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from livevision.analysis.tracks import Track
from livevision.config.scene import Line
from livevision.config.scene.values import in_pixels

_CLEAR = 0.1  # of a box's shorter side; closer to the line, jitter may move the anchor over it
_CLEAR_PX = 2.0


@dataclass(frozen=True, slots=True)
class Crossing:
    """A track has crossed a line.

    Attributes:
        line: The line's name.
        track: Number of the track.
        name: Class of the track.
        way: "in" or "out".
        time: Time in seconds of the source.
    """

    line: str
    track: int
    name: str
    way: str
    time: float


@dataclass(slots=True)
class _Passing:
    """The position of a track relative to a line.

    Attributes:
        at: The track's anchor.
        distance: Distance from the infinite line, negative on the left.
        side: -1 or 1, the side on which it was last clear of the line; 0 before that.
        through: Whether its last change of side was between the line's ends.
    """

    at: tuple[float, float]
    distance: float
    side: int = 0
    through: bool = False


class LineCounter:
    """Counts crossings of one line of one source.

    Args:
        line: The line.
        size: (width, height) of the source's frames in pixels.

    Attributes:
        counts: Number of crossings by direction and class.
    """

    def __init__(self, line: Line, size: tuple[int, int]) -> None:
        self.line = line
        self.counts: dict[str, Counter[str]] = {"in": Counter(), "out": Counter()}
        (self._x, self._y), (x2, y2) = in_pixels(line.points, size)
        self._length = math.hypot(x2 - self._x, y2 - self._y)
        self._dx, self._dy = (x2 - self._x) / self._length, (y2 - self._y) / self._length
        self._passing: dict[int, _Passing] = {}

    def update(
        self, tracks: Sequence[Track], ended: Sequence[Track], time: float
    ) -> list[Crossing]:
        """The crossings that a frame completes."""
        for track in ended:
            self._passing.pop(track.number, None)
        crossings = []
        for track in tracks:
            if self.line.classes and track.name not in self.line.classes:
                continue
            way = self._update(track)
            if way is not None:
                self.counts[way][track.name] += 1
                crossings.append(Crossing(self.line.name, track.number, track.name, way, time))
        return crossings

    def _update(self, track: Track) -> str | None:
        x, y = track.anchor(self.line.anchor)
        distance = self._dx * (y - self._y) - self._dy * (x - self._x)
        passing = self._passing.get(track.number)
        if passing is None:
            passing = self._passing[track.number] = _Passing((x, y), distance)
        elif (distance < 0) != (passing.distance < 0):
            passing.through = self._between_ends(passing, (x, y), distance)
        passing.at, passing.distance = (x, y), distance
        if abs(distance) < max(_CLEAR_PX, _CLEAR * track.side):
            return None
        side = 1 if distance > 0 else -1
        before, passing.side = passing.side, side
        if not before or before == side or not passing.through:
            return None
        return "in" if side < 0 else "out"

    def _between_ends(self, before: _Passing, now: tuple[float, float], distance: float) -> bool:
        """Whether a move across the infinite line was between the line's ends."""
        share = before.distance / (before.distance - distance)
        x = before.at[0] + share * (now[0] - before.at[0])
        y = before.at[1] + share * (now[1] - before.at[1])
        along = (x - self._x) * self._dx + (y - self._y) * self._dy
        return 0 <= along <= self._length
