"""Delivery of events from a store to a receiver: in order, and each at least once."""

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
    """A delivery that failed.

    Args:
        reason: Cause, for messages.
        done: Events of the batch that were delivered before.
        refused: Whether the receiver will never accept the next event; it is skipped.
        after: Seconds that the receiver asked to wait; None if it did not.
        reached: Whether the receiver was reached, so that the next retry is soon.
    """

    def __init__(
        self,
        reason: str,
        done: int = 0,
        *,
        refused: bool = False,
        after: float | None = None,
        reached: bool = False,
    ) -> None:
        super().__init__(reason)
        self.done, self.refused, self.after, self.reached = done, refused, after, reached


class Sender(ABC):
    """Sends events to a receiver. Used by one thread, except ``rules_changed``.

    Attributes:
        name: The receiver without secrets; its name in the store and in messages.
    """

    name: str

    @abstractmethod
    def send(self, events: Sequence[Stored]) -> None:
        """Deliver events in order; returns once the receiver has all of them.

        Raises:
            SendError: Not all were delivered; ``done`` is the number of those that were.
        """

    def rules_changed(self, source: str, rules: Sequence[Rule]) -> None:  # noqa: B027
        """Set the rules that a source has from now on; thread-safe."""

    def keep_alive(self) -> None:  # noqa: B027
        """Called periodically while there is nothing to deliver.

        Raises:
            SendError: The receiver cannot be reached.
        """

    @abstractmethod
    def close(self) -> None: ...


class Delivery:
    """A thread that delivers the events of a store through one sender.

    It continues after the last delivered event, also of an earlier process. Failures are retried
    with exponential back-off up to a minute, and jitter, so that clients do not retry at once.

    Args:
        store: The store.
        sender: Sends the events.
        first: Maximum pause after the first failure, in seconds.

    Attributes:
        sent: Delivered events.
        failures: Failed attempts.
        refused: Events that the receiver refused and that were skipped.
    """

    def __init__(self, store: EventStore, sender: Sender, first: float = _FIRST_S) -> None:
        self._store, self._sender, self._first = store, sender, first
        self.sent = self.failures = self.refused = 0
        self._stop = threading.Event()
        self._drained = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"to {sender.name}", daemon=True)
        self._thread.start()

    def rules_changed(self, source: str, rules: Sequence[Rule]) -> None:
        """Pass on the rules that a source has from now on."""
        self._sender.rules_changed(source, rules)
        self._store.wake()

    def close(self, seconds: float = 2.0) -> None:
        """Deliver the stored events within a time limit, and stop; the rest stays in the store."""
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
                    self._sender.keep_alive()
                    failed = 0
                    self._store.wait(_IDLE_S)
                    continue
                seq = self._deliver(events)
                failed = 0
            except (SendError, sqlite3.Error) as error:
                if isinstance(error, sqlite3.Error):
                    seq = None
                elif error.done:
                    seq, failed = self._after(events, error.done), 0
                elif error.reached:
                    failed = 0
                if self._stop.is_set():
                    return
                self._wait(error, failed)
                failed += 1

    def _deliver(self, events: Sequence[Stored]) -> int:
        """Send events and save the sender's position; returns it.

        Raises:
            SendError: Not all were delivered; the position of those that were is saved.
        """
        try:
            self._sender.send(events)
        except SendError as error:
            if error.refused:
                self.refused += 1
                at = events[error.done]
                log.error("%s refuses event %s: %s", self._sender.name, at.id, error)
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
        requested = getattr(error, "after", None)
        if requested is not None:
            seconds = max(seconds, min(requested, _LONGEST_S))
        level = logging.WARNING if failed == 0 else logging.DEBUG
        log.log(level, "%s: %s; retrying in %.1f s", self._sender.name, error, seconds)
        self._stop.wait(seconds)
