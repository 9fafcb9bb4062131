"""Carries frames through a stage from link to link, and handles errors of stages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from livevision.frame import Frame
from livevision.runtime.links import Channel, Closed
from livevision.runtime.metering import Meter
from livevision.runtime.stages import Computing, Ended, Opened, Stage

STALE_S = 0.5
"""Seconds; older live frames are dropped, unless the work on them takes more than half of it."""


class Carrier:
    """What the threads of a run share: links, measurements and the first error.

    Args:
        meter: Takes all measurements.
        freshest: By source, whether a newer frame replaces a waiting one.
        stop: Ends the sources.
        before_net: Names of the stages up to the nets, after which most of the work is done.

    Attributes:
        error: The first error that ended the run; None if there was none.
    """

    def __init__(
        self,
        meter: Meter,
        freshest: Mapping[int, bool],
        stop: Callable[[], None],
        before_net: Sequence[str] = (),
    ) -> None:
        self.meter = meter
        self.error: BaseException | None = None
        self._freshest = freshest
        self._stop = stop
        self._before_net = frozenset(before_net)
        self._links: list[Channel[Any]] = []
        self._state = threading.Lock()

    def link(self, place: str, capacity: int) -> Channel[Any]:
        """Create the link before the stage ``place``."""
        link: Channel[Any] = Channel(
            capacity, lambda item, cause: self.meter.dropped(frame_of(item).source, place, cause)
        )
        self._links.append(link)
        return link

    def carry(
        self,
        stage: Stage | Computing,
        inbox: Channel[Any],
        outbox: Channel[Any],
        place: str,
        measured: bool = False,
    ) -> None:
        """Carry items from one link through a stage to the next link, until the end.

        Args:
            stage: The stage.
            inbox: The link before it.
            outbox: The link after it.
            place: The name of the next stage.
            measured: The stage waits for frames in flight, and measures its own time per frame.
        """
        with self.until_closed(outbox):
            while True:
                item = inbox.get()
                if isinstance(item, Opened | Ended):
                    self.announce(stage, item)
                    outbox.tell(item)
                    continue
                frame = frame_of(item)
                # What is in flight is waited for in any case: the engine wants its memory back.
                if not measured and self.too_old(stage.name, frame):
                    continue
                started = time.perf_counter()
                with self.counted(place, frame):
                    result = stage(item)
                if not measured:
                    self.meter.worked(stage.name, time.perf_counter() - started)
                self.put(outbox, place, result, frame)

    def announce(self, stage: Stage | Computing, event: Opened | Ended) -> None:
        """Notify a stage of a source's beginning or end."""
        if isinstance(event, Opened):
            stage.opened(event.source, event.info)
        else:
            stage.ended(event.source)

    def too_old(self, place: str, frame: Frame) -> bool:
        """Whether a live frame that enters a stage is dropped as too old to be shown.

        Before the nets, the time that the remaining work takes is added to its age.
        """
        if not self._freshest[frame.source]:
            return False
        age = time.monotonic() - frame.wall_time
        if age <= STALE_S / 2:
            return False
        work = self.meter.recent_work()
        if place in self._before_net:
            bound = max(STALE_S - work, STALE_S / 2)
        else:
            bound = max(STALE_S, STALE_S / 2 + work)
        if age <= bound:
            return False
        self.meter.dropped(frame.source, place, "stale")
        return True

    @contextmanager
    def until_closed(self, outbox: Channel[Any]) -> Iterator[None]:
        """Context of a thread's work: closes the outbox at the end, and handles errors."""
        try:
            yield
        except Closed:
            pass
        except BaseException as error:
            self.fail(error)
        finally:
            outbox.close()

    @contextmanager
    def counted(self, place: str, *frames: Frame) -> Iterator[None]:
        """Context of work on frames: counts them as lost if the work fails."""
        try:
            yield
        except BaseException:
            for frame in frames:
                self.meter.dropped(frame.source, place, "failed")
            raise

    @contextmanager
    def lost_behind(self, place: str, frames: Sequence[Frame]) -> Iterator[None]:
        """Context of putting a frame before others: counts those as lost if the link is closed."""
        try:
            yield
        except Closed:
            for frame in frames:
                self.meter.dropped(frame.source, place, "stopped")
            raise

    def put(
        self, link: Channel[Any], place: str, item: Any, frame: Frame, waits: bool = False
    ) -> None:
        """Put a frame in a link by its source's policy; ``waits`` makes it wait in any case."""
        freshest = not waits and self._freshest[frame.source]
        try:
            link.put(item, frame.source, freshest=freshest)
        except Closed:
            self.meter.dropped(frame.source, place, "stopped")
            raise

    def fail(self, error: BaseException) -> None:
        """Store the first error and end the run."""
        with self._state:
            if self.error is None:
                self.error = error
        self._stop()
        self.abort()

    def abort(self) -> None:
        """Close all links and drop their contents."""
        for link in self._links:
            link.abort()


def frame_of(item: Any) -> Frame:
    """The frame inside any value that travels between stages."""
    return item if isinstance(item, Frame) else item.frame
