"""Benchmarks of the pipeline, each beside a baseline measured in the same run.

Machines are noisy and differ, so only ratios and medians count: the pipeline and a plain loop over
the same calls alternate on the same clip, each in its own process.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from livevision import registry
from livevision.capture.life import Life
from livevision.frame import Frame, Inferred, Prepared, Rendered
from livevision.output.options import OutputOptions
from livevision.output.target import locate
from livevision.protocols import Sink, SourceInfo
from livevision.runtime.metering import Meter
from livevision.runtime.pipeline import Pipeline
from livevision.runtime.stages import Computing

if TYPE_CHECKING:
    from livevision.config import Settings
    from livevision.runtime.run import Run

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Measured:
    """One pass over the clip: frames, seconds from the first call to the closed output, CPU."""

    frames: int
    wall_s: float
    cpu_s: float

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self.frames / self.wall_s


def measure(work: Callable[[], int]) -> Measured:
    """Time one call of ``work``, which returns the number of frames."""
    wall, cpu = time.perf_counter(), time.process_time()
    frames = work()
    return Measured(frames, time.perf_counter() - wall, time.process_time() - cpu)


def in_new_process(work: Callable[[Settings], T], settings: Settings, one_core: bool = False) -> T:
    """Call ``work`` in a new process, optionally on one core including libraries' threads.

    A new process shares no warm caches, thread pools or memory with the previous measurement.
    """
    with ProcessPoolExecutor(
        max_workers=1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_keep_to_one_core if one_core else None,
    ) as process:
        return process.submit(work, settings).result()


def _keep_to_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def through_pipeline(settings: Settings) -> tuple[Measured, dict[str, Any]]:
    """A normal run without model loading, and its report."""
    from livevision.runtime.run import Run

    run = Run(settings, Meter())
    _nets(run).open()
    measured = measure(lambda: sum(1 for _ in run.frames()))
    return measured, run.report()


def through_loop(settings: Settings) -> Measured:
    """The same calls in the same order on one thread: decode, prepare, infer, draw, write."""
    from livevision.runtime.run import Run

    run = Run(settings, Meter(), overlap=False)
    _nets(run).open()
    return measure(lambda: _plain_loop(run))


def _nets(run: Run) -> Computing:
    return next(stage for stage in run.stages if isinstance(stage, Computing))


def _plain_loop(run: Run) -> int:
    source = run.sources.open(0)
    taken = 0
    with closing(source), ExitStack() as closed_at_the_end:
        run.meter.opened(0, source.info, source.losses)
        for stage in run.stages:
            stage.opened(0, source.info)
        sinks = _sinks(run.settings, source.info)
        for sink in sinks:
            closed_at_the_end.enter_context(closing(sink))
        for frame in islice(source, run.settings.max_frames):
            item: Any = frame
            for stage in run.stages:
                item = stage(item)
            for sink in sinks:
                sink.write(item)
            taken += 1
    return taken


def _sinks(settings: Settings, info: SourceInfo) -> list[Sink]:
    """The sinks of a run, without outlets."""
    options = OutputOptions(
        overwrite=settings.overwrite, encoder=settings.encoder, preset=settings.preset
    )
    targets = [locate(uri, sources=1) for uri in settings.output]
    return [
        registry.resolve(registry.SINKS, target.kind, "kind of output")(
            target.target, info, options
        )
        for target in targets
    ]


def enlarge(
    clip: Path, target: Path, size: tuple[int, int] = (1280, 720), frames: int | None = None
) -> None:
    """Re-encode a clip, or its first frames, as H.264 in another size, without audio."""
    import cv2

    from livevision.capture.video_file import VideoFileSource
    from livevision.output.video_file import VideoFileSink

    with closing(VideoFileSource(str(clip))) as source:
        info = replace(source.info, size=size, bit_rate=None)
        with closing(VideoFileSink(str(target), info)) as sink:
            for frame in islice(source, frames):
                image = np.asarray(cv2.resize(frame.image, size), np.uint8)
                sink.write(Rendered(frame, {}, image))


def overhead_us(frames: int = 20_000, size: tuple[int, int] = (1280, 720)) -> float:
    """Overhead of the pipeline per frame in µs, with stages that do nothing."""
    image = np.zeros((size[1], size[0], 3), np.uint8)

    class Nothing:
        info = SourceInfo("nothing", False, size)
        losses: dict[str, int] = {}  # noqa: RUF012 - never written to
        life = Life()

        def __iter__(self) -> Iterator[Frame]:
            for index in range(frames):
                yield Frame(0, index, index / 30, time.monotonic(), image)

        def close(self) -> None:
            pass

    class Passing:
        def __init__(self, name: str, work: Callable[[Any], Any]) -> None:
            self.name, self._work = name, work

        def opened(self, source: int, info: SourceInfo) -> None:
            pass

        def ended(self, source: int) -> None:
            pass

        def __call__(self, item: Any) -> Any:
            return self._work(item)

    stages = [
        Passing("preprocess", lambda frame: Prepared(frame, {})),
        Passing("inference", lambda prepared: Inferred(prepared.frame, {})),
        Passing("overlay", lambda inferred: Rendered(inferred.frame, {}, inferred.frame.image)),
    ]
    pipeline = Pipeline([Nothing], [[0]], stages, Meter())
    with closing(pipeline.events()) as events:
        measured = measure(lambda: sum(isinstance(event, Rendered) for event in events))
    return 1e6 * measured.wall_s / measured.frames


def memory_mb(settings: Settings, frames: int, every: int) -> Iterator[tuple[int, float]]:
    """Resident memory in MB (10⁶ bytes) during a looped run: pairs of frames done and memory."""
    import psutil

    from livevision.runtime.run import Run

    process = psutil.Process()
    looped = settings.model_copy(update={"loop": True, "max_frames": frames})
    for done, _ in enumerate(Run(looped, Meter()).frames(), start=1):
        if done % every == 0:
            yield done, process.memory_info().rss / 1e6
