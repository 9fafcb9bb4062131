"""The link between two stages: a bounded, closable queue that counts what it drops.

Either the writer waits (files: no frame is lost) or a new frame replaces the waiting one of its
source (live: the freshest frame wins). Each ``put`` says which, since one run may read files and
cameras together. Messages that are not frames are never dropped and never wait.

A link is fair: a newer live frame takes the position of the older one, so that a fast source does
not lose its turn. Waiting writers do not count live frames, which never make room; they hold one
position among them, as each live source does, and get room in the order they came.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

_ALONE = 10  # waited-for frames in a row after which the link assumes no live source


class Closed(Exception):
    """The link is closed and, for a reader, empty."""


@dataclass(slots=True)
class _Held(Generic[T]):
    """An item of the link: a frame of a source, or a message, which has no source."""

    item: T
    source: int | None = None
    live: bool = False


class Channel(Generic[T]):
    """A first-in first-out queue of at most ``capacity`` frames, from any threads to one.

    Args:
        capacity: Frames of waiting writers before the next one waits; one if live frames come too.
            Each live source has at most one frame in the link.
        on_drop: Called with each dropped frame and the cause: ``"late"`` (replaced by a newer
            frame) or ``"stopped"`` (the link was aborted). The lock is held: it must be quick and
            must not use the link.
    """

    def __init__(self, capacity: int, on_drop: Callable[[T, str], None]) -> None:
        if capacity < 1:
            raise ValueError(f"a link holds at least one frame, not {capacity}")
        self._capacity = capacity
        self._on_drop = on_drop
        self._items: deque[_Held[T]] = deque()
        self._live, self._waited = 0, 0  # frames held of either kind
        self._alone = _ALONE  # waited-for frames since the last live one
        self._writers: deque[object] = deque()  # writers waiting for room, in order
        self._closed = False
        lock = threading.Lock()
        self._readable = threading.Condition(lock)
        self._writable = threading.Condition(lock)

    def put(self, frame: T, source: int, *, freshest: bool) -> None:
        """Append a frame, waiting for room, or replace the source's waiting one.

        Raises:
            Closed: The link was closed before or during the wait; the frame is not taken.
        """
        with self._readable:
            if not freshest:
                self._wait_for_room()
            if self._closed:
                raise Closed
            if freshest:
                self._alone = 0
                if self._replace(frame, source):
                    return
                self._live += 1
            else:
                self._waited += 1
                self._alone += 1
            self._items.append(_Held(frame, source, freshest))
            self._readable.notify()

    def tell(self, message: T) -> None:
        """Append a message. Never waits; it is lost only if the link is closed."""
        with self._readable:
            if self._closed:
                raise Closed
            self._items.append(_Held(message))
            self._readable.notify()

    def get(self, timeout: float | None = None) -> T:
        """Take the oldest item, waiting until there is one.

        Raises:
            Closed: The link is closed and empty.
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
            return self._take()

    def take(self, count: int) -> list[T]:
        """Take the ``count`` oldest items if there are that many and all are frames, else none."""
        with self._readable:
            if len(self._items) < count:
                return []
            if any(self._items[position].source is None for position in range(count)):
                return []
            return [self._take() for _ in range(count)]

    def close(self) -> None:
        """Accept nothing more. What is in the link can still be read."""
        with self._readable:
            self._closed = True
            self._readable.notify_all()
            self._writable.notify_all()

    def abort(self) -> None:
        """Close the link and drop its contents."""
        with self._readable:
            self._closed = True
            for held in self._items:
                if held.source is not None:
                    self._on_drop(held.item, "stopped")
            self._items.clear()
            self._live = self._waited = 0
            self._readable.notify_all()
            self._writable.notify_all()

    def _wait_for_room(self) -> None:
        """Wait, after earlier writers, until there is room or the link is closed."""
        if not self._writers and self._has_room():
            return
        mine = object()
        self._writers.append(mine)
        try:
            while not self._closed and not (self._writers[0] is mine and self._has_room()):
                self._writable.wait()
        finally:
            self._writers.remove(mine)
            if self._writers:
                self._writable.notify_all()

    def _has_room(self) -> bool:
        return self._waited < (self._capacity if self._alone >= _ALONE else 1)

    def _take(self) -> T:
        held = self._items.popleft()
        if held.source is not None:
            if held.live:
                self._live -= 1
            else:
                self._waited -= 1
            if self._writers:
                self._writable.notify_all()
        return held.item

    def _replace(self, frame: T, source: int) -> bool:
        """Replace the waiting frame of a live source, if there is one."""
        for held in self._items if self._live else ():
            if held.live and held.source == source:
                self._on_drop(held.item, "late")
                held.item = frame
                return True
        return False
