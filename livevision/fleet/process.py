"""A worker as a process: ``python -m livevision.fleet.process DESCRIPTOR``.

It takes tasks from the pipe and answers there. It ends with the process that started it, also if
that is killed: the pipe is closed then.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection

from livevision.fleet.films import Task
from livevision.fleet.worker import Worker, explained

_TOLD_S = 0.5


def _receive(pipe: Connection, tasks: queue.SimpleQueue[Task]) -> None:
    """Queue tasks as they come; end the process when no more can."""
    while True:
        try:
            tasks.put(pipe.recv())
        except (EOFError, OSError):
            os._exit(1)


class _Telling:
    """Reports the frames of a task, now and then."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._next = pipe, 0.0

    def __call__(self, frames: int) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _TOLD_S
            self._pipe.send(("frames", frames))


def main(descriptor: int) -> None:
    """Work until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this one ends it
    pipe = Connection(descriptor)
    job = pipe.recv()
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(pipe, tasks), daemon=True).start()
    worker = Worker(job)
    pipe.send(("ready", None))
    while True:
        task = tasks.get()
        try:
            done = worker.do(task, _Telling(pipe))
        except Exception as error:
            pipe.send(("failed", explained(error)))
        else:
            pipe.send(("done", done))


if __name__ == "__main__":
    main(int(sys.argv[1]))
