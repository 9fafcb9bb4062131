"""A pool of processes on this machine."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import subprocess
import sys
from collections import deque
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait

from livevision.errors import LivevisionError
from livevision.fleet.films import Task
from livevision.fleet.pool import Ended
from livevision.fleet.worker import Job

log = logging.getLogger(__name__)

_HOPELESS = 5
"""Workers in a row that ended before they took a task, after which no more are started."""


@dataclass
class _Process:
    process: subprocess.Popen[bytes]
    pipe: Connection
    tasks: deque[Task] = field(default_factory=deque)
    ready: bool = False
    frames: int = 0


class LocalPool:
    """Processes of this machine; see ``pool.Pool``.

    Args:
        job: What the workers know.
        most: How many.
        gpus: Share of a GPU for each; 0 leaves the choice to the settings.
    """

    def __init__(self, job: Job, most: int, gpus: float = 0.0) -> None:
        self.most = most
        self._job, self._gpus = job, gpus
        self._processes: dict[int, _Process] = {}
        self._started = self._hopeless = 0
        for _ in range(most):
            self._start()

    def workers(self) -> list[int]:
        return [number for number, one in self._processes.items() if one.ready]

    def give(self, worker: int, task: Task) -> None:
        one = self._processes[worker]
        one.tasks.append(task)
        with contextlib.suppress(OSError):  # a worker that is lost is noticed in ``wait``
            one.pipe.send(task)

    def wait(self, seconds: float) -> list[Ended]:
        ended: list[Ended] = []
        pipes = {one.pipe: number for number, one in self._processes.items()}
        for ready in wait(list(pipes), seconds):
            assert isinstance(ready, Connection)
            ended += self._read(pipes[ready])
        return ended

    def frames(self) -> int:
        return sum(one.frames for one in self._processes.values())

    def close(self) -> None:
        for one in self._processes.values():
            one.process.kill()
        for one in self._processes.values():
            one.process.wait()
            one.pipe.close()
        self._processes.clear()

    def _start(self) -> None:
        ours, theirs = Pipe()
        environment = dict(os.environ)
        if self._gpus:
            slot = self._started % self.most
            environment.setdefault("CUDA_VISIBLE_DEVICES", str(math.floor(slot * self._gpus)))
        number, self._started = self._started, self._started + 1
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "livevision.fleet.process", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environment,
            )
        self._processes[number] = _Process(process, ours)
        with contextlib.suppress(OSError):
            ours.send(self._job)

    def _read(self, number: int) -> list[Ended]:
        """What a worker says, or that it is lost."""
        one = self._processes[number]
        ended: list[Ended] = []
        try:
            while one.pipe.poll():
                said, what = one.pipe.recv()
                if said == "ready":
                    one.ready, self._hopeless = True, 0
                elif said == "frames":
                    one.frames = what
                else:
                    task, one.frames = one.tasks.popleft(), 0
                    done, error = (what, "") if said == "done" else (None, what)
                    ended.append(Ended(number, task, done, error))
        except (EOFError, OSError):
            ended += self._lost(number)
        return ended

    def _lost(self, number: int) -> list[Ended]:
        one = self._processes.pop(number)
        one.pipe.close()
        code = one.process.wait()
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        why = f"its worker ended {how}"
        self._hopeless += not one.ready
        if self._hopeless >= max(_HOPELESS, self.most):
            raise LivevisionError(f"workers end before they take a task: {why}")
        if one.tasks:
            log.warning("a worker ended %s; what it had is done again", how)
        self._start()
        return [
            Ended(number, task, None, why, charged=position == 0)
            for position, task in enumerate(one.tasks)
        ]
