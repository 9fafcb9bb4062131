"""OpenMP threads of a training step on the CPU: how they wait, and their number.

A step is thousands of small loops divided among OpenMP's threads, which wait for each other after
each loop. By default OpenMP spins for some milliseconds. If other programs use the processors, a
spinning thread takes the processor of the thread it waits for. Sleeping threads avoid this, and one
per free processor is fastest (figures: docs/performance.md, "Training on a CPU").
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

_WAITING = {
    "OMP_WAIT_POLICY": "PASSIVE",  # GNU's, in PyTorch for Linux
    "KMP_BLOCKTIME": "0",  # Intel's and LLVM's
}
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_TIMES = Path("/proc/stat")
_BUSY = (0, 1, 2, 5, 6, 7)  # user, nice, system, irq, softirq, steal
_FIRST_SECONDS, _SECONDS = 0.3, 60.0


def wait_asleep() -> None:
    """Let OpenMP's threads sleep while they wait, unless the environment says otherwise.

    OpenMP reads this once, when torch is first imported.
    """
    for name, value in _WAITING.items():
        os.environ.setdefault(name, value)


class Threads:
    """Uses as many threads as there are free processors, updated every minute.

    If OMP_NUM_THREADS is set, nothing is changed. If the load of others is unknown, all processors
    that the process may use are taken, within a container's quota.

    Args:
        processes: training processes on this machine.
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
        """Choose by the current load of others; returns a line about it, or none."""
        if self._fixed:
            return ""
        time.sleep(_FIRST_SECONDS)
        self._choose()
        threads = "1 thread" if self.count == 1 else f"{self.count} threads"
        return f"{threads}, for what other programs leave of {len(self._processors)} processors"

    def look(self) -> str:
        """Update once a minute, called after each step; returns a line about a change."""
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
            # The other training processes use as much as this one.
            ours = self._processes * (self._own - own)
            others = (self._all - busy - ours) / max(1e-3, self._since - since)
            free = len(self._processors) - max(0.0, others)
            wanted = min(self._most, round(free / self._processes))
        self.count = max(1, wanted)
        self._set(self.count)

    def _used(self) -> float | None:
        """CPU seconds of all programs on our processors; stores the time and our own."""
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
    """Processors of a container's quota; None without a limit."""
    try:
        most, period = _QUOTA.read_text(encoding="ascii").split()
        return None if most == "max" else int(most) / int(period)
    except (OSError, ValueError):
        return None
