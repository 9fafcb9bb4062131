"""The stage that watches a scene: counts over lines and in zones, and the events of its rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from livevision.analysis.event import Event, Ulids, as_text, day_time
from livevision.analysis.judging import Finding, Judge, Seen
from livevision.analysis.lines import Crossing, LineCounter
from livevision.analysis.passage import Passage, passage_of
from livevision.analysis.regions import Coverage
from livevision.analysis.tracks import Track, Tracks
from livevision.analysis.zones import Visit, ZoneCounter
from livevision.config.scene import Scene
from livevision.frame import Counts, Frame, Inferred
from livevision.protocols import SourceInfo
from livevision.results import ClassMap, Label

_NONE = np.empty((0, 0, 3), np.uint8)  # a picture need not be kept


class Watching:
    """Watches the scene of each source, on results that have numbers of tracks.

    It changes no results. To be called with the frames of a source in their order, on one
    thread; ``figures`` may be called from others. Where the size of a source's frames changes,
    its counts begin anew; where its scene changes, those of the lines and zones that changed do.

    Args:
        scene: What is watched where a frame has no settings; None for nothing.
        emit: Takes each event, on the thread of the frames; it must not take long.
        note: Takes each crossing and visit, too, whatever the rules are.
    """

    def __init__(
        self,
        scene: Scene | None,
        emit: Callable[[Event], None],
        note: Callable[[Passage], None] = lambda passage: None,
    ) -> None:
        self._scene = scene
        self._emit, self._note = emit, note
        self._ulids = Ulids()
        self._watched: dict[int, _Watched] = {}
        self._names: dict[int, str] = {}

    def opened(self, source: int, info: SourceInfo) -> None:
        """The frames of a source will come."""
        self._names[source] = info.name
        self._watched.pop(source, None)

    def ended(self, source: int) -> None:
        """A source has given its last frame: whatever lasted ends with it."""
        watched = self._watched.pop(source, None)
        if watched is not None and watched.frame is not None:
            for finding in watched.close():
                self._emit(self._event(watched.frame, finding, watched.begun))
            self._pass_on(watched, watched.frame)
        self._names.pop(source, None)

    def __call__(self, inferred: Inferred) -> Inferred:
        """The same frame with what was counted; its events have been emitted."""
        frame = inferred.frame
        scene = self._scene if inferred.settings is None else inferred.settings.scene
        size = (frame.image.shape[1], frame.image.shape[0])
        watched = self._watched.get(frame.source)
        if watched is None or watched.size != size:
            if scene is None or not scene.is_watched:
                return inferred
            watched = self._watched[frame.source] = _Watched(scene, size)
        findings = [] if watched.scene is scene else watched.change(scene or Scene())
        for finding in (*findings, *watched.see(inferred)):
            self._emit(self._event(frame, finding, watched.begun))
        self._pass_on(watched, frame)
        return replace(inferred, counts=watched.counts()) if watched.scene.is_watched else inferred

    def figures(self, source: int) -> dict[str, Any]:
        """What was counted in a source so far, for reports and pages; empty where none is open."""
        watched = self._watched.get(source)
        return {} if watched is None else watched.figures()

    def _pass_on(self, watched: _Watched, frame: Frame) -> None:
        passed, watched.passed = watched.passed, []
        if passed:
            source = self._names.get(frame.source, str(frame.source))
            time = as_text(day_time(frame.wall_time))
            for found in passed:
                self._note(passage_of(found, source, time))

    def _event(self, frame: Frame, finding: Finding, begun: dict[str, str]) -> Event:
        moment = day_time(frame.wall_time)
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
            began=begun.pop(finding.rule.name, None) if finding.phase == "ended" else None,
            lasted=None if finding.lasted is None else round(finding.lasted, 6),
        )
        lasts = when.measure != "dwell" and (when.measure != "crosses" or when.within)
        if lasts and finding.phase == "began":
            begun[finding.rule.name] = event.id
        return event


class _Watched:
    """One source: its tracks, lines, zones and rules.

    Attributes:
        scene: What is watched.
        size: (width, height) of its frames.
        begun: By rule, the id of the event that began what lasts.
        frame: The last one.
        passed: Crossings and visits that nobody was told of yet.
    """

    def __init__(self, scene: Scene, size: tuple[int, int]) -> None:
        self.scene = scene
        self.size = size
        self.begun: dict[str, str] = {}
        self.frame: Frame | None = None
        self.passed: list[Crossing | Visit] = []
        self._tracks = Tracks()
        self._lines = [LineCounter(line, size) for line in scene.lines]
        self._zones = {zone.name: ZoneCounter(zone, size) for zone in scene.zones}
        self._covered = {zone.name: Coverage(zone.points, size) for zone in scene.zones}
        self._judges = [Judge(rule) for rule in scene.rules]
        self._shares: dict[str, dict[str, float]] | None = None

    def change(self, scene: Scene) -> list[Finding]:
        """Watch another scene; what is the same in both keeps its counts and state.

        Returns:
            The ends of what lasted by rules that are no more, or whose zone or line is another.
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
        judges = {judge.rule: judge for judge in self._judges}
        going = {rule for rule in scene.rules if rule in judges and scene.place_of(rule) in same}
        self._judges = [judges[r] if r in going else Judge(r) for r in scene.rules]
        time = 0.0 if self.frame is None else self.frame.time
        over = [judge for rule, judge in judges.items() if rule not in going]
        return [finding for judge in over for finding in judge.close(time)]

    def see(self, inferred: Inferred) -> list[Finding]:
        """What the rules make of a frame."""
        frame = inferred.frame
        if self.frame is not None and frame.time < self.frame.time:
            self._begin_anew()
        self.frame = replace(frame, image=_NONE)
        seen: list[Track] = []
        ended: list[Track] = []
        for result in inferred.results.values():
            if isinstance(result, ClassMap):
                self._shares = {n: c.shares(result) for n, c in self._covered.items()}
            elif not isinstance(result, Label):
                more, over = self._tracks.see(result, frame.time)
                seen += more
                ended += over
        crossings = [c for line in self._lines for c in line.see(seen, ended, frame.time)]
        self.passed += crossings
        for zone in self._zones.values():
            self.passed += zone.see(seen, frame.time)
        if not self._judges:
            return []
        shown = Seen(frame.time, day_time(frame.wall_time), self._zones, crossings, self._shares)
        return [finding for judge in self._judges for finding in judge.see(shown)]

    def counts(self) -> Counts:
        """What a picture of the scene shows."""
        lines = {
            line.line.name: (line.counts["in"].total(), line.counts["out"].total())
            for line in self._lines
        }
        zones = {name: sum(1 for _ in zone.now()) for name, zone in self._zones.items()}
        return Counts(self.scene, lines, zones)

    def close(self) -> list[Finding]:
        """The source has ended, and with it all visits and whatever lasted."""
        for zone in self._zones.values():
            self.passed += zone.close()
        time = 0.0 if self.frame is None else self.frame.time
        return [finding for judge in self._judges for finding in judge.close(time)]

    def figures(self) -> dict[str, Any]:
        """Counts, occupancy, dwell, queue and shares by the names of lines and zones."""
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
        told: dict[str, Any] = {
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
            told["shares"] = {c: round(s, 4) for c, s in shares[name].items()}
        return told

    def _begin_anew(self) -> None:
        """Time went back, and the numbers of all tracks with it; what was counted stays."""
        self._tracks = Tracks()
        for zone in self._zones.values():
            self.passed += zone.close()
