"""The recent tracks of one source: position, class and motion."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import supervision as sv

ENDED_AFTER_S = 5.0
"""Seconds without a box after which a track is forgotten; trackers end it before."""

_MOTION_S = 1.0  # time over which a track's motion is measured
_STILL = 0.25  # shorter sides of the box per second below which a track stands still

Box = tuple[float, float, float, float]


@dataclass(slots=True)
class Track:
    """One object over time.

    Attributes:
        number: Its number.
        box: Its last box, x1 y1 x2 y2 in pixels.
        first: Time of its first box, in seconds of its source.
        last: Time of its last box.
        votes: Sum of confidences by class.
        path: Time and centre over the last second.
    """

    number: int
    box: Box
    first: float
    last: float
    votes: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    path: deque[tuple[float, float, float]] = field(default_factory=deque)
    name: str = ""

    def update(self, box: Box, name: str, confidence: float, time: float) -> None:
        """Add a box to the track."""
        self.box, self.last = box, time
        self.votes[name] += confidence
        if name != self.name and self.votes[name] > self.votes.get(self.name, 0.0):
            self.name = name
        self.path.append((time, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
        while time - self.path[0][0] > _MOTION_S and len(self.path) > 2:
            self.path.popleft()

    def anchor(self, name: str) -> tuple[float, float]:
        """The point of the box that is counted."""
        x1, y1, x2, y2 = self.box
        if name == "bottom":
            return (x1 + x2) / 2, y2
        if name == "top":
            return (x1 + x2) / 2, y1
        if name == "left":
            return x1, (y1 + y2) / 2
        if name == "right":
            return x2, (y1 + y2) / 2
        return (x1 + x2) / 2, (y1 + y2) / 2

    @property
    def side(self) -> float:
        """The shorter side of its box in pixels."""
        return min(self.box[2] - self.box[0], self.box[3] - self.box[1])

    @property
    def moving(self) -> str | None:
        """``left``, ``right``, ``up`` or ``down``; None if it stands still."""
        (t0, x0, y0), (t1, x1, y1) = self.path[0], self.path[-1]
        if t1 <= t0 or math.hypot(x1 - x0, y1 - y0) < _STILL * self.side * (t1 - t0):
            return None
        return heading(x1 - x0, y1 - y0)


def heading(dx: float, dy: float) -> str:
    """The direction of a move in pixels, the nearest of four."""
    if abs(dx) >= abs(dy):
        return "right" if dx > 0 else "left"
    return "down" if dy > 0 else "up"


class Tracks:
    """The tracks of one source within the last seconds."""

    def __init__(self) -> None:
        self._known: dict[int, Track] = {}

    def __iter__(self) -> Iterator[Track]:
        return iter(self._known.values())

    def __len__(self) -> int:
        return len(self._known)

    def update(self, found: sv.Detections, time: float) -> tuple[list[Track], list[Track]]:
        """Update by a frame; returns the tracks in it, and those that have ended."""
        seen = []
        if found.tracker_id is not None and len(found):
            names = found.data.get("class_name")
            if names is None:
                names = np.zeros(len(found)) if found.class_id is None else found.class_id
            sure = np.ones(len(found)) if found.confidence is None else found.confidence
            for number, box, name, confidence in zip(
                np.asarray(found.tracker_id).tolist(),
                np.asarray(found.xyxy).tolist(),
                np.asarray(names).tolist(),
                np.asarray(sure).tolist(),
                strict=True,
            ):
                if number < 0:
                    continue
                track = self._known.get(number)
                if track is None:
                    track = self._known[number] = Track(number, tuple(box), time, time)
                track.update(tuple(box), str(name), confidence, time)
                seen.append(track)
        ended = [track for track in self if time - track.last > ENDED_AFTER_S]
        for track in ended:
            del self._known[track.number]
        return seen, ended
