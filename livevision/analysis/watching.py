"""Watching of scenes: counts of lines and zones, and events of rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from livevision.analysis.event import Event, Ulids, as_text, utc_time
from livevision.analysis.lines import Crossing, LineCounter
from livevision.analysis.passage import Passage, passage_of
from livevision.analysis.regions import Coverage
from livevision.analysis.rule_evaluator import Finding, Observation, RuleEvaluator
from livevision.analysis.tracks import Track, Tracks
from livevision.analysis.zones import Visit, ZoneCounter
from livevision.config.scene import Scene
from livevision.frame import Counts, Frame, Inferred
from livevision.protocols import SourceInfo
from livevision.results import ClassMap, Label

_NO_IMAGE = np.empty((0, 0, 3), np.uint8)


class Watching:
    """Watches the scene of each source, using results with track numbers.

    It changes no results. Call it with the frames of a source in order, on one thread; ``figures``
    is thread-safe. If the size of a source's frames changes, its counts restart; if its scene
    changes, those of the changed lines and zones do.

    Args:
        scene: Scene of frames without settings; None for none.
        emit: Called with each event, on the thread of the frames; it must return quickly.
        emit_passage: Called with each crossing and visit, independent of rules.
    """

    def __init__(
        self,
        scene: Scene | None,
        emit: Callable[[Event], None],
        emit_passage: Callable[[Passage], None] = lambda passage: None,
    ) -> None:
        self._scene = scene
        self._emit, self._emit_passage = emit, emit_passage
        self._ulids = Ulids()
        self._watched: dict[int, _Watched] = {}
        self._names: dict[int, str] = {}

    def opened(self, source: int, info: SourceInfo) -> None:
        """Prepare for the frames of a source."""
        self._names[source] = info.name
        self._watched.pop(source, None)

    def ended(self, source: int) -> None:
        """End a source: events that have begun end too."""
        watched = self._watched.pop(source, None)
        if watched is not None and watched.frame is not None:
            for finding in watched.close():
                self._emit(self._event(watched.frame, finding, watched.open_events))
            self._emit_passages(watched, watched.frame)
        self._names.pop(source, None)

    def __call__(self, inferred: Inferred) -> Inferred:
        """The same frame with counts; its events have been emitted."""
        frame = inferred.frame
        scene = self._scene if inferred.settings is None else inferred.settings.scene
        size = (frame.image.shape[1], frame.image.shape[0])
        watched = self._watched.get(frame.source)
        if watched is None or watched.size != size:
            if scene is None or not scene.is_watched:
                return inferred
            watched = self._watched[frame.source] = _Watched(scene, size)
        findings = [] if watched.scene is scene else watched.change(scene or Scene())
        for finding in (*findings, *watched.update(inferred)):
            self._emit(self._event(frame, finding, watched.open_events))
        self._emit_passages(watched, frame)
        return replace(inferred, counts=watched.counts()) if watched.scene.is_watched else inferred

    def figures(self, source: int) -> dict[str, Any]:
        """Counts of a source so far, for reports and the page; empty if it is not open."""
        watched = self._watched.get(source)
        return {} if watched is None else watched.figures()

    def _emit_passages(self, watched: _Watched, frame: Frame) -> None:
        passages, watched.passages = watched.passages, []
        if passages:
            source = self._names.get(frame.source, str(frame.source))
            time = as_text(utc_time(frame.wall_time))
            for found in passages:
                self._emit_passage(passage_of(found, source, time))

    def _event(self, frame: Frame, finding: Finding, open_events: dict[str, str]) -> Event:
        moment = utc_time(frame.wall_time)
        when = finding.rule.when
        event = Event(
            id=self._ulids(moment.timestamp()),
            source=self._names.get(frame.source, str(frame.source)),
            time=as_text(moment),
            rule=finding.rule.name,
            phase=finding.phase,
            place=when.zone or when.line or "",
            kind=when.measure,
            value=round(finding.value, 6),
            tracks=finding.tracks,
            classes=finding.classes,
            frame=frame.index,
            frame_time=round(frame.time, 6),
            way=finding.way,
            began=open_events.pop(finding.rule.name, None) if finding.phase == "ended" else None,
            lasted=None if finding.lasted is None else round(finding.lasted, 6),
        )
        lasts = when.measure != "dwell" and (when.measure != "crosses" or when.within)
        if lasts and finding.phase == "began":
            open_events[finding.rule.name] = event.id
        return event


class _Watched:
    """The state of one source: its tracks, lines, zones and rules.

    Attributes:
        scene: The scene.
        size: (width, height) of its frames.
        open_events: Ids of the events that have begun and not ended, by rule.
        frame: The last frame, without its image.
        passages: Crossings and visits that have not been emitted yet.
    """

    def __init__(self, scene: Scene, size: tuple[int, int]) -> None:
        self.scene = scene
        self.size = size
        self.open_events: dict[str, str] = {}
        self.frame: Frame | None = None
        self.passages: list[Crossing | Visit] = []
        self._tracks = Tracks()
        self._lines = [LineCounter(line, size) for line in scene.lines]
        self._zones = {zone.name: ZoneCounter(zone, size) for zone in scene.zones}
        self._covered = {zone.name: Coverage(zone.points, size) for zone in scene.zones}
        self._evaluators = [RuleEvaluator(rule) for rule in scene.rules]
        self._shares: dict[str, dict[str, float]] | None = None

    def change(self, scene: Scene) -> list[Finding]:
        """Change the scene; lines, zones and rules that are in both keep their counts and state.

        Returns:
            Ends of events, of rules that were removed or whose zone or line has changed.
        """
        before, self.scene = self.scene, scene
        if not scene.is_watched:
            self._tracks = Tracks()
        same = {*before.lines, *before.zones} & {*scene.lines, *scene.zones}
        lines = {line.line: line for line in self._lines}
        self._lines = [
            lines[each] if each in same else LineCounter(each, self.size) for each in scene.lines
        ]
        kept = {zone.name for zone in before.zones if zone in same}
        self._zones = {
            zone.name: self._zones[zone.name] if zone.name in kept else ZoneCounter(zone, self.size)
            for zone in scene.zones
        }
        self._covered = {zone.name: Coverage(zone.points, self.size) for zone in scene.zones}
        self._shares = None
        evaluators = {evaluator.rule: evaluator for evaluator in self._evaluators}
        kept_rules = {
            rule for rule in scene.rules if rule in evaluators and scene.place_of(rule) in same
        }
        self._evaluators = [
            evaluators[r] if r in kept_rules else RuleEvaluator(r) for r in scene.rules
        ]
        time = 0.0 if self.frame is None else self.frame.time
        over = [evaluator for rule, evaluator in evaluators.items() if rule not in kept_rules]
        return [finding for evaluator in over for finding in evaluator.close(time)]

    def update(self, inferred: Inferred) -> list[Finding]:
        """Update by a frame, and evaluate the rules."""
        frame = inferred.frame
        if self.frame is not None and frame.time < self.frame.time:
            self._restart()
        self.frame = replace(frame, image=_NO_IMAGE)
        seen: list[Track] = []
        ended: list[Track] = []
        for result in inferred.results.values():
            if isinstance(result, ClassMap):
                self._shares = {n: c.shares(result) for n, c in self._covered.items()}
            elif not isinstance(result, Label):
                more, over = self._tracks.update(result, frame.time)
                seen += more
                ended += over
        crossings = [c for line in self._lines for c in line.update(seen, ended, frame.time)]
        self.passages += crossings
        for zone in self._zones.values():
            self.passages += zone.update(seen, frame.time)
        if not self._evaluators:
            return []
        observed = Observation(
            frame.time, utc_time(frame.wall_time), self._zones, crossings, self._shares
        )
        return [found for evaluator in self._evaluators for found in evaluator.update(observed)]

    def counts(self) -> Counts:
        """Counts for the overlay."""
        lines = {
            line.line.name: (line.counts["in"].total(), line.counts["out"].total())
            for line in self._lines
        }
        zones = {name: sum(1 for _ in zone.now()) for name, zone in self._zones.items()}
        return Counts(self.scene, lines, zones)

    def close(self) -> list[Finding]:
        """End all visits and events with the source."""
        for zone in self._zones.values():
            self.passages += zone.close()
        time = 0.0 if self.frame is None else self.frame.time
        return [finding for evaluator in self._evaluators for finding in evaluator.close(time)]

    def figures(self) -> dict[str, Any]:
        """Counts, occupancy, dwell, queue and shares by name of line and zone."""
        lines = {
            line.line.name: {way: dict(counts) for way, counts in line.counts.items()}
            for line in self._lines
        }
        return {
            "lines": lines,
            "zones": {name: self._zone(name, zone) for name, zone in self._zones.items()},
        }

    def _zone(self, name: str, zone: ZoneCounter) -> dict[str, Any]:
        time = 0.0 if self.frame is None else self.frame.time
        inside = list(zone.now())
        dwell = zone.dwell
        latest = np.array(dwell.latest or [np.nan])
        now: dict[str, int] = {}
        for each in inside:
            now[each.track.name] = now.get(each.track.name, 0) + 1
        figures: dict[str, Any] = {
            "now": now,
            "queue": len(zone.queue(time)),
            "in": dict(zone.counts["in"]),
            "out": dict(zone.counts["out"]),
            "ways": dict(zone.ways),
            "dwell_s": {
                "visits": dwell.visits,
                "mean": round(dwell.total / dwell.visits, 3) if dwell.visits else None,
                "median": round(float(np.median(latest)), 3) if dwell.visits else None,
                "longest": round(dwell.longest, 3) if dwell.visits else None,
                "now": round(max((each.last - each.entered for each in inside), default=0.0), 3),
            },
        }
        shares = self._shares
        if shares is not None and name in shares:
            figures["shares"] = {c: round(s, 4) for c, s in shares[name].items()}
        return figures

    def _restart(self) -> None:
        """Forget all tracks, since time went back; counts stay."""
        self._tracks = Tracks()
        for zone in self._zones.values():
            self.passages += zone.close()
