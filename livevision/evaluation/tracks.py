"""Scores of tracking on labelled sequences, run as on video.

scores = livevision.evaluation.tracks.evaluate_tracks("MOT17/train", model="thundernet-mobilenetv2")
scores.figures["IDF1"], scores.by_sequence["MOT17-02"]["HOTA"]
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from livevision import registry
from livevision.analysis.tracking import Tracking
from livevision.capture.options import SourceOptions
from livevision.datasets import mot
from livevision.errors import DataError, UsageError
from livevision.frame import Frame, Inferred
from livevision.protocols import SourceInfo
from livevision.scoring.tracks import COUNTS, score_tracks

if TYPE_CHECKING:
    import supervision as sv

    from livevision.models.model import Model

_NO_PICTURE = np.zeros((1, 1, 3), np.uint8)
_OF_PEOPLE = "person"  # the class that the MOT Challenge labels


@dataclass(frozen=True)
class TrackEvaluation:
    """Scores of tracks, shares of 1, and counts.

    Attributes:
        tracker: Name of the tracker.
        found_by: Origin of the boxes: a model's name, or "det.txt".
        data: Folder of the sequences.
        frames: Number of frames processed.
        left_out: Number of frames dropped.
        figures: ``scoring.tracks.FIGURES`` and ``COUNTS`` of all sequences.
        by_sequence: The same for each sequence.
        tracks: By sequence, the rows of the tracks, in the MOT Challenge's format.
        tracking_ms: CPU time of tracking, mean per frame.
        seconds: Total duration.
    """

    tracker: str
    found_by: str
    data: str
    frames: int
    left_out: int
    figures: dict[str, float]
    by_sequence: dict[str, dict[str, float]]
    tracks: dict[str, NDArray[np.float64]]
    tracking_ms: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The value of ``--json``."""

        def rounded(figures: dict[str, float]) -> dict[str, float]:
            return {n: int(v) if n in COUNTS else round(v, 5) for n, v in figures.items()}

        return {
            "task": "track",
            "tracker": self.tracker,
            "model": self.found_by,
            "data": self.data,
            "frames": self.frames,
            "left_out": self.left_out,
            "scores": rounded(self.figures),
            "sequences": {name: rounded(row) for name, row in self.by_sequence.items()},
            "tracking_ms": round(self.tracking_ms, 3),
            "seconds": round(self.seconds, 2),
        }


def evaluate_tracks(
    data: str | Path,
    *,
    model: Model | None = None,
    tracker: str = "bytetrack",
    conf: float = 0.25,
    classes: tuple[str, ...] = (),
    drop: int = 0,
) -> TrackEvaluation:
    """Track the objects of labelled sequences and score the tracks.

    Args:
        data: A sequence in the MOT Challenge's format, or a folder of several.
        model: A detector; None uses the boxes of each sequence's ``det/det.txt``.
        tracker: A name of ``registry.TRACKERS``.
        conf: Minimum score of a box, as in a run.
        classes: Classes of the model that the labels mark as class 1; default: "person", or all if
            the model has no such class.
        drop: Drop every Nth frame, like a slow live run; 0 for none. Labels of dropped frames are
            not scored.

    Raises:
        UsageError: A setting is not allowed.
        DataError: Sequences are missing or broken, or have neither boxes nor pictures.
    """
    if drop < 0 or drop == 1:
        raise UsageError(f"drop is {drop}; it takes 0 for none, or 2 or more for every Nth frame")
    if model is not None and model.task != "detect":
        raise UsageError(f"{model.name} is for the task {model.task}; tracks need a detector")
    begin = time.perf_counter()
    labelled: dict[str, NDArray[np.float64]] = {}
    found: dict[str, NDArray[np.float64]] = {}
    frames = left_out = 0
    spent = 0.0
    for position, sequence in enumerate(mot.read_sequences(Path(data))):
        stage = Tracking(tracker, activation=max(conf, 0.25))
        rate = Fraction(sequence.rate).limit_denominator(1001)
        stage.opened(position, SourceInfo(sequence.name, False, (0, 0), rate))
        rows: list[NDArray[np.float64]] = []
        seen: list[int] = []
        for frame in _frames(sequence, model, tracker):
            if drop and frame.index % drop == drop - 1:
                left_out += 1
                continue
            boxes = _boxes(frame, sequence, model, conf, classes)
            started = time.process_time()
            inferred = stage(Inferred(frame, {"detect": boxes}))
            spent += time.process_time() - started
            rows.append(_rows(frame.index + 1, cast("sv.Detections", inferred.results["detect"])))
            seen.append(frame.index + 1)
        frames += len(seen)
        labelled[sequence.name] = sequence.rows[np.isin(sequence.rows[:, mot.FRAME], seen)]
        found[sequence.name] = np.concatenate([*rows, np.empty((0, 9))])
    figures, by_sequence = score_tracks(labelled, found)
    return TrackEvaluation(
        tracker=tracker,
        found_by="det.txt" if model is None else model.name,
        data=str(data),
        frames=frames,
        left_out=left_out,
        figures=figures,
        by_sequence=by_sequence,
        tracks=found,
        tracking_ms=1000 * spent / max(1, frames),
        seconds=time.perf_counter() - begin,
    )


def _frames(sequence: mot.Sequence, model: Model | None, tracker: str) -> Iterator[Frame]:
    """The frames of a sequence; without pictures if nothing needs them."""
    if model is None and sequence.detections is None:
        raise DataError(
            f"{sequence.name}: there is no det/det.txt with boxes; name a detector with --model"
        )
    if model is None and (tracker != "botsort" or sequence.frames is None):
        last = int(sequence.rows[:, mot.FRAME].max())
        for index in range(last):
            yield Frame(0, index, index / sequence.rate, 0.0, _NO_PICTURE)
        return
    if sequence.frames is None:
        raise DataError(f"{sequence.name}: there are no pictures in img1/ and no video")
    of_pictures = sequence.frames.is_dir()
    kind = "images" if of_pictures else "video_file"
    source = registry.resolve(registry.SOURCES, kind, "kind of source")(
        str(sequence.frames), SourceOptions()
    )
    try:
        for frame in source:
            at = frame.index / sequence.rate if of_pictures else frame.time
            yield Frame(0, frame.index, at, 0.0, frame.image)
    finally:
        source.close()


def _boxes(
    frame: Frame,
    sequence: mot.Sequence,
    model: Model | None,
    conf: float,
    classes: tuple[str, ...],
) -> sv.Detections:
    """The boxes of a frame."""
    import supervision as sv

    if model is not None:
        if not classes and _OF_PEOPLE in model.labels:
            classes = (_OF_PEOPLE,)
        found: sv.Detections = model(frame.image, conf=conf, classes=classes or None)
        return found
    assert sequence.detections is not None
    rows = sequence.detections[sequence.detections[:, mot.FRAME] == frame.index + 1]
    rows = rows[rows[:, mot.CONFIDENCE] >= conf]
    corners = rows[:, mot.LEFT : mot.HEIGHT + 1].astype(np.float32)
    corners[:, 2:] += corners[:, :2]
    return sv.Detections(
        xyxy=corners,
        confidence=rows[:, mot.CONFIDENCE].astype(np.float32),
        class_id=np.zeros(len(rows), int),
    )


def _rows(frame: int, tracked: sv.Detections) -> NDArray[np.float64]:
    """The tracks of a frame as rows, without unconfirmed boxes."""
    numbers = np.asarray(tracked.tracker_id)
    rows = np.ones((len(tracked), 9))
    rows[:, mot.FRAME] = frame
    rows[:, mot.NUMBER] = numbers
    corners = np.asarray(tracked.xyxy, np.float64)
    rows[:, mot.LEFT : mot.WIDTH] = corners[:, :2]
    rows[:, mot.WIDTH : mot.CONFIDENCE] = corners[:, 2:] - corners[:, :2]
    if tracked.confidence is not None:
        rows[:, mot.CONFIDENCE] = tracked.confidence
    return rows[numbers >= 0]
