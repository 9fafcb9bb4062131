"""The five stages and their threads: capture, preprocess, inference, overlay, output.

    capture ──► preprocess ──► inference ──► overlay ──► output
    (threads)    (thread)       (thread)     (thread)    (the caller's thread)

The caller iterates over ``Pipeline.events()`` and is the output stage: window toolkits want the
main thread, and a generator is also the shape a Python user wants. Every other stage is a plain
function from one frame value to the next, which knows nothing of threads. This file and
``channel.py`` are the only ones that do.

Shut-down is always the same: a source's end, ``stop()``, an error in any stage or the caller's
leaving the loop all close the links, let every thread finish, and raise the first error in the
caller's thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from livevision.channel import Channel, Closed
from livevision.errors import SourceError
from livevision.frame import Frame, Inferred, Prepared, Rendered
from livevision.protocols import Source, SourceInfo
from livevision.report import STAGES, Meter

log = logging.getLogger(__name__)

STALE_S = 0.5
"""A live frame older than this is not worth computing on."""

_JOIN_S = 10.0
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Opened:
    """A source has opened; its frames follow."""

    source: int
    info: SourceInfo


@dataclass(frozen=True, slots=True)
class Ended:
    """A source has given its last frame. ``error`` tells why, if it was not its natural end."""

    source: int
    error: SourceError | None


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing has come for a tenth of a second."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """A frame that the engine is at work on, and what waits for the result."""

    frame: Frame
    finish: Callable[[], Inferred]


Event: TypeAlias = Opened | Rendered | Ended | Idle
_Item: TypeAlias = Opened | Ended | Frame | Prepared | _Begun | Inferred | Rendered
_Link: TypeAlias = Channel[_Item]


@dataclass(frozen=True)
class Stages:
    """What happens between capture and output, a function a stage.

    Attributes:
        preprocess: Runs on its own thread, as do the other two.
        inference: The net and the decoding of its output.
        overlay: The picture to show.
        open: Called once on the inference thread before its first frame: engines are opened on the
            thread that uses them.
        close: Called once on that thread after its last frame.
        start: The same as ``inference`` in two parts: begins on a frame and returns at once with
            what waits for the result. That is called once, on another thread.
        depth: How many frames ``start`` may have begun at once, known after ``open``. Where it is
            1, ``inference`` is called.
    """

    preprocess: Callable[[Frame], Prepared]
    inference: Callable[[Prepared], Inferred]
    overlay: Callable[[Inferred], Rendered]
    open: Callable[[], None] = field(default=lambda: None)
    close: Callable[[], None] = field(default=lambda: None)
    start: Callable[[Prepared], Callable[[], Inferred]] | None = None
    depth: Callable[[], int] = field(default=lambda: 1)


class Pipeline:
    """One run of frames from sources through the stages.

    Args:
        sources: What opens each source; its position is ``Frame.source``.
        turns: Positions of sources, grouped: each group is read by a thread of its own, one source
            after the other. Files stand in one group, each camera in its own.
        stages: The work.
        meter: Takes every measurement.
        mode: ``every-frame`` waits for slow stages and loses nothing, ``freshest`` drops what is
            overtaken, ``auto`` does the first for files and the second for live sources.
        max_frames: Deliver at most this many frames of each source.
        capacity: Frames that a waiting link holds. A dropping link holds one.
    """

    def __init__(
        self,
        sources: Sequence[Callable[[], Source]],
        turns: Sequence[Sequence[int]],
        stages: Stages,
        meter: Meter,
        *,
        mode: str = "auto",
        max_frames: int | None = None,
        capacity: int = 3,
    ) -> None:
        self._sources = sources
        self._turns = turns
        self._stages = stages
        self._meter = meter
        self._mode = mode
        self._max_frames = max_frames
        self._to_preprocess = self._link("preprocess", capacity)
        self._to_inference = self._link("inference", capacity)
        self._to_overlay = self._link("overlay", capacity)
        self._to_output = self._link("output", capacity)
        self._links = [
            self._to_preprocess,
            self._to_inference,
            self._to_overlay,
            self._to_output,
        ]
        self._ready = threading.Event()
        self._stopping = False
        self._error: BaseException | None = None
        self._state = threading.Lock()
        self._reading = len(turns)
        self._freshest: dict[int, bool] = {}
        self._delivered: dict[int, int] = {}
        self._open: dict[int, Source] = {}

    def events(self) -> Generator[Event]:
        """Run, and give what comes out to the caller, who is the output stage.

        What the caller does with an event before asking for the next one is measured as output.

        Raises:
            LivevisionError: Or whatever else the first stage to fail raised. A source that breaks
                off is no failure of the run: its ``Ended`` carries the error.
        """
        threads = [
            threading.Thread(target=work, args=arguments, name=name, daemon=True)
            for name, work, arguments in self._workers()
        ]
        for thread in threads:
            thread.start()
        try:
            while True:
                try:
                    # A wait with no bound could not be interrupted by a signal on every platform.
                    item = self._to_output.get(_POLL_S)
                except TimeoutError:
                    yield Idle()
                    continue
                except Closed:
                    break
                yield from self._deliver(item)
        finally:
            self.stop()
            self._abort_links()
            self._join(threads)
        if self._error is not None:
            raise self._error

    @property
    def stopping(self) -> bool:
        """Whether the run has been told to end."""
        return self._stopping

    def stop(self) -> None:
        """End the run soon and cleanly: no new frames, those on the way are still delivered.

        Safe from a signal handler and from any thread, any number of times.
        """
        self._stopping = True
        self._ready.set()
        for source in list(self._open.values()):
            source.close()

    def _deliver(self, item: _Item) -> Iterator[Event]:
        if isinstance(item, Rendered):
            source = item.frame.source
            if self._enough(source):
                self._meter.dropped("output", "stopped")
                return
            self._delivered[source] = self._delivered.get(source, 0) + 1
            started = time.perf_counter()
            try:
                yield item
            finally:
                # A caller who leaves the loop has had this frame all the same.
                seconds = time.perf_counter() - started
                self._meter.delivered(source, item.frame.wall_time, seconds)
        elif isinstance(item, Opened | Ended):
            yield item

    def _enough(self, source: int) -> bool:
        return self._max_frames is not None and self._delivered.get(source, 0) >= self._max_frames

    def _workers(self) -> Iterator[tuple[str, Callable[..., None], tuple[Any, ...]]]:
        for turn in self._turns:
            yield "capture", self._capture, (turn,)
        yield (
            "preprocess",
            self._work,
            ("preprocess", self._to_preprocess, self._to_inference, self._stages.preprocess),
        )
        yield "inference", self._infer, ()
        yield (
            "overlay",
            self._work,
            ("overlay", self._to_overlay, self._to_output, self._stages.overlay),
        )

    def _capture(self, turn: Sequence[int]) -> None:
        """Read the sources of one group, one after the other."""
        try:
            for source in turn:
                if self._stopping:
                    break
                self._read(source)
        except Closed:
            pass
        except BaseException as error:
            self._fail(error)
        finally:
            with self._state:
                self._reading -= 1
                last = self._reading == 0
            if last:
                self._to_preprocess.close()

    def _read(self, position: int) -> None:
        link = self._to_preprocess
        try:
            source = self._sources[position]()
        except SourceError as unopened:
            link.tell(Ended(position, unopened))
            return
        self._open[position] = source
        error: SourceError | None = None
        try:
            info = source.info
            freshest = self._mode == "freshest" or (self._mode == "auto" and info.live)
            self._freshest[position] = freshest
            self._meter.opened(position, info, source.losses)
            link.tell(Opened(position, info))
            # What a camera sees while the model loads would be stale when it is ready, and rates
            # and latency leave out loading.
            self._ready.wait()
            self._pump(position, source, freshest)
        except SourceError as broken:
            error = broken
        finally:
            self._open.pop(position, None)
            source.close()
        link.tell(Ended(position, error))

    def _pump(self, position: int, source: Source, freshest: bool) -> None:
        frames = iter(source)
        taken = 0
        clock = _Clock() if freshest and not source.info.live else None
        while not self._stopping:
            # A live source is cut where frames are delivered, as some of those taken are dropped.
            if self._enough(position) or (not freshest and taken == self._max_frames):
                return
            started = time.perf_counter()
            frame = next(frames, None)
            if frame is None:
                return
            if clock is not None:
                frame = clock.wait_for(frame)
            self._meter.captured(position, time.perf_counter() - started)
            taken += 1
            self._put(self._to_preprocess, "preprocess", frame, frame, freshest)

    def _infer(self) -> None:
        try:
            self._stages.open()
        except BaseException as error:
            self._fail(error)
            return
        self._ready.set()
        try:
            start, depth = self._stages.start, self._stages.depth()
            if start is not None and depth > 1:
                self._overlap(start, depth)
                return
            self._work("inference", self._to_inference, self._to_overlay, self._stages.inference)
        finally:
            self._stages.close()

    def _overlap(self, start: Callable[[Prepared], Callable[[], Inferred]], depth: int) -> None:
        """Have several frames computed at once; their results go on in the frames' order.

        This thread begins, another one waits for the oldest frame: its waiting and decoding is what
        the stage is measured by. Between them are at most ``depth`` + 1 frames, one more than are
        computed, so that the engine has the next one at hand. Frames begun are not overtaken.
        """
        begun: _Link = self._link("overlay", depth - 1)
        self._links.append(begun)
        waiting = threading.Thread(
            target=self._work,
            args=("inference", begun, self._to_overlay, lambda item: item.finish()),
            name="inference",
            daemon=True,
        )
        waiting.start()
        try:
            while True:
                item = self._to_inference.get()
                if isinstance(item, Prepared):
                    with self._counted("overlay"):
                        begin = _Begun(item.frame, start(item))
                    self._put(begun, "overlay", begin, item.frame, freshest=False)
                else:
                    begun.tell(item)
        except Closed:
            pass
        except BaseException as error:
            self._fail(error)
        finally:
            begun.close()
            waiting.join()

    def _work(
        self, stage: str, inbox: _Link, outbox: _Link, function: Callable[[Any], _Item]
    ) -> None:
        """Carry items from one link to the next through a stage's function, until the end."""
        place = STAGES[STAGES.index(stage) + 1]
        try:
            while True:
                item = inbox.get()
                if isinstance(item, Opened | Ended):
                    outbox.tell(item)
                    continue
                frame = _frame_of(item)
                freshest = self._freshest[frame.source]
                if freshest and stage == "preprocess" and _stale(frame):
                    self._meter.dropped(stage, "stale")
                    continue
                started = time.perf_counter()
                with self._counted(place):
                    result = function(item)
                self._meter.worked(stage, time.perf_counter() - started)
                self._put(outbox, place, result, frame, freshest)
        except Closed:
            pass
        except BaseException as error:
            self._fail(error)
        finally:
            outbox.close()

    @contextmanager
    def _counted(self, place: str) -> Iterator[None]:
        """Work on one frame, which is lost where the work fails."""
        try:
            yield
        except BaseException:
            self._meter.dropped(place, "failed")
            raise

    def _put(self, link: _Link, place: str, item: _Item, frame: Frame, freshest: bool) -> None:
        try:
            link.put(item, frame.source, freshest=freshest)
        except Closed:
            self._meter.dropped(place, "stopped")
            raise

    def _link(self, place: str, capacity: int) -> _Link:
        return Channel(capacity, lambda item, cause: self._meter.dropped(place, cause))

    def _fail(self, error: BaseException) -> None:
        """Keep the first error and bring everything to an end."""
        with self._state:
            if self._error is None:
                self._error = error
        self.stop()
        self._abort_links()

    def _abort_links(self) -> None:
        for link in self._links:
            link.abort()

    def _join(self, threads: Sequence[threading.Thread]) -> None:
        deadline = time.monotonic() + _JOIN_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                log.warning("the %s thread did not end within %.0f s", thread.name, _JOIN_S)


class _Clock:
    """Plays a file in real time, so that it can stand in for a camera."""

    def __init__(self) -> None:
        self._start: float | None = None

    def wait_for(self, frame: Frame) -> Frame:
        """Wait until the frame is due; the frame as if captured at that moment."""
        now = time.monotonic()
        if self._start is None:
            self._start = now - frame.time
        time.sleep(max(0.0, self._start + frame.time - now))
        return replace(frame, wall_time=time.monotonic())


def _frame_of(item: Frame | Prepared | _Begun | Inferred | Rendered) -> Frame:
    return item if isinstance(item, Frame) else item.frame


def _stale(frame: Frame) -> bool:
    return time.monotonic() - frame.wall_time > STALE_S
