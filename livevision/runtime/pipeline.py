"""The five stages and their threads: capture, preprocess, inference, overlay, output.

    capture ──► preprocess ──► inference ──► overlay ──► output
    (threads)    (thread)       (thread)     (thread)    (the caller's thread)

The caller iterates over ``Pipeline.events()`` and is the output stage: window toolkits want the
main thread, and a generator is also the shape a Python user wants. Every other stage is a plain
function from one frame value to the next, which knows nothing of threads. This file and those
below it (``inferring.py``, ``carrying.py``, ``channel.py``) are the only ones that do.

Shut-down is always the same: a source's end, ``stop()``, an error in any stage or the caller's
leaving the loop all close the links, let every thread finish, and raise the first error in the
caller's thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

from livevision.errors import SourceError
from livevision.frame import Frame, Rendered
from livevision.protocols import Source
from livevision.runtime.carrying import Carrier
from livevision.runtime.inferring import infer
from livevision.runtime.links import Closed
from livevision.runtime.report import Meter
from livevision.runtime.stages import Ended, Event, Idle, Item, Opened, Stages

__all__ = ["Ended", "Event", "Idle", "Opened", "Pipeline", "Stages"]

log = logging.getLogger(__name__)

_POLL_S = 0.1
# After a stop, sources are waited for so long, frames on the way delivered for so long, and threads
# waited for in all. One may sit in a call that nothing can wake, such as on a pipe that is silent.
_SOURCES_S, _DRAIN_S, _END_S = 0.3, 0.8, 1.0
_SLIP_S = 0.4  # how far behind its times a file may be played before its clock is set anew


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
        stride: Asked at every frame of a source whose frames push each other out: only every so
            many go on, the others are counted as dropped. It may change while running.
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
        stride: Callable[[], int] = lambda: 1,
    ) -> None:
        self._sources = sources
        self._turns = turns
        self._stages = stages
        self._meter = meter
        self._mode = mode
        self._max_frames = max_frames
        self._stride = stride
        self._freshest: dict[int, bool] = {}
        self._carrier = Carrier(meter, self._freshest, self.stop)
        self._to_preprocess = self._carrier.link("preprocess", capacity)
        self._to_inference = self._carrier.link("inference", capacity)
        self._to_overlay = self._carrier.link("overlay", capacity)
        self._to_output = self._carrier.link("output", capacity)
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._stopped_at: float | None = None
        self._state = threading.Lock()
        self._reading = len(turns)
        self._delivered: dict[int, int] = {}
        self._open: dict[int, Source] = {}
        self._given_up: set[int] = set()

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
            while not self._overdue():
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
            self._carrier.abort()
            self._join(threads)
        if self._carrier.error is not None:
            raise self._carrier.error

    def freshest(self, source: int) -> bool:
        """Whether the frames of an opened source push each other out."""
        return self._freshest[source]

    @property
    def stopping(self) -> bool:
        """Whether the run has been told to end."""
        return self._stop.is_set()

    def stop(self) -> None:
        """End the run soon and cleanly: no new frames, those on the way are still delivered.

        What takes about a second is given up: its frames are dropped and counted.
        Safe from a signal handler and from any thread, any number of times.
        """
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
        self._stop.set()
        self._ready.set()
        # At once, as each may take its time: one of many must not hold up the others.
        for source in list(self._open.values()):
            threading.Thread(target=source.close, name="closing", daemon=True).start()

    def give_up(self, source: int) -> None:
        """Take no more of a source, whose outputs have failed; the others go on.

        To be called where events are taken. The frame that was just given counts as failed, as do
        those on the way behind it.
        """
        self._given_up.add(source)
        opened = self._open.get(source)
        if opened is not None:
            opened.close()

    def _overdue(self) -> bool:
        """Whether a stop has been waited for long enough; sources get less than frames do."""
        if self._stopped_at is None:
            return False
        waited = time.monotonic() - self._stopped_at
        if waited > _SOURCES_S:
            self._to_preprocess.close()
        return waited > _DRAIN_S

    def _deliver(self, item: Item) -> Iterator[Event]:
        if isinstance(item, Rendered):
            source = item.frame.source
            if source in self._given_up:
                self._meter.dropped("output", "failed")
                return
            if self._enough(source):
                self._meter.dropped("output", "stopped")
                return
            if self._carrier.too_old("output", item.frame):
                return
            self._delivered[source] = self._delivered.get(source, 0) + 1
            started = time.perf_counter()
            try:
                yield item
            finally:
                # A caller who leaves the loop has had this frame all the same.
                seconds = time.perf_counter() - started
                if source in self._given_up:
                    self._meter.dropped("output", "failed")
                else:
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
            self._carrier.carry,
            ("preprocess", self._to_preprocess, self._to_inference, self._stages.preprocess),
        )
        yield "inference", self._infer, ()
        yield (
            "overlay",
            self._carrier.carry,
            ("overlay", self._to_overlay, self._to_output, self._stages.overlay),
        )

    def _capture(self, turn: Sequence[int]) -> None:
        """Read the sources of one group, one after the other."""
        try:
            for source in turn:
                if self.stopping:
                    break
                self._read(source)
        except Closed:
            pass
        except BaseException as error:
            self._carrier.fail(error)
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
            self._meter.opened(position, info, source.losses, paced=freshest or info.live)
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
        clock = None
        if freshest and not source.info.live:
            clock = _Clock(source.info.name, self._stop)
        while not self.stopping and position not in self._given_up:
            # A live source is cut where frames are delivered, as some of those taken are dropped.
            if self._enough(position) or (not freshest and taken == self._max_frames):
                return
            started = time.perf_counter()
            frame = next(frames, None)
            if frame is None:
                return
            seconds = time.perf_counter() - started
            if clock is not None:
                frame = clock.wait_for(frame)
            lag = frame.lag if source.info.live or clock is not None else None
            self._meter.captured(position, seconds, lag)
            taken += 1
            if freshest and (taken - 1) % self._stride():
                self._meter.dropped("preprocess", "stride")
                continue
            self._carrier.put(self._to_preprocess, "preprocess", frame, frame)

    def _infer(self) -> None:
        try:
            self._stages.open()
        except BaseException as error:
            self._carrier.fail(error)
            return
        self._ready.set()
        try:
            infer(self._carrier, self._stages, self._to_inference, self._to_overlay)
        finally:
            self._stages.close()

    def _join(self, threads: Sequence[threading.Thread]) -> None:
        deadline = (self._stopped_at or time.monotonic()) + _END_S
        # Those that read have been waited for.
        for thread in sorted(threads, key=lambda thread: thread.name == "capture"):
            least = 0.02 if thread.name == "capture" else 0.1
            thread.join(max(least, deadline - time.monotonic()))
            if thread.is_alive():
                log.debug("the %s thread is left behind: it still waits or computes", thread.name)


class _Clock:
    """Plays a file in real time, so that it can stand in for a camera.

    Args:
        name: What to call the file in messages.
        stopping: Set to end a wait.
    """

    def __init__(self, name: str, stopping: threading.Event) -> None:
        self._name, self._stopping = name, stopping
        self._start: float | None = None
        self._told = False

    def wait_for(self, frame: Frame) -> Frame:
        """Wait until the frame is due; the frame as if captured at that moment."""
        now = time.monotonic()
        if self._start is None:
            self._start = now - frame.time
        behind = now - (self._start + frame.time)
        if behind > _SLIP_S:
            # What a camera sees would be gone, but of a file every frame has to be decoded.
            level = logging.DEBUG if self._told else logging.WARNING
            self._told = True
            log.log(level, "%s: cannot be read in real time; it is played slower", self._name)
            self._start, behind = now - frame.time, 0.0
        self._stopping.wait(max(0.0, -behind))
        due = self._start + frame.time
        return replace(frame, wall_time=min(due, time.monotonic()), lag=max(0.0, behind))
