"""Bounds on how often somebody may do something, in bounded memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque

_MOST_PEERS = 4096


class TooMany(Exception):
    """Somebody asks too often.

    Attributes:
        wait: Seconds after which it may be tried again.
    """

    def __init__(self, wait: float) -> None:
        super().__init__(f"too many requests; try again in {wait:.0f} s")
        self.wait = wait


class Attempts:
    """Failures of each peer within a time.

    Args:
        most: After so many nothing is taken any more.
        within: Seconds after which one is forgotten.
    """

    def __init__(self, most: int, within: float) -> None:
        self._most, self._within = most, within
        self._peers: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, peer: str) -> None:
        """See that a peer may try.

        Raises:
            TooMany: It failed too often.
        """
        now = time.monotonic()
        with self._lock:
            times = self._peers.get(peer)
            while times and now - times[0] > self._within:
                times.popleft()
            if times and len(times) >= self._most:
                raise TooMany(times[0] + self._within - now)

    def note(self, peer: str) -> None:
        """A peer has failed."""
        with self._lock:
            self._peers.setdefault(peer, deque(maxlen=self._most)).append(time.monotonic())
            self._peers.move_to_end(peer)
            while len(self._peers) > _MOST_PEERS:
                self._peers.popitem(last=False)


class Rate:
    """A bucket for each peer: so many at once, and so many a second in the long run.

    Args:
        burst: Most at once.
        per_second: How many are allowed again in a second.
    """

    def __init__(self, burst: int, per_second: float) -> None:
        self._burst, self._per_second = float(burst), per_second
        self._peers: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, peer: str) -> None:
        """Count one of a peer.

        Raises:
            TooMany: The bucket is empty.
        """
        now = time.monotonic()
        with self._lock:
            left, at = self._peers.get(peer, (self._burst, now))
            left = min(self._burst, left + (now - at) * self._per_second)
            if left < 1:
                raise TooMany((1 - left) / self._per_second)
            self._peers[peer] = (left - 1, now)
            self._peers.move_to_end(peer)
            while len(self._peers) > _MOST_PEERS:
                self._peers.popitem(last=False)
