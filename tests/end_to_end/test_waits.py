"""No wait keeps a run from ending: silent pipes, a terminal that is closed, a second Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from livevision.cli import main
from livevision.runtime import terminal
from tests import clips
from tests.end_to_end.conftest import NO_BOXES, PROGRAM, rows
from tests.end_to_end.test_stopping import wait_for_main, wait_for_rows

Start = Callable[..., "subprocess.Popen[str]"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes and terminals")


class Piped:
    """livevision reading a pipe that the test writes to."""

    def __init__(self, folder: Path, how: str, *arguments: object) -> None:
        stdin: Any = subprocess.DEVNULL
        source = folder / "in.ts"
        if how == "stdin":
            stdin = subprocess.PIPE
        else:
            os.mkfifo(source)
        words = [*PROGRAM, "--source", "-" if how == "stdin" else source, "--headless", *arguments]
        self.process = subprocess.Popen(
            [str(word) for word in words], stdin=stdin, stderr=subprocess.PIPE
        )
        self.pipe: Any = None
        if how == "stdin":
            self.pipe = self.process.stdin
        elif how == "fifo":
            self.pipe = open(source, "wb")  # noqa: SIM115, PTH123 - waits for the reader

    def end(self, number: int) -> tuple[float, str]:
        """Send a signal: how long the end took in seconds, and what was said."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(30)
        took = time.monotonic() - began
        if self.pipe is not None:
            self.pipe.close()
        assert self.process.stderr is not None
        return took, self.process.stderr.read().decode()


@pytest.mark.parametrize(
    ("how", "number", "code"),
    [
        ("stdin", signal.SIGINT, 130),
        ("fifo", signal.SIGTERM, 143),
        ("fifo that nobody writes to", signal.SIGHUP, 129),
        ("fifo that nobody writes to", signal.SIGINT, 130),
    ],
    ids=str,
)
def test_a_pipe_that_is_silent_from_the_start(
    how: str, number: int, code: int, tmp_path: Path
) -> None:
    run = Piped(tmp_path, how, "--output", tmp_path / "out.mp4")
    wait_for_main(run.process)  # type: ignore[arg-type]
    time.sleep(1.0)
    took, said = run.end(number)
    assert run.process.returncode == code, said
    assert took < 8, "a wait that ends by itself ends after 10 s"
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("how", "number", "code"),
    [("stdin", signal.SIGINT, 130), ("fifo", signal.SIGTERM, 143), ("stdin", signal.SIGHUP, 129)],
    ids=str,
)
def test_a_pipe_that_falls_silent_leaves_finished_files(
    how: str, number: int, code: int, tmp_path: Path
) -> None:
    clip = clips.make_clip(tmp_path / "clip.ts", frames=120, sound=True)
    out, results, report = (tmp_path / name for name in ("out.mp4", "out.jsonl", "report.json"))
    run = Piped(
        tmp_path, how, *NO_BOXES, "--output", out, "--output", results, "--report", report
    )  # fmt: skip
    run.pipe.write(clip.path.read_bytes())
    run.pipe.flush()
    wait_for_rows(results, 40, run.process)  # type: ignore[arg-type]
    time.sleep(0.5)
    took, said = run.end(number)
    assert run.process.returncode == code, said
    assert took < 8
    told = json.loads(report.read_text())
    frames = clips.read_clip(out)
    assert [frame.number for frame in frames] == list(range(len(frames)))
    assert len(frames) == len(rows(results)) == told["frames_out"]
    assert not list(tmp_path.glob("*.part*"))


def test_a_terminal_that_is_closed_leaves_finished_files(tmp_path: Path) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=60)
    out, results = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    words = [*PROGRAM, "--source", clip.path, "--loop", "--headless", *NO_BOXES]
    words += ["--output", out, "--output", results]
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover - another process
        os.execvp(sys.executable, [str(word) for word in words])
    deadline = time.monotonic() + 60
    while not (results.exists() and results.read_bytes().count(b"\n") > 60):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    frames = clips.read_clip(out)
    assert len(frames) == len(rows(results)) > 60


def test_nohup_keeps_a_run_going(tmp_path: Path) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=60)
    results = tmp_path / "out.jsonl"
    words = [*PROGRAM, "--source", clip.path, "--loop", "--headless", *NO_BOXES]
    words += ["--output", results]
    process = subprocess.Popen(
        ["nohup", *(str(word) for word in words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_rows(results, 10, process)
    process.send_signal(signal.SIGHUP)
    wait_for_rows(results, results.read_bytes().count(b"\n") + 60, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143


@pytest.mark.parametrize("there", [False, True], ids=["new", "over an older file"])
def test_a_second_ctrl_c_says_what_was_saved(there: bool, tmp_path: Path, start: Start) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=60)
    out, results = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    if there:
        out.write_text("older")
    process = start(
        "--source", clip.path, "--loop", "--headless", "--overwrite", *NO_BOXES,
        "--output", out, "--output", results,
    )  # fmt: skip
    wait_for_rows(results, 120, process)
    # Both at once: the first has no time to finish anything.
    process.send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=30)
    assert process.returncode in (130, 143), err
    saved = [line.partition("saved until now: ")[2] for line in err.splitlines()]
    saved = [path for path in saved if path]
    assert str(results) in saved, err
    video = next(Path(path) for path in saved if path.endswith(".mp4"))
    assert video.exists()
    assert (video == out) is not there
    assert len(clips.read_clip(video)) > 10
    if there:
        assert out.read_text() == "older"


def test_a_signal_that_was_swallowed_ends_the_run_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped: list[bool] = []

    class Stoppable:
        def stop(self) -> None:
            stopped.append(True)

    monkeypatch.setattr(terminal, "received", [signal.SIGTERM])
    with terminal.Signals(Stoppable()) as signals:  # type: ignore[arg-type]
        assert signals.signal == signal.SIGTERM
    assert stopped == [True]


def test_the_command_line_works_away_from_the_main_thread(tmp_path: Path) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=20)
    results = tmp_path / "out.jsonl"
    codes: list[int] = []
    words = ["--source", str(clip.path), "--headless", "--output", str(results)]
    thread = threading.Thread(target=lambda: codes.append(main(words)))
    thread.start()
    thread.join(120)
    assert codes == [0]
    assert len(rows(results)) == 20
