"""The life of a source: connecting, live, retrying, ended; and the one back-off between attempts.

    connecting ──► live ◄──► retrying ──► ended

A source keeps its ``Life`` as it goes, on whatever thread; anybody reads ``Life.now`` at any moment
on another. Whoever is going to open a source may make its life first (``SourceOptions.life``): then
it can be read, and closed, while the source is still being opened.
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
_CLOSING_S = 0.3  # what threads that may sit in a call are waited for


@dataclass(frozen=True, slots=True)
class Vitals:
    """A source at one moment.

    Attributes:
        state: "connecting" until the first attempt to open it is over, "live" while frames come,
            "retrying" while it is tried to reach it again, "ended" once no frame will come.
        since: ``time.monotonic()`` at which the state became this one.
        retries: How often it was tried to reach the source again, in all.
        lag: Seconds that the newest frame was behind the source's own clock; None where that is
            not known, and while no frames come.
        why: What brought the last loss or the end, in words without passwords; "" before any.
    """

    state: State = "connecting"
    since: float = 0.0
    retries: int = 0
    lag: float | None = None
    why: str = ""


class Life:
    """Where a source is in its life; every method may be called on any thread.

    Attributes:
        closing: Set once the source is to end; waits of the source's own end with it.
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
        """The source at this moment; the value does not change any more."""
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

    # What the source notes.

    def came(self, lag: float | None = None) -> None:
        """Note that a frame came, or that the source is open and cannot break."""
        with self._lock:
            if self._enter("live"):
                self._lag = lag

    def lost(self, why: str) -> None:
        """Note that the source does not answer, and that it will be tried again."""
        with self._lock:
            if self._enter("retrying"):
                self._lag, self._why = None, why

    def tried(self) -> None:
        """Count an attempt to reach the source again."""
        with self._lock:
            self._retries += 1

    def end(self, why: str) -> None:
        """Note that no frame will come any more; the first reason counts."""
        with self._lock:
            if self._state != "ended" and self._enter("ended"):
                self._lag, self._why = None, why

    def _enter(self, state: State) -> bool:
        """Change to a state; nothing leads back from the end."""
        if state != self._state:
            if self._state == "ended":
                return False
            self._state, self._since = state, time.monotonic()
        return True

    @contextmanager
    def opening(self) -> Iterator[None]:
        """The opening of a source: it is live behind it, or has ended with the error raised.

        Where one opener failed and another is tried, the life begins anew.

        Raises:
            SourceError: The life was closed before.
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
        """A source's frames, whose end or error is the end of its life."""
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

    # What others ask of it.

    def close(self) -> None:
        """Have the source end, as soon as it can; returns at once.

        What is being opened gives up, and what waits wakes. ``Source.close`` calls this, and then
        waits a moment for what the source still holds.
        """
        with self._lock:
            self._closed_at = self._closed_at or time.monotonic()
            self.closing.set()
        self.end("closed")

    def patience(self, seconds: float = _CLOSING_S) -> float:
        """Seconds left of those that a closing source is waited for, at least 0.

        They count from the first ``close``, so that sources which were told together are waited
        for together.
        """
        if not self._closed_at:
            return seconds
        return max(0.0, self._closed_at + seconds - time.monotonic())


class BackOff:
    """The pauses between attempts to reach a source: 0.5 s, doubling to 10 s.

    The first loss is a warning, further attempts are told at the level of debugging, and the
    coming back is one line again.

    Args:
        life: Is told of it all; closing it ends a pause at once.
        name: What to call the source in messages.
        retry_for: Seconds without a frame after which it is given up.
    """

    def __init__(self, life: Life, name: str, retry_for: float) -> None:
        self._life, self._name, self._retry_for = life, name, retry_for
        self._waiting_since = time.monotonic()
        self._pause = FIRST_PAUSE_S
        self._lost = False
        self.connected = False
        """Whether any frame ever came."""

    def asking(self) -> None:
        """A frame is waited for from now on: what the time before was spent on is no loss."""
        self._waiting_since = time.monotonic()

    def came(self, lag: float | None = None) -> bool:
        """Note a frame; whether the source is back with it after frames and a loss."""
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
            why: What went wrong, in words.

        Returns:
            False, at once, where ``retry_for`` seconds are over: the source is to be given up.
        """
        if self._life.closing.is_set():
            return True
        left = self._waiting_since + self._retry_for - time.monotonic()
        if left <= 0:
            return False
        level = logging.DEBUG if self._lost else logging.WARNING
        log.log(level, "%s: %s; trying again for %.0f s", self._name, why, left)
        self._lost = True
        self._life.lost(why)
        if not self._life.closing.wait(min(self._pause, left)):
            self._life.tried()
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        return True


class Living(Protocol):
    """Anything with a life that can be closed: every source."""

    life: Life

    def close(self) -> None: ...


def close_all(sources: Iterable[Living]) -> None:
    """Close sources together: all are told first, and waited for then."""
    sources = list(sources)
    for source in sources:
        source.life.close()
    for source in sources:
        source.close()
