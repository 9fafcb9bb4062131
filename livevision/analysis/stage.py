"""The analysis stage: ignored regions, tracking and scenes, in this order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from livevision.analysis.event import Event
from livevision.analysis.passage import Passage
from livevision.analysis.regions import Ignoring
from livevision.analysis.tracking import Tracking
from livevision.analysis.watching import Watching
from livevision.config.scene import Scene
from livevision.frame import Inferred
from livevision.protocols import SourceInfo

_DEFAULT = "bytetrack"


class Analysis:
    """Tracks objects and watches scenes, between inference and overlay.

    A frame's settings contain its scene, so that sources have their own scenes, which may change
    during the run; for a frame without settings it is ``scene``.

    Args:
        track: Name of a tracker; None tracks only if a scene needs it.
        scene: Scene of frames without settings; None for none.
        emit: Called with each event.
        emit_passage: Called with each crossing and visit, independent of rules.
        activation: Confidence from which a box starts a track, 0..1.
    """

    def __init__(
        self,
        track: str | None = None,
        scene: Scene | None = None,
        emit: Callable[[Event], None] = lambda event: None,
        *,
        emit_passage: Callable[[Passage], None] = lambda passage: None,
        activation: float = 0.25,
    ) -> None:
        self._always = track is not None
        self._scene = scene
        self._ignoring: dict[int, tuple[Scene, Ignoring]] = {}
        self._tracking = Tracking(track or _DEFAULT, activation=activation)
        self._watching = Watching(scene, emit, emit_passage)

    def opened(self, source: int, info: SourceInfo) -> None:
        """Prepare for the frames of a source."""
        self._tracking.opened(source, info)
        self._watching.opened(source, info)

    def __call__(self, inferred: Inferred) -> Inferred:
        """A frame with track numbers, without ignored boxes."""
        scene = self._scene if inferred.settings is None else inferred.settings.scene
        watched = scene is not None and scene.is_watched
        if scene is not None and scene.ignore:
            inferred = self._without(scene, inferred)
        if self._always or watched:
            inferred = self._tracking(inferred)
        return self._watching(inferred)

    def ended(self, source: int) -> None:
        """End the tracks and the scene of a source."""
        self._ignoring.pop(source, None)
        self._tracking.ended(source)
        self._watching.ended(source)

    def figures(self, source: int) -> dict[str, Any]:
        """Counts of a source so far; empty without a scene."""
        return self._watching.figures(source)

    def _without(self, scene: Scene, inferred: Inferred) -> Inferred:
        source = inferred.frame.source
        of, ignoring = self._ignoring.get(source, (None, None))
        if ignoring is None or of is not scene:
            ignoring = Ignoring(scene.ignore)
            self._ignoring[source] = scene, ignoring
        return ignoring(inferred)
