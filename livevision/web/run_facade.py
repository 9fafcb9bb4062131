"""What the API reads and changes of a run, in one object.

Every method is thread-safe. Those that change something may block for a moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as dt_time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livevision.capture.life import Vitals
from livevision.capture.locate import expand
from livevision.config import SourceSettings
from livevision.config.event_places import is_store
from livevision.errors import LivevisionError, UsageError
from livevision.events.reading import EventFilter, EventReader
from livevision.files import with_home
from livevision.frame import LiveSettings
from livevision.models.for_run import open_specs
from livevision.output.live_video import can_encode
from livevision.output.live_view import LiveView, Shown, counts
from livevision.output.records import row_of
from livevision.protocols import Rates
from livevision.runtime.report import joined
from livevision.version import __version__
from livevision.web.pictures import Tile
from livevision.web.scenes import Corners, Scenes
from livevision.web.words import state_in_words

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from livevision.output.segment_folder import SegmentFolder
    from livevision.runtime.metering import Meter
    from livevision.runtime.recording import Recording
    from livevision.runtime.reloading import Reloading
    from livevision.runtime.run import Run
    from livevision.runtime.segments import Segments

ADDABLE_KINDS = ("camera", "stream", "synthetic")
"""Kinds of source that the API may add: no local files and no pipelines."""

Shapes = Mapping[str, Corners | None]
"""Corners by name; None deletes a shape."""

MAX_SOURCES = 64
_CACHED_S = 0.3  # how long the figures of all sources are cached


class NotFound(LivevisionError):
    """There is no source, event or file of that name."""


@dataclass
class _Cache:
    at: float = -1.0
    rows: list[dict[str, Any]] = field(default_factory=list)


class RunFacade:
    """Reads and changes a run.

    Args:
        run: The run.
        view: Holds its newest frames.
        config: The file of ``--config``; None for none.
    """

    def __init__(self, run: Run, view: LiveView, config: Path | None = None) -> None:
        self._run, self.view = run, view
        self._scenes = Scenes(run, config)
        self._cache, self._lock = _Cache(), threading.Lock()
        self._drawing = threading.Lock()
        self.reloading: Reloading | None = None
        self._store = next((place for place in run.settings.events if is_store(place)), None)
        self.started = time.monotonic()

    # Reading.

    def tiles(self) -> list[Tile]:
        """The sources for drawing: names and states."""
        return [Tile(n, self.name(n), self._words(n)) for n in self._run.watched]

    def sources(self) -> list[dict[str, Any]]:
        """All watched sources with their current figures."""
        with self._lock:
            if time.monotonic() - self._cache.at > _CACHED_S:
                self._cache = _Cache(time.monotonic(), [self.source(n) for n in self._run.watched])
            return self._cache.rows

    def source(self, source: int) -> dict[str, Any]:
        """A source with its current figures.

        Raises:
            NotFound: There is none at that position.
        """
        self.check(source)
        run, now = self._run, self._run.sources.now(source)
        row, info = run.meter.row(source), run.meter.info(source)
        shown = self.view.newest(source)
        settings = run.controls.of(source)
        rates = Rates() if info is None else run.meter.rates(source)
        recording = run.delivery.recordings.of(source)
        return {
            "id": source,
            "name": self.name(source),
            "kind": run.sources[source].kind,
            "state": "paused" if now.state == "live" and settings.paused else now.state,
            "words": state_in_words(now, settings.paused, time.monotonic()),
            "since_s": round(time.monotonic() - now.since, 3),
            "retries": now.retries,
            "why": now.why,
            "live": None if info is None else info.live,
            "size": None if info is None else list(info.size),
            "age_s": None if shown is None else round(shown.age, 3),
            "rates": {
                "capture_fps": _rounded(rates.capture_fps),
                "delivered_fps": _rounded(rates.delivered_fps),
                "model_fps": _rounded(rates.model_fps),
                "latency_ms": _rounded(rates.latency_ms),
                "lag_ms": _rounded(rates.lag_ms),
            },
            "frames_in": row["frames_in"] if row else 0,
            "frames_out": row["frames_out"] if row else 0,
            "dropped": _flat(row["dropped"]) if row else {},
            "losses": row["losses"] if row else {},
            "error": row["error"] if row else None,
            "counts": {} if shown is None else dict(counts(shown.rendered)),
            "settings": settings_row(settings),
            "recording": None if recording is None else recording_row(recording),
            "record": None if run.segments is None else run.segments.row(source),
        }

    def run(self) -> dict[str, Any]:
        """The run: version, models, engine, uptime."""
        run = self._run
        specs = open_specs(run.models)
        return {
            "version": __version__,
            "models": [
                {"name": m.name, "task": m.task, "labels": list(m.labels)} for m in run.models
            ],
            "engine": joined(s.engine for s in specs) or None,
            "device": joined(s.device for s in specs) or None,
            "precision": joined(s.precision for s in specs) or None,
            "up_s": round(time.monotonic() - self.started, 1),
            "stopping": run.pipeline.stopping,
            "events": self._store is not None,
            "records": run.segments is not None,
            "video": can_encode(),
            "settings_error": "" if self.reloading is None else self.reloading.outcome.error,
        }

    def report(self) -> dict[str, Any]:
        """The report so far, as ``--report`` writes it."""
        return self._run.report()

    def row(self, source: int, shown: Shown) -> dict[str, Any]:
        """A frame's results in the format of JSON lines, with the position of its source."""
        info = self._run.meter.info(source)
        live = info is not None and info.live
        return {"id": source, **row_of(shown.rendered, self.name(source), live=live)}

    @property
    def watched(self) -> list[int]:
        """Positions of the watched sources."""
        return self._run.watched

    @property
    def segments(self) -> Segments | None:
        """The recorder of segments; None without ``--record``."""
        return self._run.segments

    @property
    def meter(self) -> Meter:
        """The run's counters."""
        return self._run.meter

    def name(self, source: int) -> str:
        """The name of a source."""
        return self._run.sources[source].name

    def vitals(self, source: int) -> Vitals:
        """The state of a source."""
        return self._run.sources.now(source)

    def labels(self, source: int) -> list[str]:
        """Classes that the models of a source know.

        Raises:
            NotFound: There is none at that position.
        """
        self.check(source)
        return self._run.labels(source)

    def check(self, source: int) -> None:
        """Check that a source is watched.

        Raises:
            NotFound: It is not.
        """
        if source not in self._run.watched:
            raise NotFound(f"there is no source {source}")

    # Changing.

    def change(self, source: int, **values: Any) -> LiveSettings:
        """Change settings of a source.

        Raises:
            NotFound: There is none at that position.
            UsageError: A value is not allowed.
        """
        self.check(source)
        settings = self._run.controls.change(source, **values)
        self._stale()
        return settings

    def scene(self, source: int) -> dict[str, Any]:
        """The scene of a source.

        Raises:
            NotFound: There is none at that position.
        """
        self.check(source)
        return self._scenes.row(source)

    def change_scene(self, source: int, zones: Shapes, lines: Shapes) -> dict[str, Any]:
        """Change zones and lines of a source, in the run and in its scene's file.

        Raises:
            NotFound: There is none at that position.
            UsageError: A shape is invalid, or the file cannot be written.
        """
        self.check(source)
        with self._drawing:
            self._scenes.change(source, zones, lines)
        return self._scenes.row(source)

    def events(self, chosen: EventFilter, most: int) -> list[dict[str, Any]]:
        """The newest events of the run's store, newest first.

        Raises:
            NotFound: The run has no store.
        """
        with self._reader() as reader:
            return [] if reader is None else [one.body for one in reader.find(chosen, most=most)]

    def event_file(self, event: str, kind: str) -> Path:
        """The file of an event's picture or clip.

        Args:
            event: Its id.
            kind: "picture" or "clip".

        Raises:
            NotFound: The run has no store, or there is no such event or file.
        """
        with self._reader() as reader:
            found = None if reader is None else reader.one(event)
        named = None if found is None else found.body.get(kind)
        folder = self._run.settings.clips
        if not isinstance(named, str) or folder is None:
            raise NotFound(f"the event has no {kind}")
        path = Path(named).resolve()
        # A store copied from another machine may name any file of this one.
        if not path.is_relative_to(with_home(folder).resolve()) or not path.is_file():
            raise NotFound(f"the {kind} of the event has been deleted")
        return path

    def recorded(self, source: str | None, day: date | None, most: int) -> list[dict[str, Any]]:
        """Segments of the recording, newest first.

        Args:
            source: Name of the source; None for all.
            day: Day in the machine's time zone; None for all.
            most: Maximum number of segments.

        Raises:
            NotFound: The run records nothing in segments.
            OutputError: The index cannot be read.
        """
        between = None
        if day is not None:
            begin, end = (datetime.combine(day + timedelta(n), dt_time.min) for n in (0, 1))
            between = begin.astimezone(UTC), end.astimezone(UTC)
        found = self._segment_folder.newest(source, between, most)
        return [{**asdict(segment), "events": events} for segment, events in found]

    def segment_file(self, file: str) -> Path:
        """The file of a segment.

        Args:
            file: Its path in the index.

        Raises:
            NotFound: The run records nothing in segments, or there is no such one.
            OutputError: The index cannot be read.
        """
        path = self._segment_folder.path(file)
        if path is None:
            raise NotFound("there is no such segment")
        return path

    @property
    def _segment_folder(self) -> SegmentFolder:
        if self._run.segments is None:
            raise NotFound("this run records no source: start it with --record continuous")
        return self._run.segments.folder

    @contextmanager
    def _reader(self) -> Iterator[EventReader | None]:
        """The run's store of events; None until it has been created.

        Raises:
            NotFound: The run has no store.
        """
        if self._store is None:
            raise NotFound("this run stores no events: start it with --events events.sqlite")
        path = with_home(self._store)
        reader = EventReader(path) if path.is_file() else None
        try:
            yield reader
        finally:
            if reader is not None:
                reader.close()

    def add(self, name: str, uri: str, **values: Any) -> int:
        """Add a source; returns its position.

        Raises:
            UsageError: The API may not add it, the name is taken, or there are too many sources.
            LivevisionError: The source is known to fail.
        """
        if len(self._run.watched) >= MAX_SOURCES:
            raise UsageError(f"there are {MAX_SOURCES} sources already; remove one first")
        if not _may_be_added(uri):
            raise UsageError(
                "only a camera (webcam, /dev/videoN) or a stream (rtsp://, http://, …) can be "
                "added here; files and pipelines need --source when livevision starts"
            )
        source = self._run.add(name, SourceSettings(uri=uri, **values))
        self._stale()
        return source

    def remove(self, source: int) -> None:
        """Remove a source.

        Raises:
            NotFound: There is none at that position.
        """
        self.check(source)
        self._run.remove(source)
        self._run.delivery.recordings.source_ended(source)
        self.view.forget(source)
        self._stale()

    def record(self, source: int) -> Recording:
        """Start recording a source.

        Raises:
            NotFound: There is none at that position.
            UsageError: It is being recorded already, or has no frames.
            OutputError: The file cannot be created.
        """
        self.check(source)
        info = self._run.meter.info(source)
        if info is None or self.vitals(source).state == "ended":
            raise UsageError(f"{self.name(source)} has no frames to record")
        recording = self._run.delivery.recordings.start(source, self.name(source), info)
        self._stale()
        return recording

    def end_recording(self, source: int) -> Recording:
        """Stop recording a source; the file is complete on return.

        Raises:
            NotFound: It is not being recorded.
        """
        self.check(source)
        recording = self._run.delivery.recordings.stop(source)
        self._stale()
        if recording is None:
            raise NotFound(f"{self.name(source)} is not being recorded")
        return recording

    def metrics(self) -> Iterable[Metric]:
        """Metrics besides those of sources, stages and outputs."""
        return ()

    @property
    def folder(self) -> Path:
        """The folder of recordings."""
        return self._run.delivery.recordings.folder

    def _words(self, source: int) -> str:
        """The text on a source's last picture; "" while frames arrive."""
        now, paused = self.vitals(source), self._run.controls.paused(source)
        if now.state == "live" and not paused:
            return ""
        return state_in_words(now, paused, time.monotonic())

    def _stale(self) -> None:
        with self._lock:
            self._cache = _Cache()


def settings_row(settings: LiveSettings) -> dict[str, Any]:
    """Live settings as JSON."""
    return {
        "conf": settings.conf,
        "iou": settings.iou,
        "classes": list(settings.classes),
        "paused": settings.paused,
    }


def recording_row(recording: Recording) -> dict[str, Any]:
    """A recording as JSON."""
    return {
        "file": recording.file.name,
        "since_s": round(time.monotonic() - recording.since, 1),
        "error": recording.error or None,
    }


def _flat(dropped: dict[str, dict[str, int]]) -> dict[str, int]:
    """Drops by stage and cause in one dictionary: ``{"inference: late": 3}``."""
    return {
        f"{stage}: {cause}": n for stage, causes in dropped.items() for cause, n in causes.items()
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _may_be_added(uri: str) -> bool:
    """Whether the API may add a source, judged without reading the disk."""
    plain = uri in ("webcam", "synthetic") or uri.isdecimal() or uri.startswith("/dev/video")
    if not plain and ("://" not in uri or uri.lower().startswith(("file:", "gst:", "csi:"))):
        return False
    return all(kind in ADDABLE_KINDS for kind, _ in expand([uri]))
