"""The same backlog on Ray; one cluster of this machine is started for the whole file."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.fleet.conftest import Made, Outcome

pytest.importorskip("ray", reason="Ray is not installed: pip install 'livevision[ray]'")


class _Watching(threading.Thread):
    """Kills one worker that does something, and notes where the cluster's processes listen."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.killed = 0
        self.hosts: set[str] = set()
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.1):
            for process in psutil.Process().children(recursive=True):
                try:
                    if not self.killed and "Actor.do" in " ".join(process.cmdline()):
                        self.hosts |= _hosts()
                        process.kill()
                        self.killed = process.pid
                except psutil.Error:
                    pass


def _hosts() -> set[str]:
    """Addresses at which processes of ours are connected or listen."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        for connection in process.net_connections("inet"):
            found |= {end.ip for end in (connection.laddr, connection.raddr) if end}
    return found


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path: the names of Ray's sockets have 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="lv-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def test_a_cluster_makes_the_same_though_a_worker_is_killed_and_sends_nothing(
    made: Made,
    backlog: Callable[..., Outcome],
    tmp_path: Path,
    short: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(short))
    out = tmp_path / "out"
    words = ("--source", made.clips, "--output", f"{out}/", "--output", out / "all.jsonl")
    watching = _Watching()
    watching.start()
    begun = time.time()
    try:
        ended = backlog(*words, "--on", "ray", "--workers", 2, "--cpus-per-worker", 1)
    finally:
        watching.over.set()
        watching.join()
    assert ended.code == 0, ended.err
    assert watching.killed
    assert ended.report["attempts_failed"] == 1
    assert ended.report["videos"] == {"done": 4, "passed": 0, "failed": 0}
    for name in [*made.names, "all.jsonl"]:
        assert (out / name).read_bytes() == (made.single / name).read_bytes(), name
    assert sorted(p.name for p in out.iterdir()) == [".livevision", "all.jsonl", *made.names]
    assert sorted(p.suffix for p in (out / ".livevision").iterdir() if p.is_file()) == [".json"] * 4

    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    sessions = [s for s in short.rglob("session_2*") if s.stat().st_mtime >= begun - 1]
    assert sessions
    assert [file for s in sessions for file in s.rglob("usage_stats.json")] == []
    assert {h.removeprefix("::ffff:") for h in watching.hosts} <= {
        "127.0.0.1",
        "::1",
        "::",
        "0.0.0.0",
    }
