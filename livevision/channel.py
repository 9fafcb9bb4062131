"""The link between two stages: bounded, closable, and honest about what it drops.

A link either makes the writer wait (files: no frame is lost) or lets a new frame push out the
oldest one of the same source (live: the freshest frame wins). Which of the two is said with each
``put``, since one run may read files and cameras at once. Messages that are not frames are never
dropped and never wait.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(Exception):
    """The link is closed and, for a reader, empty."""


class Channel(Generic[T]):
    """A first-in first-out link of at most ``capacity`` frames, from any threads to one.

    Args:
        capacity: Frames held before a writer waits. Of a source whose frames push each other out
            it holds one, whatever the capacity.
        on_drop: Called with every frame that is dropped and the cause, ``"late"`` (a newer frame
            took its place) or ``"stopped"`` (the link was aborted). Called with the lock held: it
            must be quick and must not use the link.
    """

    def __init__(self, capacity: int, on_drop: Callable[[T, str], None]) -> None:
        if capacity < 1:
            raise ValueError(f"a link holds at least one frame, not {capacity}")
        self._capacity = capacity
        self._on_drop = on_drop
        self._items: deque[tuple[int | None, T]] = deque()
        self._frames = 0
        self._closed = False
        lock = threading.Lock()
        self._readable = threading.Condition(lock)
        self._writable = threading.Condition(lock)

    def put(self, frame: T, source: int, *, freshest: bool) -> None:
        """Append a frame of a source, waiting for room or pushing out the source's last one.

        Raises:
            Closed: The link was closed, before or during the wait; the frame is not taken.
        """
        with self._readable:
            if freshest:
                self._push_out(source)
            else:
                while self._frames >= self._capacity and not self._closed:
                    self._writable.wait()
            if self._closed:
                raise Closed
            self._items.append((source, frame))
            self._frames += 1
            self._readable.notify()

    def tell(self, message: T) -> None:
        """Append something that is not a frame. Never waits; lost only if the link is closed."""
        with self._readable:
            if self._closed:
                raise Closed
            self._items.append((None, message))
            self._readable.notify()

    def get(self, timeout: float | None = None) -> T:
        """Take the oldest item, waiting until there is one.

        Raises:
            Closed: The link is closed and nothing is left in it.
            TimeoutError: Nothing came within ``timeout`` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._readable:
            while not self._items:
                if self._closed:
                    raise Closed
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError
                self._readable.wait(left)
            source, item = self._items.popleft()
            if source is not None:
                self._frames -= 1
                self._writable.notify()
            return item

    def take(self, count: int) -> list[T]:
        """The ``count`` oldest items where there are so many and all are frames, else none."""
        with self._readable:
            if len(self._items) < count:
                return []
            oldest = [self._items[position] for position in range(count)]
            if any(source is None for source, _ in oldest):
                return []
            for _ in oldest:
                self._items.popleft()
            self._frames -= count
            self._writable.notify(count)
            return [item for _, item in oldest]

    def close(self) -> None:
        """Take nothing more. What is in the link can still be read."""
        with self._readable:
            self._closed = True
            self._readable.notify_all()
            self._writable.notify_all()

    def abort(self) -> None:
        """Close, and drop what is in the link."""
        with self._readable:
            self._closed = True
            for source, item in self._items:
                if source is not None:
                    self._on_drop(item, "stopped")
            self._items.clear()
            self._frames = 0
            self._readable.notify_all()
            self._writable.notify_all()

    def _push_out(self, source: int) -> None:
        for position, (owner, item) in enumerate(self._items):
            if owner == source:
                self._on_drop(item, "late")
                del self._items[position]
                self._frames -= 1
                return
