"""The interface of a pool of workers, here or on a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from livevision.fleet.films import Done, Task


@dataclass(frozen=True, slots=True)
class Ended:
    """A task has ended.

    Attributes:
        worker: Number of the worker.
        task: The task.
        done: What came of it; None if it failed.
        error: Why it failed.
        charged: The failure counts as an attempt; False for a task that a lost worker had not
            begun.
    """

    worker: int
    task: Task
    done: Done | None = None
    error: str = ""
    charged: bool = True


class Pool(Protocol):
    """Workers that do tasks in the order in which each is given them.

    A worker that is lost is replaced. Its tasks end with an error.

    Attributes:
        most: The number of workers.
    """

    most: int

    def workers(self) -> list[int]:
        """Numbers of the workers that take tasks now; a number is never used again."""

    def give(self, worker: int, task: Task) -> None:
        """Hand a task to a worker."""

    def wait(self, seconds: float) -> list[Ended]:
        """Tasks that have ended; waits for one for so long."""

    def frames(self) -> int:
        """Frames of the tasks that are being done."""

    def close(self) -> None:
        """End all workers at once."""
