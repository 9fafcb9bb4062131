"""Tracking: the stage that gives each object a number it keeps from frame to frame."""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from livevision import registry
from livevision.frame import Frame, Inferred
from livevision.protocols import SourceInfo
from livevision.results import ClassMap, Label

if TYPE_CHECKING:
    import supervision as sv

    from livevision.analysis.trackers import Tracker

UNTRACKED = -1
"""The number of a box that belongs to no track, or to one that is not confirmed yet."""

_RATE = 30.0  # where a source does not tell
_LEAST_STEP = 1e-3  # seconds between frames of the same time

# A detector confuses these with one another from frame to frame, so that a track may change among
# them. It may not change from a rider to the bicycle.
_ALIKE = (
    ("car", "truck", "bus", "van", "pickup"),
    ("bicycle", "motorcycle", "motorbike"),
    ("cat", "dog", "horse", "sheep", "cow", "bear"),
    ("person", "pedestrian"),
)
_GROUPS = {name: names[0] for names in _ALIKE for name in names}


class Tracking:
    """Puts ``tracker_id`` into the detections of frames: int, N, ``UNTRACKED`` where there is none.

    Numbers are counted by source from 1 and never given twice, not even to a source that ended and
    was opened again. Time is the frames' own, so that frames may be missing and rates may vary;
    where it goes backwards, all tracks of the source end. A box is confirmed by a second one, and
    has its number from then on. To be called with the frames of a source in their order; frames of
    several sources may be mixed, on one thread.

    Args:
        name: A name of ``registry.TRACKERS``.
        activation: The score from which a box begins a track, 0..1.
        lost_for: Seconds after which a track that is not seen has ended.

    Raises:
        UsageError: There is no such tracker.
    """

    def __init__(
        self, name: str = "bytetrack", *, activation: float = 0.25, lost_for: float = 2.0
    ) -> None:
        self._make = registry.resolve(registry.TRACKERS, name, "tracker")
        self._sees_pictures = name == "botsort"
        self._activation = activation
        self._lost_for = lost_for
        self._sources: dict[int, _Followed] = {}
        self._numbers: defaultdict[int, int] = defaultdict(int)

    def opened(self, source: int, info: SourceInfo) -> None:
        """The frames of a source will come; ``info.rate`` is what its tracks are set by."""
        self._sources[source] = _Followed(float(info.rate) if info.rate else _RATE)

    def ended(self, source: int) -> None:
        """A source has given its last frame, and its tracks end."""
        self._sources.pop(source, None)

    def __call__(self, inferred: Inferred) -> Inferred:
        """The same frame and results, with numbers in each ``sv.Detections`` among them."""
        frame = inferred.frame
        followed = self._sources.get(frame.source)
        if followed is None:
            followed = self._sources[frame.source] = _Followed(_RATE)
        time = followed.time_of(frame)
        results: dict[str, Any] = {
            name: result
            if isinstance(result, ClassMap | Label)
            else self._track(followed, name, result, frame, time)
            for name, result in inferred.results.items()
        }
        return replace(inferred, results=results)

    def _track(
        self, followed: _Followed, model: str, found: sv.Detections, frame: Frame, time: float
    ) -> sv.Detections:
        """A copy of what a model found, with numbers."""
        numbers = np.full(len(found), UNTRACKED, np.int64)
        groups = _groups(found)
        for group in {**followed.groups(model), **groups}:
            rows = groups.get(group, _NO_ROWS)
            tracks = followed.tracks.get((model, group))
            if tracks is None:
                tracks = _Tracks(self._new(followed.rate))
                followed.tracks[model, group] = tracks
            elif not len(rows) and not tracks.tracker.tracks:
                continue
            image = frame.image if self._sees_pictures else None
            tracks.update(found, rows, image, time, numbers, lambda: self._next(frame.source))
        numbered = copy.copy(found)
        numbered.tracker_id = numbers
        return numbered

    def _new(self, rate: float) -> Tracker:
        return self._make(rate, self._activation, self._lost_for)

    def _next(self, source: int) -> int:
        self._numbers[source] += 1
        return self._numbers[source]


_NO_ROWS: NDArray[np.int64] = np.empty(0, np.int64)


@dataclass(slots=True)
class _Followed:
    """What is followed in one source.

    Attributes:
        rate: Frames per second.
        tracks: By model and group of classes.
        last: Time of the last frame.
    """

    rate: float
    tracks: dict[tuple[str, str], _Tracks] = field(default_factory=dict)
    last: float | None = None

    def time_of(self, frame: Frame) -> float:
        """The frame's time, always later than the last one's; tracks end where it goes back."""
        time = frame.time
        if self.last is not None and time <= self.last:
            if time < self.last - _LEAST_STEP:
                self.tracks.clear()
            else:
                time = self.last + _LEAST_STEP
        self.last = time
        return time

    def groups(self, model: str) -> dict[str, None]:
        """The groups of classes that were followed so far."""
        return {group: None for of, group in self.tracks if of == model}


class _Tracks:
    """The tracks of one group of classes, and our numbers for those that the tracker gives them."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self._numbers: dict[int, int] = {}

    def update(
        self,
        found: sv.Detections,
        rows: NDArray[np.int64],
        image: Any,
        time: float,
        numbers: NDArray[np.int64],
        new_number: Any,
    ) -> None:
        """Follow the boxes of ``rows`` and write their numbers into ``numbers``."""
        import supervision as sv

        boxes = sv.Detections(
            xyxy=found.xyxy[rows],
            confidence=None if found.confidence is None else found.confidence[rows],
            class_id=None if found.class_id is None else found.class_id[rows],
            data={"row": rows},
        )
        tracked = self.tracker.update(boxes, image, time)
        if not len(tracked):
            return
        row_of = np.asarray(tracked.data["row"]).tolist()
        for row, theirs in zip(row_of, np.asarray(tracked.tracker_id).tolist(), strict=True):
            if theirs >= 0:
                number = self._numbers.get(theirs)
                if number is None:
                    number = self._numbers[theirs] = new_number()
                numbers[row] = number
        if len(self._numbers) > 2 * len(self.tracker.tracks) + 64:
            alive = {track.tracker_id for track in self.tracker.tracks}
            self._numbers = {t: n for t, n in self._numbers.items() if t in alive}


def _groups(found: sv.Detections) -> dict[str, NDArray[np.int64]]:
    """The rows of the boxes of each group of classes."""
    names = found.data.get("class_name")
    if names is None:
        names = np.zeros(len(found), int) if found.class_id is None else found.class_id
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(np.asarray(names).tolist()):
        rows[_GROUPS.get(name, str(name))].append(row)
    return {group: np.array(each, np.int64) for group, each in rows.items()}
