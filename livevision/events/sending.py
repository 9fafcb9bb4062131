"""Delivers the events of a store to one receiver: in order, and each at least once."""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from livevision.events.store import EventStore, Stored

if TYPE_CHECKING:
    from livevision.config.scene import Rule

log = logging.getLogger(__name__)

_FIRST_S, _LONGEST_S = 0.5, 60.0
_IDLE_S = 5.0
_BATCH = 50


class SendError(Exception):
    """Something could not be delivered now.

    Args:
        reason: Why, for messages.
        done: How many of the batch were delivered before.
        refused: Whether the receiver will never take the one that failed; it is passed over.
        after: Seconds that the receiver asked to wait; None where it did not.
        came_near: The receiver was there a moment ago, so that it is tried again soon.
    """

    def __init__(
        self,
        reason: str,
        done: int = 0,
        *,
        refused: bool = False,
        after: float | None = None,
        came_near: bool = False,
    ) -> None:
        super().__init__(reason)
        self.done, self.refused, self.after, self.came_near = done, refused, after, came_near


class Sender(ABC):
    """Brings events to a receiver. Used by one thread, but for ``watching``.

    Attributes:
        name: What it is called in the store and in messages: the receiver, without secrets.
    """

    name: str

    @abstractmethod
    def send(self, events: Sequence[Stored]) -> None:
        """Deliver events in their order; returns once the receiver has them all.

        Raises:
            SendError: It has not; ``done`` tells how many it has.
        """

    def watching(self, source: str, rules: Sequence[Rule]) -> None:  # noqa: B027
        """Learn which rules a source has from now on; called from any thread."""

    def attend(self) -> None:  # noqa: B027
        """Called now and then where there is nothing to deliver.

        Raises:
            SendError: The receiver cannot be reached.
        """

    @abstractmethod
    def close(self) -> None: ...


class Delivery:
    """A thread that delivers what is in a store through one sender.

    It begins behind what was delivered before, also in an earlier process. What fails is tried
    again after a time that doubles with each failure, up to a minute, and of which a random part is
    waited, so that many do not come at once.

    Args:
        store: Where the events are.
        sender: Brings them to the receiver.
        first: Seconds to wait after the first failure, at most.

    Attributes:
        sent: Events that were delivered.
        failures: Attempts that failed.
        refused: Events that the receiver will not take.
    """

    def __init__(self, store: EventStore, sender: Sender, first: float = _FIRST_S) -> None:
        self._store, self._sender, self._first = store, sender, first
        self.sent = self.failures = self.refused = 0
        self._stop = threading.Event()
        self._drained = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"to {sender.name}", daemon=True)
        self._thread.start()

    def watching(self, source: str, rules: Sequence[Rule]) -> None:
        """Tell the receiver, where it wants to know, which rules a source has from now on."""
        self._sender.watching(source, rules)
        self._store.wake()

    def close(self, seconds: float = 2.0) -> None:
        """Deliver what is there, but wait for that no longer than this; the rest stays stored."""
        self._drained.clear()
        self._store.wake()
        self._drained.wait(seconds)
        self._stop.set()
        self._store.wake()
        self._thread.join(seconds)
        self._sender.close()

    def _run(self) -> None:
        seq, failed = None, 0
        while not self._stop.is_set():
            try:
                if seq is None:
                    seq = self._store.position(self._sender.name)
                events = self._store.after(seq, _BATCH)
                if not events:
                    self._drained.set()
                    self._sender.attend()
                    failed = 0
                    self._store.waited(_IDLE_S)
                    continue
                seq = self._deliver(events)
                failed = 0
            except (SendError, sqlite3.Error) as error:
                if isinstance(error, sqlite3.Error):
                    seq = None
                elif error.done:
                    seq, failed = self._after(events, error.done), 0
                elif error.came_near:
                    failed = 0
                if self._stop.is_set():
                    return
                self._wait(error, failed)
                failed += 1

    def _deliver(self, events: Sequence[Stored]) -> int:
        """Send, and keep how far that came; the place behind what is done with.

        Raises:
            SendError: Not all was delivered; what was, is kept.
        """
        try:
            self._sender.send(events)
        except SendError as error:
            if error.refused:
                self.refused += 1
                at = events[error.done]
                log.error("%s does not take event %s: %s", self._sender.name, at.id, error)
                self.sent += error.done
                self._store.delivered(self._sender.name, at.seq)
                return at.seq
            if error.done:
                self.sent += error.done
                self._store.delivered(self._sender.name, events[error.done - 1].seq)
            raise
        self.sent += len(events)
        self._store.delivered(self._sender.name, events[-1].seq)
        return events[-1].seq

    @staticmethod
    def _after(events: Sequence[Stored], done: int) -> int:
        return events[done - 1].seq

    def _wait(self, error: Exception, failed: int) -> None:
        self.failures += 1
        longest = min(_LONGEST_S, self._first * 2 ** min(failed, 16))
        seconds = random.uniform(longest / 2, longest)
        asked = getattr(error, "after", None)
        if asked is not None:
            seconds = max(seconds, min(asked, _LONGEST_S))
        level = logging.WARNING if failed == 0 else logging.DEBUG
        log.log(level, "%s: %s; trying again in %.1f s", self._sender.name, error, seconds)
        self._stop.wait(seconds)
