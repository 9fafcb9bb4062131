"""The trackers of the package ``trackers`` with livevision's parameters.

A tracker is made for one group of classes of one source. The package's thresholds suit detectors
whose good boxes score over 0.7. Here a box starts a track at ``activation``, which follows
``--conf``, so that every drawn box gets a number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import supervision as sv

from livevision.analysis.motion import CornerMotion
from livevision.frame import Image

# The package gives the time that a track may be lost in frames, at 30 frames per second.
_REFERENCE_FPS = 30.0


class Tracker(Protocol):
    """A tracker of the package.

    Attributes:
        tracks: Current tracks, including unconfirmed and lost ones.
    """

    tracks: list[Any]

    def update(
        self, detections: sv.Detections, frame: Image | None = None, timestamp: float | None = None
    ) -> sv.Detections: ...


def bytetrack(rate: float, activation: float, lost_for: float) -> Tracker:
    """ByteTrack: boxes of low confidence continue tracks (Zhang et al., 2022)."""
    from trackers import ByteTrackTracker

    return _made(
        ByteTrackTracker,
        rate,
        lost_for,
        track_activation_threshold=activation,
        high_conf_det_threshold=activation,
        state_estimator_class=CornerMotion,
    )


def ocsort(rate: float, activation: float, lost_for: float) -> Tracker:
    """OC-SORT: for motion that changes direction (Cao et al., 2023)."""
    from trackers import OCSORTTracker

    return _made(
        OCSORTTracker,
        rate,
        lost_for,
        high_conf_det_threshold=activation,
        minimum_consecutive_frames=2,
    )


def botsort(rate: float, activation: float, lost_for: float) -> Tracker:
    """BoT-SORT: for moving cameras; uses the pictures too (Aharon et al., 2022)."""
    from trackers import BoTSORTTracker

    return _made(
        BoTSORTTracker,
        rate,
        lost_for,
        track_activation_threshold=activation,
        high_conf_det_threshold=activation,
    )


def sort(rate: float, activation: float, lost_for: float) -> Tracker:
    """SORT: overlap and constant velocity only (Bewley et al., 2016)."""
    from trackers import SORTTracker

    return _made(
        SORTTracker,
        rate,
        lost_for,
        track_activation_threshold=activation,
        state_estimator_class=CornerMotion,
    )


def _made(kind: Callable[..., Any], rate: float, lost_for: float, **options: Any) -> Tracker:
    tracker: Tracker = kind(
        frame_rate=rate, lost_track_buffer=round(lost_for * _REFERENCE_FPS), **options
    )
    return tracker
