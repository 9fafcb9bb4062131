"""The analysis stage: what is ignored, tracking, and the watching of scenes, one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from livevision.analysis.event import Event
from livevision.analysis.regions import Ignoring
from livevision.analysis.tracking import Tracking
from livevision.analysis.watching import Watching
from livevision.config.scene import Scene
from livevision.frame import Inferred
from livevision.protocols import SourceInfo


class _Part(Protocol):
    def opened(self, source: int, info: SourceInfo) -> None: ...

    def __call__(self, inferred: Inferred) -> Inferred: ...

    def ended(self, source: int) -> None: ...


class Analysis:
    """What happens between inference and drawing: boxes get numbers, and scenes are watched.

    Args:
        track: Name of a tracker; None for none, unless a scene is watched, which needs one.
        scene: What is watched; None for nothing.
        emit: Takes the events.
        activation: The score from which a box begins a track, 0..1.
    """

    def __init__(
        self,
        track: str | None = None,
        scene: Scene | None = None,
        emit: Callable[[Event], None] = lambda event: None,
        *,
        activation: float = 0.25,
    ) -> None:
        self._parts: list[_Part] = []
        self._watching: Watching | None = None
        if scene is not None and scene.ignore:
            self._parts.append(Ignoring(scene.ignore))
        watched = scene is not None and bool(scene.lines or scene.zones)
        if track is not None or watched:
            self._parts.append(Tracking(track or "bytetrack", activation=activation))
        if scene is not None and watched:
            self._watching = Watching(scene, emit)
            self._parts.append(self._watching)

    def opened(self, source: int, info: SourceInfo) -> None:
        """The frames of a source will come."""
        for part in self._parts:
            part.opened(source, info)

    def __call__(self, inferred: Inferred) -> Inferred:
        """A frame with what is left of its results, numbered."""
        for part in self._parts:
            inferred = part(inferred)
        return inferred

    def ended(self, source: int) -> None:
        """A source has given its last frame."""
        for part in self._parts:
            part.ended(source)

    def figures(self, source: int) -> dict[str, Any]:
        """What was counted in a source so far; empty where no scene is watched."""
        return {} if self._watching is None else self._watching.figures(source)
