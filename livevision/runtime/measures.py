"""Durations, rates and time spans in bounded memory, however long a run lasts."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np

RECENT_S = 2.0
"""Seconds over which displayed rates are averaged."""


class Histogram:
    """Durations in buckets 1 % wide, from 1 µs to about 20 minutes; quantiles within 1 %."""

    _LOWEST = 1e-6
    _GROWTH = math.log(1.01)
    _BUCKETS = 2100

    def __init__(self) -> None:
        self._counts = np.zeros(self._BUCKETS, np.int64)
        self.count = 0
        self.total = 0.0

    def add(self, seconds: float) -> None:
        bucket = int(math.log(max(seconds, self._LOWEST) / self._LOWEST) / self._GROWTH)
        self._counts[min(bucket, self._BUCKETS - 1)] += 1
        self.count += 1
        self.total += seconds

    @property
    def mean(self) -> float:
        """Mean in seconds; 0 if empty."""
        return self.total / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """The quantile ``share`` (0..1) in seconds."""
        if not self.count:
            return 0.0
        rank = max(1, math.ceil(share * self.count))
        bucket = int(np.searchsorted(np.cumsum(self._counts), rank))
        return self._LOWEST * math.exp((bucket + 0.5) * self._GROWTH)

    def below(self, bounds: Sequence[float]) -> list[int]:
        """How many durations were at or below each bound in seconds, as Prometheus counts them."""
        buckets = [math.log(max(b, self._LOWEST) / self._LOWEST) / self._GROWTH for b in bounds]
        sums = np.cumsum(self._counts)
        return [
            int(sums[min(int(bucket), self._BUCKETS) - 1]) if bucket >= 1 else 0
            for bucket in buckets
        ]

    def as_ms(self) -> dict[str, float]:
        """Mean, p50, p95 and p99 in milliseconds."""
        return {
            "mean": round(self.mean * 1e3, 3),
            "p50": round(self.quantile(0.50) * 1e3, 3),
            "p95": round(self.quantile(0.95) * 1e3, 3),
            "p99": round(self.quantile(0.99) * 1e3, 3),
        }


class RecentRate:
    """Events per second over the last ``RECENT_S`` seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=1000)

    def add(self, now: float) -> None:
        self._times.append(now)
        while now - self._times[0] > RECENT_S:
            self._times.popleft()

    def per_second(self, now: float) -> float:
        """0 until two events are in the window; falls when events stop."""
        times = self._times
        while times and now - times[0] > RECENT_S:
            times.popleft()
        if len(times) < 2:
            return 0.0
        # Between events the span ends at the newest one; if they stop, it extends to now.
        span, gap = times[-1] - times[0], now - times[-1]
        typical = span / (len(times) - 1)
        return (len(times) - 1) / (span if gap < 2 * typical else span + gap) if span else 0.0


class Span:
    """First and last time of an event, and the number of events."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.last = 0.0
        self.count = 0

    def add(self, now: float) -> None:
        self.first = now if self.first is None else self.first
        self.last = now
        self.count += 1

    def per_second(self) -> float | None:
        """Mean rate; None for fewer than two events."""
        if self.first is None or self.count < 2 or self.last <= self.first:
            return None
        return (self.count - 1) / (self.last - self.first)
