"""Threads of a training step on the CPU: how they wait for each other, and how many there are.

A step is thousands of small loops, each shared out to OpenMP's threads, which wait for the last of
them before the next begins. Left to itself OpenMP waits by spinning for some milliseconds. Where
other programs want the processors too, the thread that is waited for gets none while another spins
on it. Threads that sleep while they wait stay usable there, and one for each processor that others
leave free is fastest (figures: docs/performance.md, "Training on a CPU").
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

_WAITING = {
    "OMP_WAIT_POLICY": "PASSIVE",  # GNU's, which comes with PyTorch for Linux
    "KMP_BLOCKTIME": "0",  # Intel's and LLVM's
}
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_TIMES = Path("/proc/stat")
_BUSY = (0, 1, 2, 5, 6, 7)  # user, nice, system, irq, softirq, and what the host takes
_FIRST_SECONDS, _SECONDS = 0.3, 60.0


def wait_asleep() -> None:
    """Let OpenMP's threads sleep while they wait, unless the environment says how they wait.

    OpenMP looks once, when torch is imported first.
    """
    for name, value in _WAITING.items():
        os.environ.setdefault(name, value)


class Threads:
    """As many threads as processors are free, looked at anew every minute.

    Where OMP_NUM_THREADS is set nothing is changed. Where nothing tells what others use, there are
    as many as the process may use processors, a container's share of them respected.

    Args:
        processes: that train side by side on this machine.
    """

    def __init__(self, processes: int = 1) -> None:
        import torch

        self._set = torch.set_num_threads
        self._fixed = "OMP_NUM_THREADS" in os.environ
        self._processes = processes
        self._processors = _processors()
        share = _quota()
        most = len(self._processors) if share is None else math.ceil(share)
        self._most = max(1, min(most, len(self._processors)) // processes)
        self.count = torch.get_num_threads()
        self._since = self._own = 0.0
        self._all = self._used()

    def begin(self) -> str:
        """Choose by what others use just now; returns a line about it, or none."""
        if self._fixed:
            return ""
        time.sleep(_FIRST_SECONDS)
        self._choose()
        threads = "1 thread" if self.count == 1 else f"{self.count} threads"
        return f"{threads}, for what other programs leave of {len(self._processors)} processors"

    def look(self) -> str:
        """Choose anew once a minute, called after each step; returns a line about a change."""
        if self._fixed or time.monotonic() < self._since + _SECONDS:
            return ""
        before = self.count
        self._choose()
        if self.count == before:
            return ""
        why = "others want the processors" if self.count < before else "processors are free again"
        return f"{before} -> {self.count} threads: {why}"

    def _choose(self) -> None:
        since, own, busy = self._since, self._own, self._all
        self._all = self._used()
        wanted = self._most
        if self._all is not None and busy is not None:
            # Our siblings use as much as we do.
            ours = self._processes * (self._own - own)
            others = (self._all - busy - ours) / max(1e-3, self._since - since)
            free = len(self._processors) - max(0.0, others)
            wanted = min(self._most, round(free / self._processes))
        self.count = max(1, wanted)
        self._set(self.count)

    def _used(self) -> float | None:
        """Seconds that all programs have computed on our processors; notes the time and our own."""
        self._since, self._own = time.monotonic(), time.process_time()
        try:
            lines = _TIMES.read_text(encoding="ascii").splitlines()
        except (OSError, ValueError):
            return None
        names = {f"cpu{number}" for number in self._processors}
        rows = [line.split() for line in lines]
        ticks = sum(int(row[1 + i]) for row in rows if row and row[0] in names for i in _BUSY)
        return ticks / os.sysconf("SC_CLK_TCK")


def _processors() -> list[int]:
    """Numbers of the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _quota() -> float | None:
    """Processors that a container may use at a time; None where nothing limits it."""
    try:
        most, period = _QUOTA.read_text(encoding="ascii").split()
        return None if most == "max" else int(most) / int(period)
    except (OSError, ValueError):
        return None
