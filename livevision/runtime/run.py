"""A run: its objects, and what happens from the first frame to the last file closed."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from livevision.capture.locate import expand
from livevision.errors import LivevisionError, OutputError, SourceError, UsageError
from livevision.frame import Frame, LiveSettings, Rendered
from livevision.inference.detect import class_ids
from livevision.models.for_run import for_run, open_specs
from livevision.models.model import Model
from livevision.output.report_file import STANDARD_OUTPUT, write_report
from livevision.protocols import StopRequested
from livevision.runtime.controls import Controls
from livevision.runtime.delivery import Delivery
from livevision.runtime.inference_stage import InferenceStage
from livevision.runtime.links import Closed
from livevision.runtime.metering import Meter
from livevision.runtime.overlay_stage import OverlayStage
from livevision.runtime.pace.adaptive import Adaptive
from livevision.runtime.pipeline import Ended, Opened, Pipeline
from livevision.runtime.preprocess_stage import PreprocessStage
from livevision.runtime.report import joined
from livevision.runtime.sources import Sources, Watched, watched
from livevision.runtime.stages import Computing, Stage
from livevision.runtime.terminal import Progress

if TYPE_CHECKING:
    from livevision.config import Settings, SourceSettings
    from livevision.config.scene import Scene
    from livevision.runtime.analysis_stage import AnalysisStage
    from livevision.runtime.clips import Clips

log = logging.getLogger(__name__)


class Run:
    """The objects of one run, made from its settings.

    Args:
        settings: What the user asked for.
        meter: Takes the run's measurements.
        stay: Go on when no source is left, until the run is stopped, as some may be added.
        draw: Draw on the frames even if no output of the run wants pictures, and on copies, as
            somebody will look at the frames too.
        overlap: Where every frame counts, let the engines compute several at once.

    Attributes:
        controls: What may be changed while it goes on.
        stages: The work between capture and output, in its order.
    """

    def __init__(
        self,
        settings: Settings,
        meter: Meter,
        draw: bool = False,
        overlap: bool = True,
        stay: bool = False,
    ) -> None:
        self.settings = settings
        self.meter = meter
        self._failures: dict[int, LivevisionError] = {}
        self._unreported: OutputError | None = None
        self._delivered: deque[tuple[Frame, float]] = deque()
        self._watched = draw
        self._removed: set[int] = set()
        sources = watched(settings)
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
            (lambda: None) if clips is None else clips.ring,
        )
        every_frame = self.sources.every_frame
        if settings.target_latency is not None and every_frame:
            raise UsageError(
                "--target-latency is for live sources, whose frames may be left out; of a file "
                "every frame is taken: add --mode freshest to play it in real time, or leave it out"
            )
        drawn = draw or self.delivery.wants_image
        spare_core = not every_frame or (drawn and self.sources.large)
        self._models = for_run(settings, spare_core)
        models = self._models.models
        self._analysis: AnalysisStage | None = None
        scenes = any(self.sources.live_settings(n).scene for n in range(len(sources)))
        if settings.track is not None or scenes or stay:
            from livevision.runtime.analysis_stage import AnalysisStage

            self._analysis = AnalysisStage(settings, clips, self.sources.ring)
        self._adaptive: Adaptive | None = None
        if settings.target_latency is not None:
            self._adaptive = Adaptive(settings.target_latency, models, meter)
        self.controls = Controls(self._check)
        self._changing = threading.Lock()
        for position in range(len(sources)):
            self.controls.begin(position, self.sources.live_settings(position))
        # A decoded picture belongs to its frame alone, and only Python's users see the frame again.
        seen_no_more = not draw and all(source.kind == "video_file" for source in sources)
        overlay = OverlayStage(
            settings,
            models,
            meter,
            self._adaptive,
            draw=drawn,
            copy=not seen_no_more or self.delivery.wants_frame,
            pictures=self.sources.pictures,
        )
        inference = InferenceStage(
            models,
            overlap and every_frame,
            self._adaptive,
            # A call takes frames of several sources only where all go through the same nets.
            live=0 if self._models.of_source else self.sources.live,
            batch=settings.batch,
            while_opening=overlay.warm,
        )
        self.stages: tuple[Stage | Computing, ...] = (
            PreprocessStage(self._models_of, self.controls.of),
            inference,
            *([] if self._analysis is None else [self._analysis]),
            overlay,
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
        """Run; every frame once the outlets were given it; with ``draw``, once they wrote it."""
        with self._analysed(), closing(self.pipeline.events()) as events, self.delivery:
            try:
                for event in events:
                    self._look_after()
                    if isinstance(event, Rendered):
                        source = event.frame.source
                        if source in self._failures:
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
        """Watch one more source while the run goes on. Safe from any thread.

        Args:
            name: What to call it; letters, digits, "-", "_" and ".".
            settings: Of it. Its models are among those of the run.

        Returns:
            Its position: ``Frame.source``.

        Raises:
            UsageError: The name is taken, the URI means several sources, or a setting is not
                allowed.
            LivevisionError: The source or an output can be seen to fail, or the run is ending.
        """
        from livevision.config.sources import check_name

        check_name(name)
        places = expand([settings.uri])
        if len(places) != 1:
            raise UsageError(f"{name}: {settings.uri!r} means {len(places)} sources; one is wanted")
        kind, uri = places[0]
        with self._changing:
            if any(self.sources[n].named == name for n in self.watched):
                raise UsageError(f"a source {name!r} is watched already")
            loaded = [model.name for model in self._models.models]
            for model in settings.models or ():
                if model not in loaded:
                    raise UsageError(
                        f"{name}: model {model!r} is not loaded; the run has {', '.join(loaded)}"
                    )
            source = Watched(kind, uri, settings, name)
            self.delivery.add(source)
            position = self.sources.add(source)
            self.controls.begin(position, self.sources.live_settings(position))
            try:
                self.pipeline.add(partial(self.sources.open, position))
            except Closed:
                raise SourceError(f"{name}: the run is ending") from None
        return position

    def remove(self, source: int) -> None:
        """Watch a source no longer; its outputs are finished. Safe from any thread."""
        self._removed.add(source)
        self.sources.begin_closing(source)
        self.pipeline.remove(source)

    @property
    def watched(self) -> list[int]:
        """Positions of the sources that are not removed."""
        return [n for n in range(len(self.sources)) if n not in self._removed]

    @property
    def failures(self) -> list[LivevisionError]:
        """What went wrong with sources that the run went on without, and with its report."""
        unreported = [] if self._unreported is None else [self._unreported]
        return [*self._failures.values(), *unreported]

    def raise_first(self) -> None:
        """Raise what went wrong first, if anything did, once the run has come to its end."""
        for further in self.failures[1:]:
            log.error("%s", further)
        for first in self.failures[:1]:
            raise first

    @property
    def exit_code(self) -> int:
        """That of what went wrong; of one source among several, that a source failed."""
        if not self._failures:
            return 0 if self._unreported is None else self._unreported.exit_code
        codes = {error.exit_code for error in self._failures.values()}
        every = len(self._failures) == len(self.sources)
        return codes.pop() if every and len(codes) == 1 else SourceError.exit_code

    def report(self) -> dict[str, Any]:
        """The run in figures so far."""
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
        )

    @contextmanager
    def reported(self) -> Iterator[None]:
        """A run whose report is written however it ends.

        Whatever went wrong with the run comes first: a report that cannot be written is told of,
        and is an error of its own only after a run without another.
        """
        try:
            yield
        except BaseException:
            self._try_to_report()
            if self._unreported is not None:
                log.error("%s", self._unreported)
            raise
        self._try_to_report()

    def _try_to_report(self) -> None:
        try:
            self.write_report()
        except OutputError as error:
            self._unreported = error

    def write_report(self) -> None:
        """Write the file of ``--report``, if one was asked for."""
        path = self.settings.report
        if path is None:
            return
        write_report(path, json.dumps(self.report(), indent=2) + "\n")
        if path != STANDARD_OUTPUT:
            log.info("report in %s", path)

    @contextmanager
    def _analysed(self) -> Iterator[None]:
        """A run whose events are all written at its end."""
        try:
            yield
        finally:
            if self._analysis is not None:
                self._analysis.close()
                self.delivery.where += self._analysis.where

    def _models_of(self, source: int) -> Sequence[Model]:
        """The models that look at a source's frames now."""
        models = self._models.models if self._adaptive is None else self._adaptive.current
        own = self.sources[source].settings.models
        if own is None and not self._models.of_source:
            return models
        named = self.sources[source].named
        if named is not None and own is not None and named in self._models.of_source:
            own = self._models.of_source[named]
        names = self._models.of_run if own is None else own
        return [model for model in models if model.name in names]

    def _check(self, source: int, settings: LiveSettings) -> None:
        """Refuse classes that no detector of a source has."""
        detectors = [model for model in self._models_of(source) if model.task == "detect"]
        if settings.classes and not detectors:
            raise UsageError(
                f"{self.sources[source].name}: classes can be chosen for detection only"
            )
        labels = list(dict.fromkeys(name for model in detectors for name in model.labels))
        class_ids(settings.classes, labels)
        if settings.scene is not None:
            self._check_scene(source, settings.scene)

    def _check_scene(self, source: int, scene: Scene) -> None:
        """Refuse a scene of classes that no model of the source has, or in a run that has none."""
        name = self.sources[source].name
        if self._analysis is None:
            raise UsageError(
                f"{name}: this run watches no scene, and cannot begin to; start it with one"
            )
        try:
            scene.check_classes(n for model in self._models_of(source) for n in model.labels)
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from None

    def _opened(self, event: Opened) -> None:
        """Begin the outputs of a source, once a target of latency is seen to apply to it."""
        if self._adaptive is not None and not self.pipeline.freshest(event.source):
            line = (
                f"--target-latency: {event.info.name} is not live, and every frame of it is taken; "
                "add --mode freshest to play it in real time"
            )
            if len(self.sources) == 1:
                raise UsageError(line)
            log.warning("%s", line)
        failed = self.delivery.open(event.source, event.info)
        if failed is not None:
            self._failed(event.source, failed)

    def _look_after(self) -> None:
        """See what has become of the frames that the outlets were given."""
        for source, error in self.delivery.failures():
            self._failed(source, error)
        while self._delivered:
            frame, when = self._delivered.popleft()
            if self._adaptive is not None and self.pipeline.freshest(frame.source):
                self._adaptive.delivered(frame, when)

    def _failed(self, source: int, error: LivevisionError) -> None:
        """Go on without a source; what went wrong is told at the end of the run and in its report.

        Only the first thing that went wrong with it: others come of that.
        """
        if source not in self._failures:
            self._failures[source] = error
            self.meter.failed(source, self.sources[source].name, error)
        self.pipeline.give_up(source)


def _clips(settings: Settings) -> Clips | None:
    """What keeps pictures and clips of events, where that is asked for."""
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
