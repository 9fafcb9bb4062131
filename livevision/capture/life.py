"""The life of a source (connecting, live, retrying, ended) and the back-off between attempts.

    connecting ──► live ◄──► retrying ──► ended

A source updates its ``Life`` on whatever thread it runs; any other thread reads ``Life.now``. The
life may be created before its source (``SourceOptions.life``), so that a source can be observed and
closed while it is still being opened.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from livevision.errors import SourceError

if TYPE_CHECKING:
    from livevision.frame import Frame

log = logging.getLogger(__name__)

State = Literal["connecting", "live", "retrying", "ended"]

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0
_CLOSING_S = 0.3  # seconds to wait for threads that may be blocked in a call


@dataclass(frozen=True, slots=True)
class Vitals:
    """State of a source at one moment.

    Attributes:
        state: "connecting" until the first attempt to open it is over, "live" while frames come,
            "retrying" while it is being reconnected, "ended" once no more frames will come.
        since: ``time.monotonic()`` of the last state change.
        retries: Total number of reconnection attempts.
        lag: Seconds that the newest frame was behind the source's own clock; None if unknown, and
            while no frames come.
        why: Reason of the last loss or of the end, without passwords; "" before any.
    """

    state: State = "connecting"
    since: float = 0.0
    retries: int = 0
    lag: float | None = None
    why: str = ""


class Life:
    """State machine of a source; every method may be called on any thread.

    Attributes:
        closing: Set when the source is to end; its waits end with it.
    """

    def __init__(self) -> None:
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._closed_at = 0.0
        self._state: State = "connecting"
        self._since = time.monotonic()
        self._retries, self._why = 0, ""
        self._lag: float | None = None

    @property
    def now(self) -> Vitals:
        """The current state, as an immutable value."""
        with self._lock:
            return Vitals(self._state, self._since, self._retries, self._lag, self._why)

    @property
    def state(self) -> State:
        return self.now.state

    @property
    def since(self) -> float:
        return self.now.since

    @property
    def retries(self) -> int:
        return self.now.retries

    @property
    def lag(self) -> float | None:
        return self.now.lag

    @property
    def why(self) -> str:
        return self.now.why

    # Called by the source.

    def came(self, lag: float | None = None) -> None:
        """Record that a frame came, or that the source is open and cannot fail."""
        with self._lock:
            if self._enter("live"):
                self._lag = lag

    def lost(self, why: str) -> None:
        """Record that the source does not answer and will be retried."""
        with self._lock:
            if self._enter("retrying"):
                self._lag, self._why = None, why

    def tried(self) -> None:
        """Count a reconnection attempt."""
        with self._lock:
            self._retries += 1

    def end(self, why: str) -> None:
        """Record that no more frames will come; the first reason is kept."""
        with self._lock:
            if self._state != "ended" and self._enter("ended"):
                self._lag, self._why = None, why

    def _enter(self, state: State) -> bool:
        """Change the state; nothing leaves "ended"."""
        if state != self._state:
            if self._state == "ended":
                return False
            self._state, self._since = state, time.monotonic()
        return True

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Context of opening the source: leaves it live, or ended with the error raised.

        If one opener failed and another is tried, the life starts again.

        Raises:
            SourceError: The life was already closed.
        """
        try:
            if self.closing.is_set():
                raise SourceError("given up before it was opened")
            with self._lock:
                if self._state == "ended":
                    self._state, self._since = "connecting", time.monotonic()
            yield
        except BaseException as error:
            self.end(str(error) or type(error).__name__)
            raise
        if self.now.state == "connecting":
            self.came()

    def followed(self, frames: Generator[Frame]) -> Iterator[Frame]:
        """The source's frames; their end or error ends the life."""
        with closing(frames):
            try:
                yield from frames
            except GeneratorExit:
                self.end("closed")
                raise
            except BaseException as error:
                self.end(str(error) or type(error).__name__)
                raise
            self.end("closed" if self.closing.is_set() else "all its frames have been read")

    # Called by others.

    def close(self) -> None:
        """Ask the source to end as soon as possible; returns at once.

        Opening and waiting are interrupted. ``Source.close`` calls this, then waits briefly for
        what the source still holds.
        """
        with self._lock:
            self._closed_at = self._closed_at or time.monotonic()
            self.closing.set()
        self.end("closed")

    def patience(self, seconds: float = _CLOSING_S) -> float:
        """Seconds left to wait for a closing source, at least 0.

        They count from the first ``close``, so that sources closed together are waited for
        together.
        """
        if not self._closed_at:
            return seconds
        return max(0.0, self._closed_at + seconds - time.monotonic())


class BackOff:
    """The back-off between reconnection attempts: 0.5 s, doubling to 10 s.

    The first loss is logged as a warning, further attempts at debug level, and the recovery once.

    Args:
        life: Is updated; closing it ends a pause at once.
        name: The source's name in messages.
        retry_for: Seconds without a frame after which to give up.
    """

    def __init__(self, life: Life, name: str, retry_for: float) -> None:
        self._life, self._name, self._retry_for = life, name, retry_for
        self._waiting_since = time.monotonic()
        self._pause = FIRST_PAUSE_S
        self._lost = False
        self.connected = False
        """Whether any frame has come."""

    def asking(self) -> None:
        """Start waiting for a frame now: earlier time does not count as lost."""
        self._waiting_since = time.monotonic()

    def came(self, lag: float | None = None) -> bool:
        """Record a frame; whether it is the first after a loss."""
        back, self._lost = self._lost, False
        again = back and self.connected
        if back:
            log.warning("%s: connected%s", self._name, " again" if again else "")
        self._pause, self.connected = FIRST_PAUSE_S, True
        self._waiting_since = time.monotonic()
        self._life.came(lag)
        return again

    def wait(self, why: str) -> bool:
        """Wait before the next attempt, or until the source is closed.

        Args:
            why: What went wrong.

        Returns:
            False, at once, when ``retry_for`` seconds are over: give the source up.
        """
        if self._life.closing.is_set():
            return True
        left = self._waiting_since + self._retry_for - time.monotonic()
        if left <= 0:
            return False
        level = logging.DEBUG if self._lost else logging.WARNING
        log.log(level, "%s: %s; retrying for %.0f s", self._name, why, left)
        self._lost = True
        self._life.lost(why)
        if not self._life.closing.wait(min(self._pause, left)):
            self._life.tried()
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        return True


class Living(Protocol):
    """Anything with a life that can be closed, such as a source."""

    life: Life

    def close(self) -> None: ...


def close_all(sources: Iterable[Living]) -> None:
    """Close sources together: signal all first, then wait."""
    sources = list(sources)
    for source in sources:
        source.life.close()
    for source in sources:
        source.close()
