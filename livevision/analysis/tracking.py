"""Tracking: gives each object a number that it keeps from frame to frame."""

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
"""The number of a box without a track, or of a track that is not confirmed yet."""

_RATE = 30.0  # if the source has no frame rate
_MIN_STEP = 1e-3  # seconds between frames with the same time

# Detectors confuse these classes from frame to frame, so a track may change between them. It may
# not change from a rider to the bicycle.
_ALIKE = (
    ("car", "truck", "bus", "van", "pickup"),
    ("bicycle", "motorcycle", "motorbike"),
    ("cat", "dog", "horse", "sheep", "cow", "bear"),
    ("person", "pedestrian"),
)
_GROUPS = {name: names[0] for names in _ALIKE for name in names}


class Tracking:
    """Sets ``tracker_id`` in the detections of frames: int, N, ``UNTRACKED`` for no track.

    Numbers count from 1 in each source and are never reused, even if the source ends and is opened
    again. Time is the frames' own, so frames may be missing and rates may vary; if it goes back,
    all tracks of the source end. A track gets its number with its second box. Call it with the
    frames of a source in order, on one thread; frames of several sources may be mixed.

    Args:
        name: A name of ``registry.TRACKERS``.
        activation: Confidence from which a box starts a track, 0..1.
        lost_for: Seconds without a box after which a track ends.

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
        self._sources: dict[int, _SourceTracks] = {}
        self._numbers: defaultdict[int, int] = defaultdict(int)

    def opened(self, source: int, info: SourceInfo) -> None:
        """Prepare for the frames of a source; its trackers use ``info.rate``."""
        self._sources[source] = _SourceTracks(float(info.rate) if info.rate else _RATE)

    def ended(self, source: int) -> None:
        """End the tracks of a source."""
        self._sources.pop(source, None)

    def __call__(self, inferred: Inferred) -> Inferred:
        """The same frame, with track numbers in each ``sv.Detections``."""
        frame = inferred.frame
        state = self._sources.get(frame.source)
        if state is None:
            state = self._sources[frame.source] = _SourceTracks(_RATE)
        time = state.time_of(frame)
        results: dict[str, Any] = {
            name: result
            if isinstance(result, ClassMap | Label)
            else self._track(state, name, result, frame, time)
            for name, result in inferred.results.items()
        }
        return replace(inferred, results=results)

    def _track(
        self, state: _SourceTracks, model: str, found: sv.Detections, frame: Frame, time: float
    ) -> sv.Detections:
        """A copy of a model's detections with track numbers."""
        numbers = np.full(len(found), UNTRACKED, np.int64)
        groups = _groups(found)
        for group in {**state.groups(model), **groups}:
            rows = groups.get(group, _NO_ROWS)
            tracks = state.tracks.get((model, group))
            if tracks is None:
                tracks = _Tracks(self._new(state.rate))
                state.tracks[model, group] = tracks
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
class _SourceTracks:
    """The tracks of one source.

    Attributes:
        rate: Frames per second of the source.
        tracks: Tracks by model and group of classes.
        last: Time of the last frame.
    """

    rate: float
    tracks: dict[tuple[str, str], _Tracks] = field(default_factory=dict)
    last: float | None = None

    def time_of(self, frame: Frame) -> float:
        """The frame's time, made later than the last one; if it goes back, all tracks end."""
        time = frame.time
        if self.last is not None and time <= self.last:
            if time < self.last - _MIN_STEP:
                self.tracks.clear()
            else:
                time = self.last + _MIN_STEP
        self.last = time
        return time

    def groups(self, model: str) -> dict[str, None]:
        """The groups of classes that were tracked so far."""
        return {group: None for of, group in self.tracks if of == model}


class _Tracks:
    """The tracks of one group of classes; maps the tracker's numbers to those of the source."""

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
        """Track the boxes of ``rows``, and write their numbers into ``numbers``."""
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
    """The rows of each group of classes."""
    names = found.data.get("class_name")
    if names is None:
        names = np.zeros(len(found), int) if found.class_id is None else found.class_id
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(np.asarray(names).tolist()):
        rows[_GROUPS.get(name, str(name))].append(row)
    return {group: np.array(each, np.int64) for group, each in rows.items()}
