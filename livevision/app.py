"""From settings to a finished run: the objects, the pipeline between them, and the exit code."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livevision import registry
from livevision.capture.locate import expand, name_of
from livevision.capture.options import SourceOptions
from livevision.errors import LivevisionError, OutputError, SourceError, UsageError
from livevision.frame import Frame, Inferred, Prepared, Rendered
from livevision.models.for_run import for_tasks, open_specs
from livevision.models.model import Model
from livevision.output.report_file import STANDARD_OUTPUT, write_report
from livevision.protocols import Source, StopRequested
from livevision.runtime.analysing import Analysing
from livevision.runtime.delivery import Delivery
from livevision.runtime.drawing import Overlays
from livevision.runtime.pace.adaptive import Adaptive
from livevision.runtime.pace.together import frames_at_once, infer_together
from livevision.runtime.pipeline import Ended, Opened, Pipeline, Stages
from livevision.runtime.report import Meter, as_table, joined
from livevision.runtime.terminal import Progress, Signals

if TYPE_CHECKING:
    from livevision.config import Settings

log = logging.getLogger(__name__)

_FILES = ("video_file", "images")
_LARGE = 700_000  # pixels of a frame
_MANY = 10  # results in one folder


def run(settings: Settings, own_process: bool = False) -> int:
    """Do what the command line asked for, and give the exit code.

    Args:
        settings: What the user asked for.
        own_process: The command is what this process was started for, so that its times count from
            there.

    Raises:
        LivevisionError: With the exit code it carries, after every output has been finished.
    """
    this = Run(settings, Meter(_process_start() if own_process else None))
    if settings.headless and not settings.output:
        kept = "nothing but the report is" if settings.report is not None else "nothing is"
        log.warning(
            "--headless without --output: %s kept; add --output results.jsonl, out.mp4 or runs/",
            kept,
        )
    with (
        Signals(this.pipeline, this.delivery.saved) as stop,
        Progress(settings) as progress,
        this.reported(),
    ):
        for _ in this.frames(progress):
            progress.advance()
    report = this.report()
    if report["frames_in"] and not settings.quiet:
        print(as_table(report), file=sys.stderr)
    for failure in this.failures:
        log.error("%s", failure)
    if report["sources_failed"] and len(report["sources"]) > 1:
        log.warning("%d of %d sources failed", report["sources_failed"], len(report["sources"]))
    for where in _in_short(this.delivery.where):
        log.info("results are in %s", where)
    return this.exit_code if stop.signal is None else 128 + stop.signal


def frames(
    source: str | Path | int | Sequence[str | Path | int], task: str = "detect", **options: Any
) -> Iterator[Rendered]:
    """Run livevision and take its frames one by one.

        for frame in livevision.run(source="in.mp4", task="both"):
            print(frame.index, frame.time, frame.detections.xyxy)

    Args:
        source: What ``--source`` takes, or several of them.
        task: ``detect``, ``segment``, ``both`` or ``classify``.
        options: Any other setting of the command line by its name, such as ``conf=0.4`` or
            ``output="out.mp4"``. No window opens unless ``output`` has ``"window"``.

    Yields:
        Every delivered frame with its results and the annotated picture (uint8, H×W×3, BGR).
        Leaving the loop ends the run and finishes its outputs.

    Raises:
        LivevisionError: As the command line would report it; SourceError only after the last frame
            of every source has been given.
    """
    from livevision.config import Settings

    settings = Settings.of(source=source, task=task, **{"headless": True, **options})
    this = Run(settings, Meter(), draw=True)
    with this.reported(), closing(this.frames()) as rendered:
        yield from rendered
    this.raise_first()


class Run:
    """The objects of one run.

    Args:
        settings: What the user asked for.
        meter: Takes the run's measurements.
        draw: Draw on the frames even if no output of the run wants pictures, and on copies, as
            somebody will look at the frames too.
        overlap: Where every frame counts, let the engines compute several at once.
    """

    def __init__(
        self, settings: Settings, meter: Meter, draw: bool = False, overlap: bool = True
    ) -> None:
        self.settings = settings
        self._failures: dict[int, LivevisionError] = {}
        self._unreported: OutputError | None = None
        self.meter = meter
        places = expand(settings.source)
        self.delivery = Delivery(settings, places, stopping=lambda: self.pipeline.stopping)
        every_frame = _every_frame(settings, places)
        self._overlap = overlap and every_frame
        _check_target_latency(settings, places)
        self._draw = draw or self.delivery.wants_image
        spare_core = not every_frame or (self._draw and _large(places[0]))
        self._models: Sequence[Model] = for_tasks(settings, spare_core)
        self._analysis: Analysing | None = None
        if settings.track is not None or settings.scene is not None:
            self._analysis = Analysing(settings, self._models)
        self._adaptive: Adaptive | None = None
        if settings.target_latency is not None:
            self._adaptive = Adaptive(settings.target_latency, self._models, self.meter)
        self._at_once = 1
        # A decoded picture belongs to its frame alone, and only Python's users see the frame again.
        seen_no_more = not draw and all(kind == "video_file" for kind, _ in places)
        self._overlays = Overlays(
            settings,
            self._models,
            self.meter,
            self._adaptive,
            copy=not seen_no_more,
            pictures=[n for n, (kind, _) in enumerate(places) if kind == "images"],
        )
        self.stages = Stages(
            preprocess=self._preprocess,
            inference=self._infer,
            overlay=self._overlay,
            open=self._open,
            close=self._close,
            start=self._start,
            depth=self._depth,
            streams=self._streams,
            together=self._together,
            most=lambda: self._at_once,
        )
        self._places = places
        self.pipeline = Pipeline(
            [partial(self._open_followed, position) for position in range(len(places))],
            _turns(places),
            self.stages,
            self.meter,
            mode=settings.mode,
            max_frames=settings.max_frames,
            stride=lambda: 1 if self._adaptive is None else self._adaptive.stride,
        )

    def frames(self, progress: Progress | None = None) -> Generator[Rendered]:
        """Run; every frame, after the run's sinks have taken it."""
        with self._analysed(), closing(self.pipeline.events()) as events, self.delivery:
            try:
                for event in events:
                    if isinstance(event, Rendered):
                        before = self.delivery.waited
                        failed = self.delivery.write(event)
                        self.meter.held_back(self.delivery.waited - before)
                        if failed is not None:
                            self._failed(event.frame.source, failed)
                            continue
                        yield event
                        self._delivered(event.frame)
                    elif isinstance(event, Opened):
                        self._opened(event)
                        if progress is not None:
                            progress.expect(event.info.frames)
                    elif isinstance(event, Ended):
                        self._ended(event)
                    else:
                        self.delivery.attend()
            except StopRequested:
                log.info("stopped in the window")

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
        every = len(self._failures) == len(self._places)
        return codes.pop() if every and len(codes) == 1 else SourceError.exit_code

    def open_source(self, position: int) -> Source:
        """Open one of the run's sources.

        Raises:
            SourceError: It cannot be opened.
        """
        kind, uri = self._places[position]
        options = SourceOptions(
            index=position,
            stride=self.settings.vid_stride,
            loop=self.settings.loop,
            retry_for=self.settings.retry_for,
            every_frame=self.settings.mode == "every-frame",
            decoder=self.settings.decoder,
            copies=self.delivery.copies(position),
            stopping=lambda: self.pipeline.stopping,
        )
        if kind == "stream":
            from livevision.capture.jetson import pipeline_for

            pipeline = pipeline_for(uri, self.settings.decoder)
            if pipeline is not None:
                try:
                    return _source_of("gstreamer", pipeline, options)
                except SourceError as error:
                    log.warning("%s; trying with FFmpeg, in software", error)
        return _source_of(kind, uri, options)

    def report(self) -> dict[str, Any]:
        """The run in figures so far."""
        specs = open_specs(self._models)
        adapted = {} if self._adaptive is None else {"target_latency": self._adaptive.report()}
        return self.meter.report(
            engine=joined(s.engine for s in specs) or None,
            device=joined(s.device for s in specs) or None,
            precision=joined(s.precision for s in specs) or None,
            model=joined(m.name for m in self._models),
            agreement={m.name: asdict(m.agreement) for m in self._models if m.agreement},
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
                if self._analysis.where:
                    self.delivery.where.append(self._analysis.where)

    def _open_followed(self, position: int) -> Source:
        """Open a source, and tell analysis of it before its first frame."""
        source = self.open_source(position)
        if self._analysis is not None:
            self._analysis.opened(position, source.info)
        return source

    def _opened(self, event: Opened) -> None:
        """Begin the outputs of a source, once a target of latency is seen to apply to it."""
        if self._adaptive is not None and not self.pipeline.freshest(event.source):
            line = (
                f"--target-latency: {event.info.name} is not live, and every frame of it is taken; "
                "add --mode freshest to play it in real time"
            )
            if len(self._places) == 1:
                raise UsageError(line)
            log.warning("%s", line)
        failed = self.delivery.open(event.source, event.info)
        if failed is not None:
            self._failed(event.source, failed)

    def _ended(self, event: Ended) -> None:
        failed = self.delivery.close(event.source)
        if self._analysis is not None:
            self._analysis.ended(event.source)
        for error in (event.error, failed):
            if error is not None:
                self._failed(event.source, error)

    def _failed(self, source: int, error: LivevisionError) -> None:
        """Go on without a source; what went wrong is told at the end of the run and in its report.

        Only the first thing that went wrong with it: others come of that.
        """
        if source not in self._failures:
            self._failures[source] = error
            self.meter.failed(source, name_of(*self._places[source]), error)
        self.pipeline.give_up(source)

    def _delivered(self, frame: Frame) -> None:
        if self._adaptive is not None and self.pipeline.freshest(frame.source):
            self._adaptive.delivered(frame, time.monotonic())

    def _open(self) -> None:
        # Engines wait for files and compilers meanwhile.
        warming = threading.Thread(target=self._overlays.warm if self._draw else None)
        warming.start()
        try:
            for model in self._models:
                model.open(self._overlap)
        finally:
            warming.join()
        if self._adaptive is not None:
            self._adaptive.begin()
        elif not self._overlap:
            live = sum(kind not in _FILES for kind, _ in self._places)
            live = len(self._places) if self.settings.mode == "freshest" else live
            self._at_once = frames_at_once(self._models, live, self.settings.batch)
        elif (self.settings.batch or 1) > 1:
            log.warning("--batch is for live sources; where every frame counts it changes nothing")

    def _close(self) -> None:
        if self._adaptive is not None:
            self._adaptive.close()
        for model in self._models:
            model.close()

    def _preprocess(self, frame: Frame) -> Prepared:
        models = self._models if self._adaptive is None else self._adaptive.current
        return Prepared(frame, tuple(m.prepare(frame.image) for m in models))

    def _infer(self, prepared: Prepared) -> Inferred:
        models = self._models
        if self._adaptive is not None:
            models = self._adaptive.models_for(prepared)
        return Inferred(
            prepared.frame,
            {
                model.task: model.decode(model.infer(batch), placement)
                for model, (batch, placement) in zip(models, prepared.inputs, strict=True)
            },
        )

    def _together(self, frames: Sequence[Prepared]) -> list[Inferred]:
        return infer_together(self._models, frames)

    def _start(self, prepared: Prepared) -> Callable[[], tuple[Inferred, float | None]]:
        """Begin what ``_infer`` does, with all nets at once."""
        jobs = list(zip(self._models, prepared.inputs, strict=True))
        begun = [model.start(batch) for model, (batch, _) in jobs]

        def finish() -> tuple[Inferred, float | None]:
            results = {
                model.task: model.decode(outputs(), placement)
                for (model, (_, placement)), outputs in zip(jobs, begun, strict=True)
            }
            done = [outputs.done for outputs in begun if outputs.done is not None]
            known = len(done) == len(begun)
            return Inferred(prepared.frame, results), max(done) if known else None

        return finish

    def _depth(self) -> int:
        """How many frames to have begun with the open nets."""
        return min(model.depth for model in self._models)

    def _streams(self) -> int:
        """How many frames the open nets compute at the same moment."""
        return min(model.streams for model in self._models)

    def _overlay(self, inferred: Inferred) -> Rendered:
        if self._analysis is not None:
            inferred = self._analysis(inferred)
        image = self._overlays.draw(inferred) if self._draw else inferred.frame.image
        return Rendered(inferred.frame, inferred.results, image)


def _in_short(paths: Sequence[str]) -> list[str]:
    """Where results are, a line each; many of one folder in one line."""
    count = Counter(str(Path(path).parent) for path in paths)
    return list(
        dict.fromkeys(
            path
            if count[folder := str(Path(path).parent)] < _MANY
            else f"{folder}/ ({count[folder]} files)"
            for path in paths
        )
    )


def _source_of(kind: str, uri: str, options: SourceOptions) -> Source:
    return registry.resolve(registry.SOURCES, kind, "kind of source")(uri, options)


def _turns(places: Sequence[tuple[str, str]]) -> list[list[int]]:
    """Files are read one after the other; everything else is watched at the same time."""
    files = [n for n, (kind, _) in enumerate(places) if kind in _FILES]
    others = [[n] for n in range(len(places)) if n not in files]
    return ([files] if files else []) + others


def _every_frame(settings: Settings, places: Sequence[tuple[str, str]]) -> bool:
    """Whether no frame of the run may be dropped, so that throughput counts and not freshness."""
    if settings.mode == "auto":
        return all(kind in _FILES for kind, _ in places)
    return settings.mode == "every-frame"


def _large(place: tuple[str, str]) -> bool:
    """Whether decoding, drawing and encoding a source's frames takes as long as a light net does.

    On two cores ThunderNet at 0.22 G multiply-adds did 232 frames a second of 640x360 with two
    threads and 210 with one, of 960x540 183 and 173, of 1280x720 159 and 174, in slower hours 151
    with either (``livevision bench pipeline --threads N``).
    """
    from livevision.capture.video_file import picture_size

    size = picture_size(place[1]) if place[0] == "video_file" else None
    return size is None or size[0] * size[1] >= _LARGE


def _check_target_latency(settings: Settings, places: Sequence[tuple[str, str]]) -> None:
    """Refuse a target of latency where no frame may be left out."""
    if settings.target_latency is not None and _every_frame(settings, places):
        raise UsageError(
            "--target-latency is for live sources, whose frames may be left out; of a file every "
            "frame is taken: add --mode freshest to play it in real time, or leave it out"
        )


def _process_start() -> float:
    """``time.monotonic()`` of the moment this process began."""
    import psutil

    return time.monotonic() - (time.time() - psutil.Process().create_time())
