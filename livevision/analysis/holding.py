"""What a rule has to know over time: since when it holds, and when it told of that."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from livevision.config.scene import Rule

LONGEST_GAP_S = 5.0
"""Nobody knows what was between frames further apart; what has to last begins anew."""


@dataclass(frozen=True, slots=True)
class Change:
    """A rule began or ceased to hold.

    Attributes:
        began: Whether it began.
        lasted: Seconds since it was told to have begun; 0 where it begins.
    """

    began: bool
    lasted: float = 0.0


class Holding:
    """One rule of one source whose measure is a number: a count, a queue or a share.

    It begins once the bound has held in every frame for as long as the rule says, outside the
    cool-down and within the schedule. It ends with the first frame that ``until`` holds in, or that
    the bound does not hold in where there is no ``until``, or that is outside the schedule.

    Args:
        rule: The rule.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._since: float | None = None
        self._told: float | None = None
        self._last: float | None = None
        self._active = False

    @property
    def active(self) -> bool:
        """Whether it was told to hold, and not yet to have ended."""
        return self._active

    def see(self, value: float, time: float, applies: bool) -> Change | None:
        """What a frame changes.

        Args:
            value: The measure.
            time: The frame's, in seconds of its source.
            applies: Whether the frame is within the schedule.
        """
        gap = 0.0 if self._last is None else time - self._last
        self._last = time
        if gap < 0:
            # Time begins anew, as where a file is played again.
            self._since, self._told = None, None
        if self._active:
            return self._go_on(value, time, applies)
        if gap > LONGEST_GAP_S:
            self._since = None
        if not applies or not self._rule.when.bound.holds(value):
            self._since = None
            return None
        if self._since is None:
            self._since = time
        cooling = self._told is not None and time - self._told < self._rule.cooldown
        if cooling or time - self._since < self._rule.when.seconds:
            return None
        self._active, self._told = True, time
        return Change(began=True)

    def close(self, time: float) -> Change | None:
        """What the end of the source changes."""
        if not self._active:
            return None
        self._active = False
        return Change(began=False, lasted=0.0 if self._told is None else time - self._told)

    def _go_on(self, value: float, time: float, applies: bool) -> Change | None:
        until, bound = self._rule.until, self._rule.when.bound
        over = not bound.holds(value) if until is None else until.holds(value)
        if applies and not over:
            if self._told is None:
                self._told = time
            return None
        self._active, self._since = False, None
        lasted = 0.0 if self._told is None else time - self._told
        return Change(began=False, lasted=lasted)


class Once:
    """One rule of one source that tells of each thing once: a crossing, or a track that stays.

    Args:
        cooldown: Seconds after one in which others are passed over.
    """

    def __init__(self, cooldown: float) -> None:
        self._cooldown = cooldown
        self._told: float | None = None
        self._done: set[tuple[int, float]] = set()

    def see(self, key: tuple[int, float], time: float) -> bool:
        """Whether to tell of a thing: a track's number, and when it came."""
        if key in self._done:
            return False
        if self._told is not None and 0 <= time - self._told < self._cooldown:
            return False
        self._told = time
        self._done.add(key)
        return True

    def keep(self, keys: Iterable[tuple[int, float]]) -> None:
        """Forget all but these."""
        self._done &= set(keys)


class Window:
    """Crossings of the last seconds.

    Args:
        seconds: How many.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._kept: deque[tuple[float, int, str]] = deque()

    def add(self, time: float, track: int, name: str) -> None:
        """A track of a class has crossed."""
        self._kept.append((time, track, name))

    def at(self, time: float) -> list[tuple[int, str]]:
        """Tracks and classes within the window that ends now."""
        while self._kept and not 0 <= time - self._kept[0][0] <= self._seconds:
            self._kept.popleft()
        return [(track, name) for _, track, name in self._kept]
