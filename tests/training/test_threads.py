"""How the threads of a training step wait, and how many there are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from livevision.training import threads


def _told_by_openmp(code: str, **environment: str) -> str:
    """What OpenMP says of its settings in a process that runs this code and imports torch."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import torch; torch.rand(100_000).exp()"],
        env={k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "KMP_"))}
        | {"OMP_DISPLAY_ENV": "VERBOSE", "PYTHONPATH": str(Path.cwd()), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    if "GOMP_SPINCOUNT" not in done.stderr:
        pytest.skip("PyTorch does not compute with GNU's OpenMP here")
    return done.stderr


@pytest.mark.parametrize(
    "code", ["import livevision; livevision.train", "import livevision.training"]
)
def test_threads_sleep_while_they_wait(code: str) -> None:
    assert "GOMP_SPINCOUNT = '0'" in _told_by_openmp(code)


def test_the_user_s_own_settings_count() -> None:
    said = _told_by_openmp("import livevision.training", OMP_WAIT_POLICY="active")
    assert "GOMP_SPINCOUNT = '0'" not in said


class Machine:
    """A machine of four processors, the last not ours, whose clock and load a test moves."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.own, self.others = 100.0, 5.0, 50.0
        self.asked: list[int] = []
        self.times, self.quota = folder / "stat", folder / "cpu.max"
        monkeypatch.setattr(threads, "_TIMES", self.times)
        monkeypatch.setattr(threads, "_QUOTA", self.quota)
        monkeypatch.setattr(threads, "_processors", lambda: [0, 1, 2])
        monkeypatch.setattr(threads.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(threads.time, "process_time", lambda: self.own)
        monkeypatch.setattr(threads.time, "sleep", lambda seconds: self.go_on(seconds, 0.0))
        monkeypatch.setattr(torch, "set_num_threads", self.asked.append)
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        self.busy = 0.0
        self.go_on(0.0, 0.0)

    def go_on(self, seconds: float, own: float) -> None:
        """So many seconds pass, in which we compute on `own` processors, others on `busy`."""
        self.now, self.own = self.now + seconds, self.own + own * seconds
        self.others += self.busy * seconds
        ticks = round((self.own + self.others) * os.sysconf("SC_CLK_TCK"))
        idle = round(self.now * 100)
        self.times.write_text(
            f"cpu  1 2 3 4 5 6 7 8 0 0\ncpu0 {ticks} 0 0 {idle} 70 0 0 0 9 0\n"
            f"cpu1 0 0 0 {idle} 0 0 0 0 0 0\ncpu2 0 0 0 {idle} 0 0 0 0 0 0\n"
            f"cpu3 {round(self.now * 100)} 0 0 0 0 0 0 0 0 0\nintr 1 2 3\n"
        )


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("busy", "expected"), [(0.0, 3), (0.3, 3), (0.8, 2), (2.1, 1), (2.9, 1), (3.0, 1)]
)
def test_there_is_a_thread_for_each_free_processor(
    busy: float, expected: int, machine: Machine
) -> None:
    machine.busy = busy
    line = threads.Threads().begin()
    assert machine.asked == [expected]
    assert line.startswith("1 thread," if expected == 1 else f"{expected} threads,")
    assert line.endswith("other programs leave of 3 processors")


def test_it_is_looked_at_anew_every_minute(machine: Machine) -> None:
    chosen = threads.Threads()
    chosen.begin()
    machine.go_on(59.0, 2.9)
    assert (chosen.look(), machine.asked) == ("", [3])
    machine.go_on(2.0, 2.9)
    assert (chosen.look(), machine.asked) == ("", [3, 3])  # what we use ourselves is ours
    machine.busy = 2.0
    machine.go_on(61.0, 1.0)
    assert chosen.look() == "3 -> 1 threads: others want the processors"
    machine.busy = 0.0
    machine.go_on(61.0, 1.0)
    assert chosen.look() == "1 -> 3 threads: processors are free again"
    assert machine.asked == [3, 3, 1, 3]


def test_processes_side_by_side_share_what_is_free(machine: Machine) -> None:
    chosen = threads.Threads(processes=3)
    chosen.begin()
    assert machine.asked == [1]
    machine.busy = 2.0  # our two siblings
    machine.go_on(61.0, 1.0)
    chosen.look()
    assert machine.asked == [1, 1]


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", 3),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("800000 100000", 3),
        ("50000 100000", 1),
        ("nonsense", 3),
    ],
)
def test_no_more_threads_than_a_container_has_processors(
    quota: str, expected: int, machine: Machine
) -> None:
    machine.quota.write_text(quota)
    threads.Threads().begin()
    assert machine.asked == [expected]


def test_where_nothing_tells_what_others_use_all_processors_are_taken(machine: Machine) -> None:
    machine.times.unlink()
    chosen = threads.Threads()
    chosen._choose()
    assert machine.asked == [3]


def test_a_number_of_threads_that_was_asked_for_is_left(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    chosen = threads.Threads()
    assert chosen.begin() == ""
    machine.go_on(100.0, 1.0)
    assert chosen.look() == ""
    assert machine.asked == []
