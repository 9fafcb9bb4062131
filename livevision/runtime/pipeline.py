"""The stages and their threads, from capture to output.

    capture ──► preprocess ──► inference ──► overlay ──► output
    (threads)    (thread)       (thread)     (thread)    (the caller's thread)

The caller iterates over ``Pipeline.events()`` and is the output stage: window toolkits need the
main thread, and Python users want a generator. The stages in between are a list of objects that
know nothing of threads (``stages.Stage``), so adding one is adding it to the list.

Shut-down always works the same way: the end of a source, ``stop()``, an error in any stage or the
caller leaving the loop closes the links, lets every thread finish, and raises the first error in
the caller's thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

from livevision.capture.life import close_all
from livevision.errors import SourceError
from livevision.frame import Frame, Rendered
from livevision.protocols import Source
from livevision.runtime.carrying import Carrier
from livevision.runtime.inferring import infer
from livevision.runtime.links import Channel, Closed
from livevision.runtime.metering import Meter
from livevision.runtime.stages import Computing, Ended, Event, Idle, Item, Opened, Stage

__all__ = ["Ended", "Event", "Idle", "Opened", "Pipeline"]

log = logging.getLogger(__name__)

_POLL_S = 0.1
# After a stop: seconds to wait for sources, to deliver frames in the pipeline, and to wait for
# threads in all. A thread may sit in an uninterruptible call, such as reading a silent pipe.
_SOURCES_S, _DRAIN_S, _END_S = 0.3, 0.8, 1.0
_SLIP_S = 0.4  # how far a file may fall behind real time before its clock is reset


class Pipeline:
    """Carries frames from sources through the stages, on threads.

    Args:
        sources: Functions that open each source; the position is ``Frame.source``.
        turns: Positions of sources in groups: each group is read by its own thread, one source
            after the other. Files are in one group, each camera in its own.
        stages: The stages between capture and output, in order. One may be ``Computing``.
        meter: Takes all measurements.
        mode: ``every-frame`` waits for slow stages and loses nothing; ``freshest`` lets newer
            frames replace waiting ones; ``auto``: the first for files, the second for live sources.
        max_frames: Maximum frames to deliver of each source.
        capacity: Frames in a link whose writers wait. A dropping link holds one.
        stride: Returns the current stride, asked at every frame of a source whose newer frames
            replace waiting ones; frames in between are counted as dropped.
        paused: Returns whether frames of a source are dropped unprocessed, asked at every frame.
        stay: Continue without sources until ``stop``: some may be added.
        counts: Count a frame as delivered when the caller asks for the next one; False if the
            caller counts.
    """

    def __init__(
        self,
        sources: Sequence[Callable[[], Source]],
        turns: Sequence[Sequence[int]],
        stages: Sequence[Stage | Computing],
        meter: Meter,
        *,
        mode: str = "auto",
        max_frames: int | None = None,
        capacity: int = 3,
        stride: Callable[[], int] = lambda: 1,
        paused: Callable[[int], bool] = lambda _: False,
        stay: bool = False,
        counts: bool = True,
    ) -> None:
        self._sources = list(sources)
        self._turns = turns
        self._stages = stages
        self._meter = meter
        self._mode = mode
        self._max_frames = max_frames
        self._stride, self._paused = stride, paused
        self._counts = counts
        self._freshest: dict[int, bool] = {}
        names = [stage.name for stage in stages]
        meter.follow(names)
        nets = next((n for n, stage in enumerate(stages) if isinstance(stage, Computing)), -1)
        self._carrier = Carrier(meter, self._freshest, self.stop, names[: nets + 1])
        # A link before each stage and before the output, and the name of what follows it.
        self._places = [*names, "output"]
        self._links = [self._carrier.link(place, capacity) for place in self._places]
        self._ready = threading.Event()
        if nets < 0:
            self._ready.set()
        self._stop = threading.Event()
        self._stopped_at: float | None = None
        self._state = threading.RLock()  # reentrant: a signal handler may stop the holder
        self._reading = len(turns) + stay
        self._stay = stay
        self._threads: list[threading.Thread] = []
        self._delivered: dict[int, int] = {}
        self._open: dict[int, Source] = {}
        self._given_up: set[int] = set()
        self._removed: set[int] = set()

    def events(self) -> Generator[Event]:
        """Run, and yield events to the caller, who is the output stage.

        Time between one event and the next request is measured as output.

        Raises:
            LivevisionError: Or whatever the first failing stage raised. A source that fails does
                not end the run: its ``Ended`` carries the error.
        """
        self._threads = [
            threading.Thread(target=work, args=arguments, name=name, daemon=True)
            for name, work, arguments in self._workers()
        ]
        for thread in list(self._threads):
            thread.start()
        try:
            while not self._overdue():
                try:
                    # With a timeout, since an unbounded wait is uninterruptible on some platforms.
                    item = self._links[-1].get(_POLL_S)
                except TimeoutError:
                    yield Idle()
                    continue
                except Closed:
                    break
                yield from self._deliver(item)
        finally:
            self.stop()
            self._carrier.abort()
            self._join(self._threads)
        if self._carrier.error is not None:
            raise self._carrier.error

    def freshest(self, source: int) -> bool:
        """Whether newer frames of an opened source replace waiting ones."""
        return self._freshest[source]

    @property
    def ready(self) -> bool:
        """Whether the nets are loaded."""
        return self._ready.is_set()

    @property
    def stopping(self) -> bool:
        """Whether the run is stopping."""
        return self._stop.is_set()

    def stop(self) -> None:
        """End the run cleanly: no new frames, those in the pipeline are still delivered.

        Frames that take more than about a second are dropped and counted. Safe from a signal
        handler and from any thread, any number of times.
        """
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
        with self._state:
            first = not self._stop.is_set()
            self._stop.set()
        self._ready.set()
        if first and self._stay:
            self._read_all()
        # On a thread of its own: closing may be slow, and a signal may have interrupted anything.
        sources = list(self._open.values())
        threading.Thread(target=close_all, args=(sources,), name="closing", daemon=True).start()

    def add(self, source: Callable[[], Source]) -> int:
        """Add a source. Safe from any thread.

        Returns:
            Its position.

        Raises:
            Closed: The run is stopping.
        """
        with self._state:
            if self.stopping or self._reading == 0:
                raise Closed
            self._reading += 1
            self._sources.append(source)
            position = len(self._sources) - 1
        thread = threading.Thread(
            target=self._capture, args=([position],), name="capture", daemon=True
        )
        self._threads.append(thread)
        thread.start()
        return position

    def remove(self, source: int) -> None:
        """End a source: no new frames, those in the pipeline are delivered, then its ``Ended``.

        Safe from any thread.
        """
        self._removed.add(source)
        opened = self._open.get(source)
        if opened is not None:
            threading.Thread(target=opened.close, name="closing", daemon=True).start()

    def give_up(self, source: int) -> None:
        """Stop a source whose outputs have failed; the others continue.

        Call it on the thread that takes events. The current frame and those of the source in the
        pipeline count as failed.
        """
        self._given_up.add(source)
        opened = self._open.get(source)
        if opened is not None:
            opened.close()

    def _overdue(self) -> bool:
        """Whether a stop has lasted long enough; sources get less time than frames."""
        if self._stopped_at is None:
            return False
        waited = time.monotonic() - self._stopped_at
        if waited > _SOURCES_S:
            self._links[0].close()
        return waited > _DRAIN_S

    def _deliver(self, item: Item) -> Iterator[Event]:
        if isinstance(item, Rendered):
            source = item.frame.source
            if source in self._given_up:
                self._meter.dropped(source, "output", "failed")
                return
            if self._enough(source):
                self._meter.dropped(source, "output", "stopped")
                return
            if self._carrier.too_old("output", item.frame):
                return
            self._delivered[source] = self._delivered.get(source, 0) + 1
            started = time.perf_counter()
            try:
                yield item
            finally:
                # A caller that leaves its loop here has received this frame.
                if self._counts and source in self._given_up:
                    self._meter.dropped(source, "output", "failed")
                elif self._counts:
                    seconds = time.perf_counter() - started
                    self._meter.delivered(source, item.frame.wall_time, seconds)
        elif isinstance(item, Opened | Ended):
            yield item

    def _enough(self, source: int) -> bool:
        return self._max_frames is not None and self._delivered.get(source, 0) >= self._max_frames

    def _workers(self) -> Iterator[tuple[str, Callable[..., None], tuple[Any, ...]]]:
        for turn in self._turns:
            yield "capture", self._capture, (turn,)
        for n, stage in enumerate(self._stages):
            work = self._compute if isinstance(stage, Computing) else self._carrier.carry
            yield stage.name, work, (stage, self._links[n], self._links[n + 1], self._places[n + 1])

    def _capture(self, turn: Sequence[int]) -> None:
        """Read the sources of one group, one after the other."""
        try:
            for source in turn:
                if self.stopping:
                    break
                if source not in self._removed:
                    self._read(source)
        except Closed:
            pass
        except BaseException as error:
            self._carrier.fail(error)
        finally:
            self._read_all()

    def _read_all(self) -> None:
        """A reader has ended; the last one closes the links."""
        with self._state:
            self._reading -= 1
            last = self._reading == 0
        if last:
            self._links[0].close()

    def _read(self, position: int) -> None:
        link = self._links[0]
        try:
            source = self._sources[position]()
        except SourceError as unopened:
            link.tell(Ended(position, None if position in self._removed else unopened))
            return
        self._open[position] = source
        if position in self._removed:
            source.close()
        error: SourceError | None = None
        try:
            info = source.info
            freshest = self._mode == "freshest" or (self._mode == "auto" and info.live)
            self._freshest[position] = freshest
            self._meter.opened(position, info, source.losses, paced=freshest or info.live)
            link.tell(Opened(position, info))
            # Frames captured while the model loads would be stale, and rates and latency exclude
            # loading.
            self._ready.wait()
            self._pump(position, source, freshest)
        except SourceError as broken:
            error = None if position in self._removed else broken
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
        while not self.stopping and position not in self._given_up | self._removed:
            # A live source is limited at delivery, since some of its captured frames are dropped.
            if self._enough(position) or (not freshest and taken == self._max_frames):
                return
            if not source.info.live and self._paused(position):
                self._stop.wait(_POLL_S)
                continue
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
            cause = ""
            if self._paused(position):
                cause = "paused"
            elif freshest and (taken - 1) % self._stride():
                cause = "stride"
            if cause:
                self._meter.dropped(position, self._places[0], cause)
                continue
            self._carrier.put(self._links[0], self._places[0], frame, frame)

    def _compute(
        self, stage: Computing, inbox: Channel[Any], outbox: Channel[Any], place: str
    ) -> None:
        try:
            stage.open()
        except BaseException as error:
            self._carrier.fail(error)
            return
        self._ready.set()
        try:
            infer(self._carrier, stage, inbox, outbox, place)
        finally:
            stage.close()

    def _join(self, threads: Sequence[threading.Thread]) -> None:
        deadline = (self._stopped_at or time.monotonic()) + _END_S
        # Readers have been waited for.
        for thread in sorted(threads, key=lambda thread: thread.name == "capture"):
            least = 0.02 if thread.name == "capture" else 0.1
            thread.join(max(least, deadline - time.monotonic()))
            if thread.is_alive():
                log.debug("the %s thread is abandoned: it still waits or computes", thread.name)


class _Clock:
    """Plays a file in real time, as a stand-in for a camera.

    Args:
        name: The file's name in messages.
        stopping: Set to end a wait.
    """

    def __init__(self, name: str, stopping: threading.Event) -> None:
        self._name, self._stopping = name, stopping
        self._start: float | None = None
        self._warned = False

    def wait_for(self, frame: Frame) -> Frame:
        """Wait until the frame is due; returns it as if captured at that moment."""
        now = time.monotonic()
        if self._start is None:
            self._start = now - frame.time
        behind = now - (self._start + frame.time)
        if behind > _SLIP_S:
            # A camera would skip frames here, but every frame of a file must be decoded.
            level = logging.DEBUG if self._warned else logging.WARNING
            self._warned = True
            log.log(level, "%s: cannot be read in real time; it plays slower", self._name)
            self._start, behind = now - frame.time, 0.0
        self._stopping.wait(max(0.0, -behind))
        due = self._start + frame.time
        return replace(frame, wall_time=min(due, time.monotonic()), lag=max(0.0, behind))
