"""Rate limits by client, in bounded memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque

_MAX_PEERS = 4096


class TooMany(Exception):
    """A client sends too many requests.

    Attributes:
        wait: Seconds until the next request is allowed.
    """

    def __init__(self, wait: float) -> None:
        super().__init__(f"too many requests; try again in {wait:.0f} s")
        self.wait = wait


class Attempts:
    """Counts failed attempts of each client within a time window.

    Args:
        most: Failures from which a client is refused.
        within: Length of the window in seconds.
    """

    def __init__(self, most: int, within: float) -> None:
        self._most, self._within = most, within
        self._peers: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, peer: str) -> None:
        """Check that a client may try.

        Raises:
            TooMany: It has failed too often.
        """
        now = time.monotonic()
        with self._lock:
            times = self._peers.get(peer)
            while times and now - times[0] > self._within:
                times.popleft()
            if times and len(times) >= self._most:
                raise TooMany(times[0] + self._within - now)

    def note(self, peer: str) -> None:
        """Count a failure of a client."""
        with self._lock:
            self._peers.setdefault(peer, deque(maxlen=self._most)).append(time.monotonic())
            self._peers.move_to_end(peer)
            while len(self._peers) > _MAX_PEERS:
                self._peers.popitem(last=False)


class Rate:
    """A token bucket for each client.

    Args:
        burst: Size of the bucket: requests allowed at once.
        per_second: Requests a second by which it refills.
    """

    def __init__(self, burst: int, per_second: float) -> None:
        self._burst, self._per_second = float(burst), per_second
        self._peers: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, peer: str) -> None:
        """Count a request of a client.

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
            while len(self._peers) > _MAX_PEERS:
                self._peers.popitem(last=False)
