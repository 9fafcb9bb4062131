"""Rows on standard output, and what becomes of them when nobody reads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from livevision.output.standard_output import StandardOutput
from tests import clips
from tests.end_to_end.conftest import PROGRAM, start

__all__ = ["start"]

Start = Callable[..., "subprocess.Popen[str]"]
LIGHT = ("--model", "thundernet-snet49")


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )


def test_json_lines_and_nothing_else_are_on_standard_output(tmp_path: Path) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=12)
    file = tmp_path / "rows.jsonl"
    done = run(
        "--source", clip.path, *LIGHT, "--headless", "--output", "-", "--output", file,
        "--report", tmp_path / "report.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == file.read_text()
    assert [json.loads(line)["frame"] for line in done.stdout.splitlines()] == list(range(12))
    assert f"results are in {file}" in done.stderr.splitlines()[-1]


def test_the_rows_of_several_sources_are_told_apart(tmp_path: Path) -> None:
    names = [str(clips.constant_rate(tmp_path / f"{n}.mp4", frames=3).path) for n in "ab"]
    done = run("--source", names[0], "--source", names[1], *LIGHT, "--headless", "--output", "-")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["source"] for line in done.stdout.splitlines()] == (
        [names[0]] * 3 + [names[1]] * 3
    )


def test_a_reader_that_went_away_ends_the_run_and_the_files_are_finished(tmp_path: Path) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=60)
    out, report = tmp_path / "out.mp4", tmp_path / "report.json"
    words = [*PROGRAM, "--source", str(clip.path), "--loop", *LIGHT, "--headless", "--output", "-"]
    command = " ".join([*words, "--output", str(out), "--report", str(report)])
    done = subprocess.run(
        f"{command} | head -n 2; exit ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 141, done.stderr
    assert len(done.stdout.splitlines()) == 2
    assert "Traceback" not in done.stderr
    assert clips.read_clip(out)
    assert json.loads(report.read_text())["frames_out"] >= 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_reader_that_reads_no_more_does_not_keep_a_run_from_ending(
    number: int, tmp_path: Path, start: Start
) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=60)
    file = tmp_path / "rows.jsonl"
    process = start(
        "--source", clip.path, "--loop", *LIGHT, "--conf", 0, "--headless", "--output", "-",
        "--output", file,
    )  # fmt: skip
    deadline, size, before = time.monotonic() + 60, 0, -1
    # Until the pipe is full, and the run stands still.
    while size < 40_000 or size != before:
        assert time.monotonic() < deadline
        time.sleep(1)
        size, before = (file.stat().st_size if file.exists() else 0), size
    process.send_signal(number)
    _, err = _ended_within(process, 4)
    assert process.returncode == 128 + number, err
    assert "standard output was not read" in err


def _ended_within(process: subprocess.Popen[str], seconds: float) -> tuple[str, str]:
    """What it said, once it has ended without anybody reading what it had still to say."""
    deadline = time.monotonic() + seconds
    while process.poll() is None:
        assert time.monotonic() < deadline, "it did not end"
        time.sleep(0.05)
    return process.communicate()


def test_a_slow_reader_gets_every_row() -> None:
    reading, writing = os.pipe()
    sink = StandardOutput()
    sink._descriptor = writing
    row = b"x" * 9_999 + b"\n"
    child = os.fork()
    if not child:
        for _ in range(20):
            sink.write(row)
        os._exit(0)
    os.close(writing)
    found = b""
    while block := os.read(reading, 7_000):
        found += block
        time.sleep(0.002)
    os.waitpid(child, 0)
    os.close(reading)
    assert found == row * 20


def test_without_a_descriptor_rows_go_to_sys_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cell:
        text = ""

        def write(self, text: str) -> None:
            self.text += text

        def flush(self) -> None:
            pass

        def fileno(self) -> int:
            raise OSError("no descriptor")

    cell = Cell()
    monkeypatch.setattr(sys, "stdout", cell)
    sink = StandardOutput()
    sink.write(b'{"a": "\xc3\xa9"}\n')
    sink.close()
    assert cell.text == '{"a": "é"}\n'
