"""The analysis of frames: what is ignored, tracking, and the watching of scenes, in this order."""

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

_USUAL = "bytetrack"


class Analysis:
    """What happens between inference and drawing: boxes get numbers, and scenes are watched.

    The scene of a frame is that of its settings, so that sources have scenes of their own, which
    may change while they are watched; of a frame without settings it is ``scene``.

    Args:
        track: Name of a tracker; None for none, unless a scene is watched, which needs one.
        scene: What is watched; None for nothing.
        emit: Takes the events.
        note: Takes crossings and visits, whatever the rules are.
        activation: The score from which a box begins a track, 0..1.
    """

    def __init__(
        self,
        track: str | None = None,
        scene: Scene | None = None,
        emit: Callable[[Event], None] = lambda event: None,
        *,
        note: Callable[[Passage], None] = lambda passage: None,
        activation: float = 0.25,
    ) -> None:
        self._always = track is not None
        self._scene = scene
        self._ignoring: dict[int, tuple[Scene, Ignoring]] = {}
        self._tracking = Tracking(track or _USUAL, activation=activation)
        self._watching = Watching(scene, emit, note)

    def opened(self, source: int, info: SourceInfo) -> None:
        """The frames of a source will come."""
        self._tracking.opened(source, info)
        self._watching.opened(source, info)

    def __call__(self, inferred: Inferred) -> Inferred:
        """A frame with what is left of its results, numbered."""
        scene = self._scene if inferred.settings is None else inferred.settings.scene
        watched = scene is not None and scene.is_watched
        if scene is not None and scene.ignore:
            inferred = self._without(scene, inferred)
        if self._always or watched:
            inferred = self._tracking(inferred)
        return self._watching(inferred)

    def ended(self, source: int) -> None:
        """A source has given its last frame."""
        self._ignoring.pop(source, None)
        self._tracking.ended(source)
        self._watching.ended(source)

    def figures(self, source: int) -> dict[str, Any]:
        """What was counted in a source so far; empty where no scene is watched."""
        return self._watching.figures(source)

    def _without(self, scene: Scene, inferred: Inferred) -> Inferred:
        source = inferred.frame.source
        of, ignoring = self._ignoring.get(source, (None, None))
        if ignoring is None or of is not scene:
            ignoring = Ignoring(scene.ignore)
            self._ignoring[source] = scene, ignoring
        return ignoring(inferred)
