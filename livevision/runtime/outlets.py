"""An outlet: a queue, a thread and a policy for one sink, so that no sink slows another.

    the caller's thread ──► queue ──► outlet's thread: sink.write

A frame sent to several outlets is delivered when the last of them has written it, and dropped if
none has.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from livevision.capture.life import FIRST_PAUSE_S as _FIRST_PAUSE
from livevision.capture.life import LONGEST_PAUSE_S as _LONGEST_PAUSE
from livevision.errors import LivevisionError
from livevision.frame import Frame, Rendered
from livevision.protocols import OutletPolicy, Shared, Sink, SourceInfo
from livevision.runtime.metering import Meter

log = logging.getLogger(__name__)

# Waiting frames: of files, and of live sources, for a sink whose speed varies.
_CAPACITY = {"wait": 3, "newest": 1, "durable": 3}
_LIVE_CAPACITY = {"wait": 8, "newest": 1, "durable": 128}
_GIVEN_UP_S = 1.0  # after the run was stopped, no frame waits longer for room
_NO_IMAGE = np.zeros((0, 0, 3), np.uint8)

Delivered = Callable[[Frame, float], None]
"""Called with each delivered frame and its ``time.monotonic()``, on any thread."""


class Sent:
    """A frame on its way to the outputs; counted once, when the last of them is done.

    Args:
        frame: The frame.
        meter: Counts it.
        holders: Number of ``done`` calls to expect.
        delivered: Called if any output has taken it.
    """

    def __init__(
        self, frame: Frame, meter: Meter, holders: int, delivered: Delivered | None = None
    ) -> None:
        self._frame, self._meter, self._delivered = frame, meter, delivered
        self._lock = threading.Lock()
        self._last = threading.Event()
        self._left = holders
        if holders <= 1:
            self._last.set()
        self._taken = False
        self._seconds = 0.0
        self._cause = ""

    def wait_for_others(self, seconds: float) -> bool:
        """Wait until at most one holder is left; False on timeout."""
        return self._last.wait(seconds)

    def done(self, seconds: float = 0.0, cause: str | None = "") -> None:
        """One holder is done with the frame.

        Args:
            seconds: Its work on the frame.
            cause: Why it did not take the frame; "" if it did, None if it was not meant to.
        """
        with self._lock:
            self._left -= 1
            self._taken |= cause == ""
            self._cause = self._cause or cause or ""
            self._seconds = max(self._seconds, seconds)
            left = self._left
        if left <= 1:
            self._last.set()
        if left:
            return
        if not self._taken:
            self._meter.dropped(self._frame.source, "output", self._cause or "failed")
            return
        now = time.monotonic()
        self._meter.delivered(self._frame.source, self._frame.wall_time, self._seconds, now)
        if self._delivered is not None:
            self._delivered(self._frame, now)


@dataclass(slots=True)
class _Waiting:
    sent: Sent
    rendered: Rendered


class Outlet:
    """The queue and thread of one sink.

    Args:
        name: Its name in the report and in messages.
        make: Creates the sink; called at once, and again after a failure if the policy is to retry.
        policy: What to do if the queue is full or the sink fails.
        meter: Provides its counters.
        stopping: Whether the run is stopping.

    Attributes:
        error: The error that ended it, if any. It takes no more frames then.
        sink: The current sink; None while it is being retried.

    Raises:
    Raises:
        LivevisionError: The sink cannot be created, and the policy is not to retry.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], Sink],
        policy: OutletPolicy,
        meter: Meter,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name = name
        self.error: BaseException | None = None
        self.sink: Sink | None = None
        self._make, self._policy, self._meter, self._stopping = make, policy, meter, stopping
        self._infos: dict[int, SourceInfo] = {}
        self._queue: deque[_Waiting | tuple[int, SourceInfo]] = deque()
        self._frames = 0
        self._changed = threading.Condition()
        self._ending = self._over = False
        self._pause, self._retry_at = _FIRST_PAUSE, 0.0
        try:
            self.sink = make()
        except LivevisionError as error:
            if policy.failing != "retry":
                raise
            self._tally = meter.outlet(name)
            self._failed(error)
        else:
            self._tally = meter.outlet(name)
        self._thread = threading.Thread(target=self._run, name="outlet", daemon=True)
        self._thread.start()

    @property
    def must_finish(self) -> bool:
        """Whether the run's end waits for its sink however long that takes."""
        return self._policy.failing != "retry"

    @property
    def where(self) -> str:
        """Where the user finds the output."""
        return "" if self.sink is None else self.sink.where

    def opened(self, source: int, info: SourceInfo) -> None:
        """Announce a source whose frames follow."""
        with self._changed:
            if not self._over:
                self._queue.append((source, info))
                self._changed.notify_all()

    def put(self, sent: Sent, rendered: Rendered, live: bool) -> None:
        """Queue a frame; waits for room if the policy is to wait and the source is not live."""
        if self._policy.full == "durable":
            rendered = replace(
                rendered, frame=replace(rendered.frame, image=_NO_IMAGE), image=_NO_IMAGE
            )
        waits = not live and self._policy.full != "newest"
        capacity = (_LIVE_CAPACITY if live else _CAPACITY)[self._policy.full]
        with self._changed:
            with self._meter.counting():
                self._tally.frames_in += 1
            stopped_at: float | None = None
            while waits and self._frames >= capacity and not self._over:
                # With a timeout, since an unbounded wait is uninterruptible on some platforms.
                self._changed.wait(0.1)
                if self._stopping():
                    now = time.monotonic()
                    stopped_at = now if stopped_at is None else stopped_at
                    if now - stopped_at > _GIVEN_UP_S:
                        self._drop(sent, "stopped")
                        return
            if self._over or self._ending:
                self._drop(sent, "failed" if self.error is not None else "stopped")
                return
            if self._frames >= capacity:
                self._drop_oldest()
            self._queue.append(_Waiting(sent, rendered))
            self._frames += 1
            self._changed.notify_all()

    def end(self) -> None:
        """Announce the end: the sink is closed after the frames that still wait."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        """Whether its thread has ended, with the sink closed or failed."""
        return not self._thread.is_alive()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread to end."""
        self._thread.join(timeout)

    def _drop(self, sent: Sent, cause: str) -> None:
        with self._meter.counting():
            self._tally.dropped[cause] += 1
        sent.done(cause=cause)

    def _drop_oldest(self) -> None:
        for position, item in enumerate(self._queue):
            if isinstance(item, _Waiting):
                del self._queue[position]
                self._frames -= 1
                self._drop(item.sent, "late")
                return

    # On the outlet's thread.

    def _run(self) -> None:
        try:
            while (item := self._next()) is not None:
                if isinstance(item, _Waiting):
                    self._write(item)
                else:
                    self._introduce(*item)
        except BaseException as error:
            self.error = error
        try:
            if self.sink is not None:
                self.sink.close()
        except BaseException as error:
            self._closing_failed(error)
        finally:
            self._finish()

    def _next(self) -> _Waiting | tuple[int, SourceInfo] | None:
        with self._changed:
            while not self._queue:
                if self._ending:
                    return None
                self._changed.wait()
            item = self._queue.popleft()
            if isinstance(item, _Waiting):
                self._frames -= 1
                self._changed.notify_all()
            return item

    def _introduce(self, source: int, info: SourceInfo) -> None:
        self._infos[source] = info
        if isinstance(self.sink, Shared):
            self.sink.opened(source, info)

    def _write(self, item: _Waiting) -> None:
        if self.sink is None and not self._made_anew():
            self._drop(item.sent, "retrying")
            return
        assert self.sink is not None
        started = time.perf_counter()
        try:
            self.sink.write(item.rendered)
        except Exception as error:
            self._drop(item.sent, "failed")
            if self._policy.failing != "retry":
                raise
            self._failed(error)
            return
        except BaseException:
            self._drop(item.sent, "failed")
            raise
        seconds = time.perf_counter() - started
        with self._meter.counting():
            self._tally.frames_out += 1
            self._tally.work.add(seconds)
            if self._tally.error is not None:
                self._tally.error = None
                log.warning("%s: takes frames again", self.name)
        self._pause = _FIRST_PAUSE
        item.sent.done(seconds)

    def _made_anew(self) -> bool:
        """Create a failed sink again; whether that worked."""
        if time.monotonic() < self._retry_at:
            return False
        try:
            self.sink = self._make()
            for source, info in self._infos.items():
                if isinstance(self.sink, Shared):
                    self.sink.opened(source, info)
        except Exception as error:
            self._failed(error)
            return False
        with self._meter.counting():
            self._tally.retries += 1
        return True

    def _failed(self, error: BaseException) -> None:
        """Drop a failed sink and schedule the next attempt."""
        sink, self.sink = self.sink, None
        if sink is not None:
            try:
                sink.close()
            except Exception as further:
                log.debug("%s: %s", self.name, further)
        said = " ".join(str(error).split()) or type(error).__name__
        with self._meter.counting():
            first = self._tally.error is None
            self._tally.error = said
        log.log(
            logging.WARNING if first else logging.DEBUG,
            "%s: %s; retrying, frames are dropped until then",
            self.name,
            said,
        )
        self._retry_at = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _closing_failed(self, error: BaseException) -> None:
        if self._policy.failing == "retry" and isinstance(error, Exception):
            log.warning("%s: %s", self.name, error)
            with self._meter.counting():
                self._tally.error = " ".join(str(error).split())
        elif self.error is None:
            self.error = error
        else:
            log.error("%s", error)

    def _finish(self) -> None:
        """Accept nothing more and drop what still waits."""
        with self._changed:
            self._over = True
            left: list[Any] = [item for item in self._queue if isinstance(item, _Waiting)]
            self._queue.clear()
            self._frames = 0
            self._changed.notify_all()
        for item in left:
            self._drop(item.sent, "failed")
        if self.error is not None:
            with self._meter.counting():
                self._tally.error = " ".join(str(self.error).split())
