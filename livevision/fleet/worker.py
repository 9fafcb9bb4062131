"""A worker: does the tasks of a backlog one after the other, with its models kept loaded."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from livevision import cores
from livevision.capture.options import SourceOptions
from livevision.capture.stretches import Stretch, divide
from livevision.capture.video_file import VideoFileSource, upright_size
from livevision.config import Settings
from livevision.config.sources import SourceSettings
from livevision.errors import LivevisionError, OutputError, SourceError
from livevision.fleet import sidecars
from livevision.fleet.films import Done, Film, Gather, Join, Part, Task, Whole
from livevision.fleet.places import HIDDEN, Place
from livevision.models.fitting import FIT
from livevision.models.for_run import RunModels, for_run
from livevision.output.joining import PART, JoinedVideo, Span, VideoPart, join_records, unit_of
from livevision.output.options import OutputOptions
from livevision.output.records import RecordsSink
from livevision.output.target import RECORDS
from livevision.runtime.metering import Meter
from livevision.runtime.run import Run
from livevision.runtime.sources import Watched

if TYPE_CHECKING:
    from livevision.protocols import SourceInfo

log = logging.getLogger(__name__)

Progress = Callable[[int], None]
"""Called with the number of frames of the present task."""


@dataclass(frozen=True)
class Job:
    """What all workers of a backlog know.

    Attributes:
        settings: The user's.
        hash: From ``sidecars.settings_hash``.
        threads: Processors of each worker.
        redo: Do finished outputs again.
    """

    settings: Settings
    hash: str
    threads: int
    redo: bool = False


class Worker:
    """Does tasks.

    Args:
        job: What to know of the backlog.

    Raises:
        LivevisionError: A model cannot be used.
    """

    def __init__(self, job: Job) -> None:
        cores.limit(job.threads)
        self._job = job
        self._settings = job.settings.model_copy(
            update={
                "threads": job.settings.threads or job.threads,
                "headless": True,
                "overwrite": True,
                "report": None,
            }
        )
        self._models: RunModels | None = None
        self._shape: tuple[int, int] | None = None  # of the pictures that they are for

    def do(self, task: Task, progress: Progress = lambda frames: None) -> Done:
        """Do a task.

        Raises:
            LivevisionError: It failed.
        """
        with _warnings() as warnings:
            if isinstance(task, Whole):
                done = self._whole(task, progress)
            elif isinstance(task, Part):
                done = self._part(task, progress)
            elif isinstance(task, Join):
                done = self._join(task)
            else:
                done = self._gather(task)
        return replace(done, warnings=tuple(warnings))

    def _whole(self, task: Whole, progress: Progress) -> Done:
        film, source = task.film, Place(task.film.uri)
        outputs = [Place(output) for output in film.outputs]
        if outputs and not self._job.redo and self._is_finished(outputs, source):
            return Done(passed=True)
        with source.here() as path:
            mark = sidecars.identity(source)
            stretches = self._plan(path)
            if len(stretches) > 1:
                return Done(stretches=tuple(stretches), mark=mark)
            with ExitStack() as files:
                paths = [files.enter_context(output.new()) for output in outputs]
                run = self._run(film, path, paths)
                frames = 0
                with closing(run.frames()) as rendered:
                    for _ in rendered:
                        frames += 1
                        progress(frames)
                failure = next(iter(run.outcome.failures), None)
                if failure is not None and not (frames and isinstance(failure, SourceError)):
                    raise failure
                # What was read of a damaged film is kept, and is not a finished output.
                error = {} if failure is None else {"error": str(failure)}
                for output, made in zip(outputs, paths, strict=True):
                    sidecars.write(output, made, self._job.hash, mark, frames=frames, **error)
        if failure is not None:
            raise failure
        return Done(frames=frames, report=run.report())

    def _is_finished(self, outputs: Sequence[Place], source: Place) -> bool:
        return all(sidecars.finished(output, self._job.hash, source) for output in outputs)

    def _plan(self, path: Path) -> list[Stretch]:
        """How to divide a film; a single stretch where its frames depend on all before them."""
        settings, whole = self._settings, [Stretch(0, None, 0, 0)]
        stateful = settings.track is not None or settings.scene is not None
        if stateful or settings.fps is not None or settings.max_frames is not None:
            return whole
        options = SourceOptions(stride=settings.vid_stride, decoder="software")
        with closing(VideoFileSource(str(path), options)) as source:
            info = source.info
        rate = float(info.rate or 25)
        wanted = round(settings.part * rate)
        if info.frames is not None and info.frames < 1.5 * wanted:
            return whole
        return divide(str(path), wanted, settings.vid_stride, unit_of(info))

    def _run(
        self,
        film: Film,
        path: Path,
        outputs: Sequence[Path],
        stretch: Stretch | None = None,
        draw: bool = False,
    ) -> Run:
        """A run of one file."""
        given = {"source": (str(path),), "output": tuple(map(str, outputs))}
        settings = self._settings.model_copy(update=given)
        shape = upright_size(str(path)) if settings.imgsz == FIT else None
        if self._models is None or shape != self._shape:
            for model in () if self._models is None else self._models.models:
                model.close()
            self._models, self._shape = for_run(settings, pictures=[shape]), shape
        own = SourceSettings.model_construct(uri=str(path))
        watched = Watched("video_file", str(path), own, film.name, stretch)
        return Run(settings, Meter(), draw=draw, sources=[watched], opened=self._models)

    def _part(self, task: Part, progress: Progress) -> Done:
        film, source = task.film, Place(task.film.uri)
        pieces = _pieces(film, task.number)
        sidecar = _span_of(film, task.number)
        known = sidecars.read(sidecar)
        wanted = {
            "settings": self._job.hash,
            "input": task.mark.get("sha256"),
            "stretch": asdict(task.stretch),
        }
        fits = known is not None and all(known.get(key) == wanted[key] for key in wanted)
        if fits and known is not None and known["bytes"] == [piece.size() for piece in pieces]:
            return Done(passed=True)
        with source.here() as path, ExitStack() as files:
            if source.mark()["size"] != task.mark["size"]:
                raise SourceError(f"{film.name}: the file changed while it was read")
            paths = [files.enter_context(piece.new()) for piece in pieces]
            draw = any(piece.suffix == PART for piece in paths)
            run = self._run(film, path, [], task.stretch, draw)
            span, report = self._written(run, task, path, paths, progress)
            content = {**wanted, "span": asdict(span), "bytes": [p.stat().st_size for p in paths]}
            sidecar.write(json.dumps(content).encode())
        return Done(frames=span.frames, report=report)

    def _written(
        self, run: Run, task: Part, path: Path, paths: Sequence[Path], progress: Progress
    ) -> tuple[Span, dict[str, Any]]:
        """Run a part and write its frames."""
        first = last = gap = None
        frames = 0
        sinks: list[VideoPart | RecordsSink] = []
        try:
            with closing(run.frames()) as rendered:
                for one in rendered:
                    if not sinks:
                        info = run.meter.info(0)
                        assert info is not None
                        sinks = self._sinks(task, info, path, paths)
                    if one.frame.index < task.stretch.start:
                        continue
                    for sink in sinks:
                        sink.write(one)
                    now = one.frame.time
                    gap = None if last is None else (max(now - last, 0.0) or gap)
                    first, last = now if first is None else first, now
                    frames += 1
                    progress(frames)
            report = run.report()
        finally:
            for sink in sinks:
                sink.close()
        for failure in run.outcome.failures:
            raise failure
        if first is None or last is None:
            raise SourceError(f"{task.film.name}: part {task.number + 1} of it has no frames")
        return Span(frames, first, last, gap), report

    def _sinks(
        self, task: Part, info: SourceInfo, path: Path, paths: Sequence[Path]
    ) -> list[VideoPart | RecordsSink]:
        start = 0.0
        if any(piece.suffix == PART for piece in paths):
            with closing(VideoFileSource(str(path))) as source:
                start = next(iter(source)).time
        return [
            VideoPart(piece, info, self._options(task.film), start)
            if piece.suffix == PART
            else RecordsSink(str(piece), info, self._options(task.film))
            for piece in paths
        ]

    def _options(self, film: Film) -> OutputOptions:
        settings = self._settings
        return OutputOptions(
            overwrite=True,
            encoder=settings.encoder,
            preset=settings.preset,
            sources=(film.name,),
        )

    def _join(self, task: Join) -> Done:
        film, source = task.film, Place(task.film.uri)
        spans = []
        for number in range(len(task.stretches)):
            known = sidecars.read(_span_of(film, number))
            if known is None:
                raise OutputError(f"{film.name}: part {number + 1} is gone; run it again")
            spans.append(Span(**known["span"]))
        frames = sum(span.frames for span in spans)
        for position, output in enumerate(map(Place, film.outputs)):
            with ExitStack() as files:
                parts = [
                    files.enter_context(_pieces(film, number)[position].here())
                    for number in range(len(task.stretches))
                ]
                made = files.enter_context(output.new())
                if _is_records(output):
                    join_records(parts, made)
                else:
                    path = files.enter_context(source.here())
                    self._join_video(film, path, parts, spans, made)
                sidecars.write(output, made, self._job.hash, task.mark, frames=frames)
        for folder in {_parts_folder(film, output).uri for output in film.outputs}:
            Place(folder).remove()
        return Done()

    def _join_video(
        self,
        film: Film,
        path: Path,
        parts: Sequence[Path],
        spans: Sequence[Span],
        made: Path,
    ) -> None:
        options = SourceOptions(stride=self._settings.vid_stride, copies=1, decoder="software")
        with closing(VideoFileSource(str(path), options)) as source:
            info = replace(source.info, name=film.name)
            joined = JoinedVideo(str(made), info, self._options(film))
            try:
                joined.join(parts, spans, source.skim())
            finally:
                joined.close()

    def _gather(self, task: Gather) -> Done:
        output = Place(task.target)
        with ExitStack() as files, output.new() as made:
            there = [piece for piece in map(Place, task.pieces) if piece.size() is not None]
            join_records([files.enter_context(piece.here()) for piece in there], made)
        return Done()


def explained(error: Exception) -> str:
    """An error in one line; with its type if it is none that a user can cause."""
    text = " ".join(str(error).split())
    return text if isinstance(error, LivevisionError) else f"{type(error).__name__}: {text}"


def _is_records(output: Place) -> bool:
    return PurePosixPath(output.uri).suffix.lower() in RECORDS


def _parts_folder(film: Film, output: str) -> Place:
    place = Place(output)
    return place.beside(HIDDEN, f"{place.name}.parts")


def _pieces(film: Film, number: int) -> list[Place]:
    """The outputs of a part: one for each output of the film."""
    pieces = []
    for output in map(Place, film.outputs):
        suffix = PurePosixPath(output.uri).suffix.lower() if _is_records(output) else PART
        pieces.append(output.beside(HIDDEN, f"{output.name}.parts", f"{number:05}{suffix}"))
    return pieces


def _span_of(film: Film, number: int) -> Place:
    """The sidecar of a part."""
    output = Place(film.outputs[0])
    return output.beside(HIDDEN, f"{output.name}.parts", f"{number:05}.json")


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collect livevision's warnings, to be shown where the user is."""
    found: list[str] = []

    class Collecting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    logger, handler = logging.getLogger("livevision"), Collecting(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)
