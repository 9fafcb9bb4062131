"""The analysis stage: tracks, scene counts, events, and their figures in the report."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from livevision.analysis.event import Event
from livevision.analysis.passage import Passage
from livevision.analysis.stage import Analysis
from livevision.frame import Inferred
from livevision.media.packets import PacketRing
from livevision.protocols import SourceInfo
from livevision.runtime.clips import Clips
from livevision.runtime.telling import Telling

if TYPE_CHECKING:
    from livevision.config import Settings
    from livevision.config.scene import Scene

log = logging.getLogger(__name__)

_SURE = 0.25  # weaker boxes, if --conf lets them through, only extend tracks


class AnalysisStage:
    """The analysis of a run, and the destinations of its events.

    Args:
        settings: The run's.
        clips: Saves pictures and clips of events.
        ring: Returns the packet buffer of a source, if it has one.
        happened: Called with each event, besides its destinations, and its source's position.

    Raises:
        UsageError: A destination of events is invalid.
        OutputError: A file of events cannot be created.
        ModelError: A package that sends events is not installed.
    """

    name = "analysis"

    def __init__(
        self,
        settings: Settings,
        clips: Clips | None = None,
        ring: Callable[[int], PacketRing | None] = lambda source: None,
        happened: Callable[[int, Event], None] = lambda source, event: None,
    ) -> None:
        self._analysis = Analysis(
            settings.track,
            None,
            self._happened,
            emit_passage=self._emit_passage,
            activation=max(settings.conf, _SURE),
        )
        self._telling = Telling(
            settings.events,
            settings.overwrite,
            settings.events_private,
            pictures=clips is not None,
        )
        self._clips, self._ring, self._also = clips, ring, happened
        self._new: list[Event] = []
        self._names: dict[int, str] = {}
        self._scenes: dict[int, Scene | None] = {}
        self._figures: dict[int, dict[str, Any]] = {}
        self._open: set[int] = set()
        self._lock = threading.RLock()  # a source may be ended from outside

    @property
    def where(self) -> list[str]:
        """Where events are written."""
        return self._telling.where + ([] if self._clips is None else [self._clips.where])

    def opened(self, source: int, info: SourceInfo) -> None:
        """Start the analysis of a source."""
        self._names[source] = info.name
        self._open.add(source)
        self._analysis.opened(source, info)
        if self._clips is not None:
            self._clips.opened(source, info, self._ring(source))

    def __call__(self, inferred: Inferred) -> Inferred:
        """Add track numbers to a frame and write its events."""
        source = inferred.frame.source
        scene = None if inferred.settings is None else inferred.settings.scene
        if scene is not self._scenes.get(source):
            self._scenes[source] = scene
            self._telling.rules_changed(self._names[source], () if scene is None else scene.rules)
        with self._lock:
            inferred = self._analysis(inferred)
            if self._clips is not None:
                self._clips.look(inferred)
            self._tell(inferred, source)
        return inferred

    def ended(self, source: int) -> None:
        """End the analysis of a source."""
        with self._lock:
            if source not in self._open:
                return
            self._open.discard(source)
            self._figures[source] = self._analysis.figures(source)
            self._analysis.ended(source)
            self._tell(None, source)
            if self._clips is not None:
                self._clips.ended(source)

    def figures(self, source: int) -> dict[str, Any]:
        """What was counted in a source so far; empty without a scene."""
        return self._figures.get(source) or self._analysis.figures(source)

    def report(self) -> dict[str, Any]:
        """Counts so far by source; empty without a scene."""
        found = {
            name: self._figures.get(source) or self._analysis.figures(source)
            for source, name in self._names.items()
        }
        counted = {name: figures for name, figures in found.items() if figures}
        clips = {} if self._clips is None else {"clips": self._clips.report()}
        return {**({"scene": counted} if counted else {}), **clips}

    def close(self) -> None:
        """End the analysis of all sources.

        Raises:
            OutputError: A file of events cannot be finished.
        """
        for source in sorted(self._open):
            self.ended(source)
        if self._clips is not None:
            self._clips.close()
        self._telling.close()

    def _emit_passage(self, passage: Passage) -> None:
        self._telling.add_passage(passage)

    def _happened(self, event: Event) -> None:
        self._new.append(event)

    def _tell(self, inferred: Inferred | None, source: int) -> None:
        """Tell of what happened at a frame, or at the end of a source."""
        events, self._new = self._new, []
        if self._clips is not None:
            events = self._clips.of(events, inferred, source)
        for event in events:
            log.info(
                "%s: rule %r %s at %.2f s: %s %s is %g",
                *(event.source, event.rule, event.phase, event.frame_time),
                *(event.place, event.kind, event.value),
            )
            self._telling.take(event)
            self._also(source, event)
