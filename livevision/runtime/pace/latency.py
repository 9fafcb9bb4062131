"""The control loop that keeps latency below a target, by input size and stride.

It knows no clocks, threads or nets: it takes times and returns decisions, so the same latencies
always lead to the same decisions.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

STRIDES = (1, 2, 3, 4, 6, 8)
"""Allowed strides."""

SHARE = 0.95
"""Share of recent frames whose latency must be below the target."""

_WINDOW_S = 3.0
_ENOUGH, _FEW = 20, 5  # frames needed for a percentile: at once, and after a whole window
_LEAST_DOWN_S, _LEAST_UP_S = 2.0, 5.0  # between changes
_ROOM = 0.7  # of the target; below it a shorter stride is tried
_OWN_WORK = 0.9  # of the target; with less work than this a frame that never waits meets it
# Mean number of frames at work at the same time below which frames hardly wait for each other, and
# below which they never meet.
_CROWDED, _ALONE = 0.5, 0.25
_FIRST_BAR_S, _LONGEST_BAR_S = 10.0, 300.0


@dataclass(frozen=True, slots=True)
class Level:
    """Input size and stride; ``size`` indexes the list of sizes, 0 is the largest."""

    size: int = 0
    stride: int = 1

    def costs_no_less_than(self, other: Level) -> bool:
        """Whether it is at least as much work by both size and stride."""
        return self.size <= other.size and self.stride <= other.stride


@dataclass(slots=True)
class _Bar:
    """A level that was too slow: until when it is barred, and for how long."""

    until: float
    seconds: float


class LatencyControl:
    """Steps down when frames are late, and carefully up again when there is room.

    One lever moves one notch at a time. Down: a longer stride if frames wait for each other, a
    smaller input if a frame's own work takes too long; no longer stride if frames do not meet
    anyway, since something else delays them then. Up: a shorter stride first, then a larger input,
    if 95 % of the recent frames left room for it. A level that was too slow, and any that costs
    more, is barred for 10 seconds, and twice as long after each further failure, up to 5 minutes.

    Args:
        target: Seconds from capture to delivery.
        costs: Work of each input size, descending; only ratios count, so pixels will do.
        strides: Allowed strides, ascending.

    Attributes:
        level: The current level.
        asked: The next size, if it is not available yet; None otherwise. It waits for ``offer`` or
            ``refuse``. The first size is available from the beginning.
        exhausted: Frames are late, and no smaller level is left.
    """

    def __init__(
        self, target: float, costs: Sequence[float], strides: Sequence[int] = STRIDES
    ) -> None:
        self._target, self._costs, self._strides = target, costs, strides
        self.level = Level()
        self.asked: int | None = None
        self.exhausted = False
        self._at_hand = {0}
        self._refused: set[int] = set()
        self._bars: dict[Level, _Bar] = {}
        self._changed: float | None = None
        self._recent: deque[tuple[float, float]] = deque(maxlen=200)

    def delivered(self, now: float, latency: float) -> None:
        """Record a frame delivered ``latency`` seconds after its capture."""
        if self._changed is None:
            self._changed = now
        if now - latency < self._changed:
            return  # captured before the level took effect
        self._recent.append((now, latency))
        while now - self._recent[0][0] > _WINDOW_S:
            self._recent.popleft()

    def percentile(self) -> float | None:
        """The ``SHARE`` quantile of recent latencies in seconds."""
        if not self._recent:
            return None
        latencies = sorted(latency for _, latency in self._recent)
        return latencies[max(0, math.ceil(SHARE * len(latencies)) - 1)]

    def decide(self, now: float, work: float) -> Level | None:
        """The new level, if it changes.

        Args:
            now: Seconds.
            work: Seconds of work on a frame, without waiting.
        """
        late = self.percentile()
        if late is None or self._changed is None:
            return None
        since = now - self._changed
        enough = len(self._recent) >= _ENOUGH
        if not enough and (since < _WINDOW_S or len(self._recent) < _FEW):
            return None
        chosen = None
        if late > self._target:
            if since >= _LEAST_DOWN_S:
                chosen = self._down(work)
                self.exhausted = chosen is None and self.asked is None
            if chosen is not None:
                self._bar(now, since)
        else:
            self.exhausted = False
            if since >= _LEAST_UP_S:
                chosen = self._up(now, late)
        if chosen is not None:
            self.level, self._changed = chosen, now
            self._recent.clear()
        return chosen

    def offer(self, size: int) -> None:
        """A requested size is available from now on."""
        self._at_hand.add(size)
        self.asked = None

    def refuse(self, size: int) -> None:
        """A requested size is not available; it is not requested again."""
        self._refused.add(size)
        self.asked = None

    def _rate(self) -> float:
        """Recent frames per second; 0 for too few frames."""
        if len(self._recent) < 2:
            return 0.0
        return (len(self._recent) - 1) / max(self._recent[-1][0] - self._recent[0][0], 1e-6)

    def _down(self, work: float) -> Level | None:
        level = self.level
        at_work = work * self._rate()
        longer = next((Level(level.size, s) for s in self._strides if s > level.stride), None)
        if at_work < _ALONE:
            longer = None  # other frames are not what delays them
        if longer is not None and work <= _OWN_WORK * self._target and at_work > _CROWDED:
            return longer
        smaller = next(
            (s for s in range(level.size + 1, len(self._costs)) if s not in self._refused), None
        )
        if smaller is None:
            return longer
        if smaller in self._at_hand:
            return Level(smaller, level.stride)
        self.asked = smaller
        return None

    def _up(self, now: float, late: float) -> Level | None:
        level = self.level
        steps = []
        if late <= _ROOM * self._target:
            steps += [Level(level.size, s) for s in self._strides if s < level.stride][-1:]
        for size in [s for s in sorted(self._at_hand) if s < level.size][-1:]:
            if late * self._costs[size] / self._costs[level.size] <= self._target:
                steps.append(Level(size, level.stride))
        barred = [bad for bad, bar in self._bars.items() if now < bar.until]
        return next(
            (s for s in steps if not any(s.costs_no_less_than(bad) for bad in barred)), None
        )

    def _bar(self, now: float, since: float) -> None:
        """Bar the level that was in effect for ``since`` seconds and is too slow."""
        before = self._bars.get(self.level)
        seconds = _FIRST_BAR_S
        # A level that worked for long fails for a new reason: forget earlier bars.
        if before is not None and since < before.seconds:
            seconds = min(2 * before.seconds, _LONGEST_BAR_S)
        self._bars[self.level] = _Bar(now + seconds, seconds)
