"""A run: builds its objects from the settings and runs them until the last file is closed."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from livevision.capture.locate import expand
from livevision.cores import usable
from livevision.errors import LivevisionError, SourceError, UsageError
from livevision.frame import Frame, LiveSettings, Rendered
from livevision.inference.detect import class_ids
from livevision.media.packets import PacketRing
from livevision.models.fitting import FIT
from livevision.models.for_run import RunModels, for_run, is_light, open_specs
from livevision.models.model import Model
from livevision.protocols import StopRequested
from livevision.runtime.controls import Controls
from livevision.runtime.delivery import Delivery
from livevision.runtime.inference_stage import InferenceStage
from livevision.runtime.links import Closed
from livevision.runtime.metering import Meter
from livevision.runtime.outcome import Outcome
from livevision.runtime.overlay_stage import OverlayStage
from livevision.runtime.pace.adaptive import Adaptive
from livevision.runtime.pipeline import Ended, Opened, Pipeline
from livevision.runtime.preprocess_stage import PreprocessStage
from livevision.runtime.report import joined
from livevision.runtime.sources import Sources, Watched, watched
from livevision.runtime.stages import Computing, Stage
from livevision.runtime.terminal import Progress

if TYPE_CHECKING:
    from livevision.analysis.event import Event
    from livevision.config import Settings, SourceSettings
    from livevision.config.scene import Scene
    from livevision.runtime.analysis_stage import AnalysisStage
    from livevision.runtime.clips import Clips
    from livevision.runtime.segments import Segments

log = logging.getLogger(__name__)

_FEW = 4
"""Live sources up to which a light net leaves a core to the others, and computes one at a time."""


class Run:
    """The objects of one run.

    Args:
        settings: The user's settings.
        meter: Takes the run's measurements.
        stay: Continue without sources until the run is stopped, as some may be added.
        draw: Draw on copies of the frames even if no output needs pictures, since the caller uses
            the frames.
        overlap: Keep several frames in flight if no frame may be dropped.
        sources: Its sources; default: those of the settings.
        opened: Its models, which stay open after it; default: those of the settings.
        room: Sources that may be added; threads are shared as for so many.
        heard: Called with each event and the position of its source.

    Attributes:
        controls: Settings that can change during the run.
        outcome: The sources that failed, the report and the exit code.
        segments: The recording of sources; None if none is recorded.
        stages: The stages between capture and output, in order.
        turned: ``time.monotonic()`` when the output last got a frame or found none waiting.
    """

    def __init__(
        self,
        settings: Settings,
        meter: Meter,
        draw: bool = False,
        overlap: bool = True,
        stay: bool = False,
        sources: Sequence[Watched] | None = None,
        opened: RunModels | None = None,
        room: int = 0,
        heard: Callable[[int, Event], None] | None = None,
    ) -> None:
        self.settings = settings
        self.turned = time.monotonic()
        self.meter = meter
        self.outcome = Outcome(settings.report, self.report)
        self._delivered: deque[tuple[Frame, float]] = deque()
        self._watched = draw
        self._removed: set[int] = set()
        sources = watched(settings) if sources is None else sources
        self.delivery = Delivery(
            settings,
            sources,
            meter,
            stopping=lambda: self.pipeline.stopping,
            delivered=lambda frame, when: self._delivered.append((frame, when)),
        )
        clips = _clips(settings)
        self.sources = Sources(
            settings,
            sources,
            self.delivery.copies,
            lambda: self.pipeline.stopping,
            partial(self._ring, clips),
        )
        every_frame = self.sources.every_frame
        if settings.target_latency is not None and every_frame:
            raise UsageError(
                "--target-latency is for live sources, whose frames may be dropped; every frame of "
                "a file is processed: add --mode freshest to play it in real time, or leave it out"
            )
        for position in range(len(sources)):
            self._check_recorded(position)
        self.segments = _segments(settings, self.sources, meter)
        annotated = self.segments is not None and settings.record_annotated
        drawn = draw or self.delivery.wants_image or annotated
        cores = usable()
        light_threads: int | None = None
        crowded = not every_frame and max(room, len(sources)) > _FEW
        if crowded:
            light_threads = cores
        elif not every_frame or (drawn and self.sources.large):
            light_threads = max(1, cores - 1)
        pictures = self.sources.sizes() if settings.imgsz == FIT else ()
        self._models = opened or for_run(settings, light_threads, pictures)
        models = self._models.models
        self._analysis: AnalysisStage | None = None
        beginning = [self.sources.live_settings(n) for n in range(len(sources))]
        scenes = any(live.scene for live in beginning)
        if settings.track is not None or scenes or stay or self.delivery.view is not None:
            from livevision.runtime.analysis_stage import AnalysisStage

            listeners = [heard, None if self.segments is None else self.segments.happened]
            self._listeners = [listener for listener in listeners if listener is not None]
            self._analysis = AnalysisStage(settings, clips, self.sources.ring, self._happened)
        self._adaptive: Adaptive | None = None
        if settings.target_latency is not None:
            self._adaptive = Adaptive(settings.target_latency, models, meter)
        self.controls = Controls(self._check)
        self._changing = threading.Lock()
        for position, live in enumerate(beginning):
            self.controls.begin(position, live)
        # Each decoded image belongs to one frame, and only Python users see the frame again.
        seen_no_more = not draw and all(source.kind == "video_file" for source in sources)
        overlay = OverlayStage(
            settings,
            models,
            meter,
            self._adaptive,
            wanted=lambda n: draw or annotated or self.delivery.wants_picture(n),
            copy=not seen_no_more or self.delivery.wants_frame,
            pictures=self.sources.pictures,
        )
        if self.delivery.view is not None:
            seen = OverlayStage(
                settings, models, meter, self._adaptive, pictures=self.sources.pictures
            )
            self.delivery.view.draw = seen.draw
        inference = InferenceStage(
            models,
            overlap and every_frame,
            self._adaptive,
            # Frames of several sources share a call only if all go through the same nets.
            live=0 if self._models.of_source else max(room, self.sources.live),
            batch=settings.batch,
            crowded=crowded and all(is_light(model.card) for model in models),
            while_opening=overlay.warm if drawn else None,
            keep=opened is not None,
        )
        self.stages: tuple[Stage | Computing, ...] = (
            PreprocessStage(self._models_of, self.controls.of),
            inference,
            *([] if self._analysis is None else [self._analysis]),
            *([] if self.segments is None or annotated else [self.segments]),
            overlay,
            *([self.segments] if self.segments is not None and annotated else []),
        )
        self.pipeline = Pipeline(
            [partial(self.sources.open, position) for position in range(len(sources))],
            self.sources.turns(),
            self.stages,
            meter,
            mode=settings.mode,
            max_frames=settings.max_frames,
            stride=lambda: 1 if self._adaptive is None else self._adaptive.stride,
            paused=self.controls.paused,
            stay=stay,
            counts=False,
        )

    def frames(self, progress: Progress | None = None) -> Generator[Rendered]:
        """Run; yields each frame after it went to the outlets, or with ``draw`` was written."""
        with self._analysed(), closing(self.pipeline.events()) as events, self.delivery:
            try:
                for event in events:
                    self.turned = time.monotonic()
                    self._look_after()
                    if isinstance(event, Rendered):
                        source = event.frame.source
                        if self.outcome.without(source):
                            self.meter.dropped(source, "output", "failed")
                            continue
                        live = self.pipeline.freshest(source)
                        with self.delivery.write(event, live, self._watched):
                            yield event
                    elif isinstance(event, Opened):
                        self._opened(event)
                        if progress is not None:
                            progress.expect(event.info.frames)
                    elif isinstance(event, Ended):
                        self.delivery.close(event.source)
                        if event.error is not None:
                            self._failed(event.source, event.error)
                    else:
                        self.delivery.attend()
            except StopRequested:
                log.info("stopped in the window")
            for source, error in self.delivery.settle():
                self._failed(source, error)

    def add(self, name: str, settings: SourceSettings) -> int:
        """Add a source during the run. Safe from any thread.

        Args:
            name: Its name; letters, digits, "-", "_" and ".".
            settings: Its settings. Its models must be among those of the run.

        Returns:
            Its position: ``Frame.source``.

        Raises:
            UsageError: The name is in use, the URI means several sources, or a setting is not
                allowed.
            LivevisionError: The source or an output is certain to fail, or the run is ending.
        """
        from livevision.config.sources import check_name

        check_name(name)
        places = expand([settings.uri])
        if len(places) != 1:
            raise UsageError(f"{name}: {settings.uri!r} means {len(places)} sources; one is wanted")
        kind, uri = places[0]
        with self._changing:
            if any(self.sources[n].named == name for n in self.watched):
                raise UsageError(f"a source {name!r} exists already")
            loaded = [model.name for model in self._models.models]
            for model in settings.models or ():
                if model not in loaded:
                    raise UsageError(
                        f"{name}: model {model!r} is not loaded; the run has {', '.join(loaded)}"
                    )
            source = Watched(kind, uri, settings, name)
            self.delivery.add(source)
            position = self.sources.add(source)
            try:
                self._check_recorded(position, added=True)
                self.controls.begin(position, self.sources.live_settings(position))
                self.pipeline.add(partial(self.sources.open, position))
            except (Closed, LivevisionError) as error:
                # Positions are those of the pipeline, which does not know this one.
                self.controls.forget(position)
                self.sources.discard_last()
                self.delivery.discard_last()
                if isinstance(error, Closed):
                    raise SourceError(f"{name}: the run is ending") from None
                raise
        return position

    @property
    def models(self) -> Sequence[Model]:
        """All models of the run, in drawing order."""
        return self._models.models

    def labels(self, source: int) -> list[str]:
        """Classes of a source's models, without duplicates."""
        return list(dict.fromkeys(name for m in self._models_of(source) for name in m.labels))

    def use(self, settings: Settings) -> None:
        """Replace the settings, for sources opened from now on; see ``reloading``."""
        self.settings = settings
        self.sources.use(settings)

    def scene_figures(self, source: int) -> dict[str, Any]:
        """Counts in the scene of a source so far; empty without a scene."""
        return {} if self._analysis is None else self._analysis.figures(source)

    def remove(self, source: int) -> None:
        """Remove a source; its outputs are finished. Safe from any thread."""
        self._removed.add(source)
        self.sources.begin_closing(source)
        self.pipeline.remove(source)

    @property
    def watched(self) -> list[int]:
        """Positions of the sources that are not removed."""
        known = [n for n in range(len(self.sources)) if self.controls.knows(n)]
        return [n for n in known if n not in self._removed]

    def report(self) -> dict[str, Any]:
        """The report of the run so far."""
        specs = open_specs(self._models.models)
        adapted = {} if self._adaptive is None else {"target_latency": self._adaptive.report()}
        return self.meter.report(
            engine=joined(s.engine for s in specs) or None,
            device=joined(s.device for s in specs) or None,
            precision=joined(s.precision for s in specs) or None,
            model=joined(m.name for m in self._models.models),
            agreement={m.name: asdict(m.agreement) for m in self._models.models if m.agreement},
            **adapted,
            **({} if self._analysis is None else self._analysis.report()),
            **({} if self.segments is None else {"recording": self.segments.report()}),
        )

    @contextmanager
    def _analysed(self) -> Iterator[None]:
        """Context of a run: writes its last events, and finishes its segments, at the end."""
        try:
            yield
        finally:
            try:
                if self._analysis is not None:
                    self._analysis.close()
                    self.delivery.where += self._analysis.where
            finally:
                if self.segments is not None:
                    self.segments.close()
                    self.delivery.where.append(self.segments.where)

    def _models_of(self, source: int) -> Sequence[Model]:
        """The models that process a source now."""
        models = self._models.models if self._adaptive is None else self._adaptive.current
        own = self.sources[source].settings.models
        if own is None and not self._models.of_source:
            return models
        named = self.sources[source].named
        if named is not None and own is not None and named in self._models.of_source:
            own = self._models.of_source[named]
        names = self._models.of_run if own is None else own
        return [model for model in models if model.name in names]

    def _happened(self, source: int, event: Event) -> None:
        for listener in self._listeners:
            listener(source, event)

    def _ring(self, clips: Clips | None, source: int) -> PacketRing | None:
        """A buffer for the packets of a source, if clips or its recording need them."""
        run = self.settings
        hides = bool(run.blur)
        wanted = clips is not None and not hides
        if self.sources.record(source) != "off" and not run.record_annotated and not hides:
            wanted = True
        sound = self.sources.record_sound(source)
        return PacketRing(run.clip_before, sound=sound) if wanted else None

    def _check_recorded(self, source: int, added: bool = False) -> None:
        """Check that a source can be recorded as its settings say."""
        mode, name = self.sources.record(source), self.sources[source].name
        if mode == "on-event" and self.sources.live_settings(source).scene is None:
            raise UsageError(
                f"{name}: it is recorded on-event, and events come from the rules of a scene: add "
                "--scene FILE or rules, or record it continuously"
            )
        if mode != "off" and added and self.segments is None:
            raise UsageError(
                f"{name}: this run records no source, and cannot begin to; start it with --record, "
                "or record of a source"
            )

    def _check(self, source: int, settings: LiveSettings) -> None:
        """Check that the classes are known to a detector of the source."""
        detectors = [model for model in self._models_of(source) if model.task == "detect"]
        if settings.classes and not detectors:
            raise UsageError(
                f"{self.sources[source].name}: classes can be chosen for detection only"
            )
        labels = list(dict.fromkeys(name for model in detectors for name in model.labels))
        class_ids(settings.classes, labels)
        kept = {
            labels[n] if isinstance(n, int) and n < len(labels) else n for n in settings.classes
        }
        for name in self.settings.blur if kept else ():
            if name not in kept and name in labels:
                raise UsageError(f"--blur {name}: without the class {name} it would be seen")
        if settings.scene is not None:
            self._check_scene(source, settings.scene)

    def _check_scene(self, source: int, scene: Scene) -> None:
        """Check a new scene: the run has scenes, and the source's models know its classes."""
        name = self.sources[source].name
        if self._analysis is None:
            raise UsageError(
                f"{name}: this run has no scene, and one cannot be added later; start it with one"
            )
        try:
            scene.check_classes(n for model in self._models_of(source) for n in model.labels)
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from None

    def _opened(self, event: Opened) -> None:
        """Open the outputs of a source, after checking that a target latency applies to it."""
        if self._adaptive is not None and not self.pipeline.freshest(event.source):
            line = (
                f"--target-latency: {event.info.name} is not live, and every frame is processed; "
                "add --mode freshest to play it in real time"
            )
            if len(self.sources) == 1:
                raise UsageError(line)
            log.warning("%s", line)
        failed = self.delivery.open(event.source, event.info)
        if failed is not None:
            self._failed(event.source, failed)

    def _look_after(self) -> None:
        """Check what became of the frames in the outlets."""
        for source, error in self.delivery.failures():
            self._failed(source, error)
        while self._delivered:
            frame, when = self._delivered.popleft()
            if self._adaptive is not None and self.pipeline.freshest(frame.source):
                self._adaptive.delivered(frame, when)

    def _failed(self, source: int, error: LivevisionError) -> None:
        """Continue without a source; its error is shown at the end of the run and in the report."""
        if self.outcome.failed(source, error):
            self.meter.failed(source, self.sources[source].name, error)
        self.pipeline.give_up(source)


def _segments(settings: Settings, sources: Sources, meter: Meter) -> Segments | None:
    """Records sources in segments; None if none is to be recorded."""
    if all(sources.record(n) == "off" for n in range(len(sources))) and settings.record == "off":
        return None
    from livevision.runtime.segments import RecordSettings, Segments

    return Segments(
        RecordSettings(
            settings.recordings,
            settings.segment,
            settings.clip_before,
            settings.clip_after,
            settings.record_annotated,
            settings.max_disk,
            settings.keep,
            frozenset(settings.blur),
        ),
        sources.record,
        sources.ring,
        meter,
    )


def _clips(settings: Settings) -> Clips | None:
    """Saves pictures and clips of events; None if not requested."""
    if settings.clips is None:
        return None
    from livevision.runtime.clips import Clips, ClipSettings

    return Clips(
        ClipSettings(
            settings.clips,
            settings.clip_before,
            settings.clip_after,
            settings.max_disk,
            settings.keep,
            frozenset(settings.blur),
        )
    )
