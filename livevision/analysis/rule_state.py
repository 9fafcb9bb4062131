"""The state of a rule over time: since when it holds, and when it last reported."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from livevision.config.scene import Rule

MAX_GAP_S = 5.0
"""After a longer gap between frames a waiting time restarts, since the gap is unknown."""


@dataclass(frozen=True, slots=True)
class Change:
    """A rule began to hold, or ended.

    Attributes:
        began: Whether it began.
        lasted: If it ended, seconds since it began; otherwise 0.
    """

    began: bool
    lasted: float = 0.0


class RuleState:
    """The state of a rule of one source whose measure is a number: a count, a queue or a share.

    It begins once its bound has held in every frame for the rule's time, outside the cool-down and
    within the schedule. It ends with the first frame in which ``until`` holds (without ``until``:
    in which the bound does not hold), or that is outside the schedule.

    Args:
        rule: The rule.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._since: float | None = None
        self._reported: float | None = None
        self._last: float | None = None
        self._active = False

    @property
    def active(self) -> bool:
        """Whether it has begun and not ended."""
        return self._active

    def update(self, value: float, time: float, applies: bool) -> Change | None:
        """Update the state by a frame; returns the change, if any.

        Args:
            value: The measure.
            time: The frame's time in seconds of its source.
            applies: Whether the frame is within the schedule.
        """
        gap = 0.0 if self._last is None else time - self._last
        self._last = time
        if gap < 0:
            # Time starts again, such as when a file is played again.
            self._since, self._reported = None, None
        if self._active:
            return self._continue(value, time, applies)
        if gap > MAX_GAP_S:
            self._since = None
        if not applies or not self._rule.when.bound.holds(value):
            self._since = None
            return None
        if self._since is None:
            self._since = time
        cooling = self._reported is not None and time - self._reported < self._rule.cooldown
        if cooling or time - self._since < self._rule.when.seconds:
            return None
        self._active, self._reported = True, time
        return Change(began=True)

    def close(self, time: float) -> Change | None:
        """End with the source; returns the change, if any."""
        if not self._active:
            return None
        self._active = False
        return Change(began=False, lasted=0.0 if self._reported is None else time - self._reported)

    def _continue(self, value: float, time: float, applies: bool) -> Change | None:
        until, bound = self._rule.until, self._rule.when.bound
        over = not bound.holds(value) if until is None else until.holds(value)
        if applies and not over:
            if self._reported is None:
                self._reported = time
            return None
        self._active, self._since = False, None
        lasted = 0.0 if self._reported is None else time - self._reported
        return Change(began=False, lasted=lasted)


class OncePerKey:
    """Reports each crossing or visit of a track once, for one rule of one source.

    Args:
        cooldown: Seconds after a report in which others are skipped.
    """

    def __init__(self, cooldown: float) -> None:
        self._cooldown = cooldown
        self._reported: float | None = None
        self._done: set[tuple[int, float]] = set()

    def update(self, key: tuple[int, float], time: float) -> bool:
        """Whether to report a key: a track's number, and the time of its crossing or entry."""
        if key in self._done:
            return False
        if self._reported is not None and 0 <= time - self._reported < self._cooldown:
            return False
        self._reported = time
        self._done.add(key)
        return True

    def keep(self, keys: Iterable[tuple[int, float]]) -> None:
        """Forget all other keys."""
        self._done &= set(keys)


class Window:
    """The crossings within a time window.

    Args:
        seconds: Length of the window.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._kept: deque[tuple[float, int, str]] = deque()

    def add(self, time: float, track: int, name: str) -> None:
        """Add a crossing of a track of a class."""
        self._kept.append((time, track, name))

    def at(self, time: float) -> list[tuple[int, str]]:
        """Tracks and classes of the crossings in the window that ends at a time."""
        while self._kept and not 0 <= time - self._kept[0][0] <= self._seconds:
            self._kept.popleft()
        return [(track, name) for _, track, name in self._kept]
