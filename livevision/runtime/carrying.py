"""How frames are carried from link to link through a stage, and what becomes of an error."""

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
"""A live frame is not shown older than this, unless the work on it takes more than half of it."""


class Carrier:
    """What the threads of a run share: its links, its measurements and its first error.

    Args:
        meter: Takes every measurement.
        freshest: By source, whether its frames push each other out of a link.
        stop: Tells the sources to end.
        before_net: Names of the stages up to the nets, where a frame has most of its work ahead.

    Attributes:
        error: The first error that ended the run; None where there was none.
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
        """A link in front of the stage ``place``."""
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
        """Carry items from one link to the next through a stage, until the end.

        Args:
            stage: It.
            inbox: The link in front of it.
            outbox: The link behind it.
            place: The name of the stage behind it.
            measured: The stage tells itself how long it works on a frame.
        """
        with self.until_closed(outbox):
            while True:
                item = inbox.get()
                if isinstance(item, Opened | Ended):
                    self.announce(stage, item)
                    outbox.tell(item)
                    continue
                frame = frame_of(item)
                if self.too_old(stage.name, frame):
                    continue
                started = time.perf_counter()
                with self.counted(place, frame):
                    result = stage(item)
                if not measured:
                    self.meter.worked(stage.name, time.perf_counter() - started)
                self.put(outbox, place, result, frame)

    def announce(self, stage: Stage | Computing, event: Opened | Ended) -> None:
        """Tell a stage of a source's beginning or end."""
        if isinstance(event, Opened):
            stage.opened(event.source, event.info)
        else:
            stage.ended(event.source)

    def too_old(self, place: str, frame: Frame) -> bool:
        """Whether a live frame, on its way into a stage, is dropped as too old to be shown.

        Before it is computed on, that is one that would be too old when the work is done.
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
        """Work of a thread that ends with its inbox, or with an error; the outbox is closed."""
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
        """Work on frames, which are lost where the work fails."""
        try:
            yield
        except BaseException:
            for frame in frames:
                self.meter.dropped(frame.source, place, "failed")
            raise

    @contextmanager
    def lost_behind(self, place: str, frames: Sequence[Frame]) -> Iterator[None]:
        """Put a frame that has others behind it, which are lost where the link is closed."""
        try:
            yield
        except Closed:
            for frame in frames:
                self.meter.dropped(frame.source, place, "stopped")
            raise

    def put(
        self, link: Channel[Any], place: str, item: Any, frame: Frame, waits: bool = False
    ) -> None:
        """Put a frame into a link, in the way of its source unless it ``waits`` in any case."""
        freshest = not waits and self._freshest[frame.source]
        try:
            link.put(item, frame.source, freshest=freshest)
        except Closed:
            self.meter.dropped(frame.source, place, "stopped")
            raise

    def fail(self, error: BaseException) -> None:
        """Keep the first error and bring everything to an end."""
        with self._state:
            if self.error is None:
                self.error = error
        self._stop()
        self.abort()

    def abort(self) -> None:
        """Close all links, and drop what is in them."""
        for link in self._links:
            link.abort()


def frame_of(item: Any) -> Frame:
    """The frame itself, of any value that carries one."""
    return item if isinstance(item, Frame) else item.frame
