"""A process without standard streams, as some services start one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import clips
from tests.small_models import graph

pytestmark = pytest.mark.skipif(os.name == "nt", reason="it takes a POSIX shell")


def run(folder: Path, redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    clips.constant_rate(folder / "in.mp4", frames=3)
    program = [sys.executable, "-m", "livevision", "--source", "in.mp4", "--headless"]
    words = [*program, "--weights", str(graph("segment")), *arguments]
    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", *words]
    return subprocess.run(
        shell, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("redirection", ["2>&-", "<&- >&- 2>&-", "<&- 2>&-"])
def test_results_are_whole_and_nothing_else(redirection: str, tmp_path: Path) -> None:
    done = run(tmp_path, redirection, "--output", "out.jsonl", "--output", "out.mp4")
    assert (done.returncode, done.stdout) == (0, "")
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [0, 1, 2]
    assert len(clips.read_clip(tmp_path / "out.mp4")) == 3


def test_messages_do_not_go_among_the_results(tmp_path: Path) -> None:
    done = run(tmp_path, "2>&-", "--output", "-")
    assert done.returncode == 0
    assert [json.loads(line)["frame"] for line in done.stdout.splitlines()] == [0, 1, 2]


@pytest.mark.parametrize("flag", ["--output", "--report"])
def test_a_closed_standard_output_takes_no_results(flag: str, tmp_path: Path) -> None:
    done = run(tmp_path, ">&-", flag, "-")
    assert done.returncode == 5
    (line,) = (line for line in done.stderr.splitlines() if "error" in line)
    assert "standard output: it is closed" in line or "standard output is closed" in line
