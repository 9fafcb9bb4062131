"""A backlog of videos: gives their tasks to workers until each is finished or set aside."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from livevision.fleet.films import Film, Gather, Join, Part, Task, Whole
from livevision.fleet.pool import Ended, Pool

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""Failures of a task after which its film is set aside."""

_WAITING = 2
"""Tasks that a worker has at most: the one it does, and the next."""


@dataclass
class Tally:
    """What became of a film.

    Attributes:
        film: The film.
        state: waiting, done, passed or failed.
        frames: Frames that were computed.
        parts: Parts it was divided into; 1 for none.
        error: Why it was set aside.
    """

    film: Film
    state: str = "waiting"
    frames: int = 0
    parts: int = 1
    error: str = ""
    left: int = 0
    task: Join | None = None


@dataclass
class Backlog:
    """The state of all films.

    Args:
        films: The films, in order.
        gathered: Files of results, each with the pieces that it is made of.
        pool: The workers.

    Attributes:
        tallies: What became of each film.
        reports: Reports of the runs.
        attempts: Failures by task.
        lost: Workers that were lost with a task.
    """

    films: Sequence[Film]
    gathered: Mapping[str, Sequence[str]]
    pool: Pool
    tallies: list[Tally] = field(init=False)
    reports: list[Mapping[str, Any]] = field(default_factory=list)
    attempts: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    unfinished: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tallies = [Tally(film) for film in self.films]
        self._queue: deque[Task] = deque(Whole(film) for film in self.films)
        self._given: dict[int, int] = {}
        self._told: set[str] = set()

    def step(self, seconds: float) -> bool:
        """Hand out tasks and take what has ended; False once nothing is left to do."""
        self._hand_out()
        for ended in self.pool.wait(seconds):
            self._given[ended.worker] -= 1
            self._take(ended)
        return bool(self._queue or any(self._given.values()))

    def gather(self, seconds: float) -> bool:
        """As ``step``, for the files of all results, once the films are finished."""
        if self.gathered and not self._told.issuperset(self.gathered):
            for target, pieces in self.gathered.items():
                self._told.add(target)
                self._queue.append(Gather(target, tuple(pieces)))
        return self.step(seconds)

    @property
    def frames(self) -> int:
        """Frames that were computed so far."""
        return sum(tally.frames for tally in self.tallies) + self.pool.frames()

    @property
    def finished(self) -> int:
        """Films that need nothing more."""
        return sum(tally.state != "waiting" for tally in self.tallies)

    def _hand_out(self) -> None:
        """Give each worker a task, and a second one while there are more than workers."""
        free = self.pool.workers()
        for waiting in range(_WAITING):
            for worker in free:
                few = waiting > 0 and len(self._queue) <= len(free)
                if not self._queue or few:
                    return
                if self._given.get(worker, 0) <= waiting:
                    self._given[worker] = self._given.get(worker, 0) + 1
                    self.pool.give(worker, self._queue.popleft())

    def _take(self, ended: Ended) -> None:
        task, done = ended.task, ended.done
        if done is None:
            self._failed(ended)
            return
        for warning in done.warnings:
            log.warning("%s", warning)
        if done.report is not None:
            self.reports.append(done.report)
        if isinstance(task, Gather):
            return
        tally = self.tallies[task.film.number]
        tally.frames += done.frames
        if isinstance(task, Whole):
            if not done.stretches:
                tally.state = "passed" if done.passed else "done"
                return
            tally.parts = tally.left = len(done.stretches)
            tally.task = Join(task.film, done.stretches, done.mark)
            parts = [
                Part(task.film, number, stretch, done.mark)
                for number, stretch in enumerate(done.stretches)
            ]
            # Begun films are finished first, so that few are unfinished at any time.
            self._queue.extendleft(reversed(parts))
        elif isinstance(task, Part):
            tally.left -= 1
            if not tally.left and tally.task is not None and tally.state == "waiting":
                self._queue.appendleft(tally.task)
        else:
            tally.state = "done"

    def _failed(self, ended: Ended) -> None:
        """Try a task again, or set its film aside."""
        task = ended.task
        self.attempts[task.key] += ended.charged
        if not isinstance(task, Gather) and self.tallies[task.film.number].state == "failed":
            return
        if self.attempts[task.key] < ATTEMPTS:
            if ended.charged:
                log.debug("attempt %d of %s: %s", self.attempts[task.key], task.key, ended.error)
                self._queue.append(task)
            else:
                self._queue.appendleft(task)
            return
        if isinstance(task, Gather):
            self.unfinished[task.target] = ended.error
            return
        tally = self.tallies[task.film.number]
        where = f"part {task.number + 1} of {tally.parts}: " if isinstance(task, Part) else ""
        tally.state, tally.error = "failed", f"{where}{ended.error}"
        self._queue = deque(
            other
            for other in self._queue
            if isinstance(other, Gather) or other.film.number != task.film.number
        )


def outputs_of(films: Iterable[Film]) -> list[str]:
    """All outputs, in order."""
    return [output for film in films for output in film.outputs]
