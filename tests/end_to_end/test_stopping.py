"""Ctrl-C, SIGTERM and kill -9 in the middle of a run."""

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

from tests import clips
from tests.end_to_end.conftest import NO_BOXES, PROGRAM, rows

Start = Callable[..., "subprocess.Popen[str]"]


def wait_for_rows(path: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = next(iter(path.parent.glob(f"*{path.stem}*.jsonl*")), path)
        if found.exists() and found.read_bytes().count(b"\n") >= count:
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    raise AssertionError("the run wrote nothing")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_a_stopped_run_finishes_its_files(
    number: int, code: int, tmp_path: Path, start: Start
) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=60, sound=True)
    out, results, report = (tmp_path / name for name in ("out.mp4", "out.jsonl", "report.json"))
    process = start(
        "--source", clip.path, "--loop", "--headless", *NO_BOXES,
        "--output", out, "--output", results, "--report", report,
    )  # fmt: skip
    wait_for_rows(results, 100, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert "Traceback" not in err
    frames = clips.read_clip(out)
    assert len(frames) == len(rows(results)) == json.loads(report.read_text())["frames_out"]
    assert [frame.number for frame in frames] == [n % 60 for n in range(len(frames))]


def wait_for_main(process: subprocess.Popen[str]) -> None:
    """Wait until the program catches SIGTERM, which it begins with.

    What comes before is Python's own start, and so is what a signal does to it.
    """
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = int(next(li for li in status.splitlines() if li.startswith("SigCgt"))[7:], 16)
        if caught >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.005)
    raise AssertionError("the program did not start")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
@pytest.mark.parametrize("delay", [0.0, 0.1, 0.3, 0.6, 1.2])
def test_a_signal_at_any_moment_gives_its_code_and_no_traceback(
    number: int, code: int, delay: float, tmp_path: Path, start: Start
) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=30)
    process = start("--source", clip.path, "--loop", "--headless", "--output", tmp_path / "o.mp4")
    wait_for_main(process)
    time.sleep(delay)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "name", ["capture", "stream 0", "gstreamer 3", "closing", "stream packets"]
)
def test_nothing_is_shut_down_below_a_thread_at_work(name: str) -> None:
    """A source that does not answer is left in its library: freeing that crashed one run in 80."""
    program = f"""
import atexit, threading
from livevision.runtime.signals import leave_if_busy
atexit.register(print, "shut down")
threading.Thread(target=threading.Event().wait, name={name!r}, daemon=True).start()
leave_if_busy(130)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (130, ""), ended.stderr


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_where_nothing_can_be_raised_prints_nothing(name: str) -> None:
    """Importing calls back when a lock goes, and Python prints what is raised there."""
    program = f"""
import signal, weakref
from livevision.cli import _signals_raise, received
class Lock: pass
with _signals_raise():
    lock = Lock()
    watched = weakref.ref(lock, lambda _: signal.raise_signal(signal.{name}))
    del lock
assert received == [signal.{name}]
weak = Lock()
watched = weakref.ref(weak, lambda _: 1 / 0)
del weak
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("Traceback") == ended.stderr.count("ZeroDivisionError") == 1
    assert "Interrupted" not in ended.stderr
    assert "Terminated" not in ended.stderr


def test_ctrl_c_in_code_made_of_text_gives_its_code_too() -> None:
    # As importing makes such code; Python itself would end the process by the signal afterwards.
    program = (
        "import sys\n"
        "from livevision import cli\n"
        'interrupt = \'(__import__("os").kill(__import__("os").getpid(), 2), sum(range(10**6)))\'\n'
        "cli._command = lambda arguments, own_process: eval(interrupt)\n"
        "sys.exit(cli.main([]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stderr == "livevision: stopped\n"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_after_kill_9_the_video_can_be_read(suffix: str, tmp_path: Path, start: Start) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=60, rate=30)
    out, results = tmp_path / f"out{suffix}", tmp_path / "rows.jsonl"
    process = start(
        "--source",
        clip.path,
        "--loop",
        "--headless",
        *NO_BOXES,
        "--output",
        out,
        "--output",
        results,
    )
    wait_for_rows(results, 240, process)
    process.kill()
    process.communicate(timeout=30)
    left = [path for path in tmp_path.iterdir() if suffix in path.name and path != clip.path]
    assert len(left) == 1
    readable = [frame.number for frame in clips.read_clip(left[0])]
    written = next(iter(tmp_path.glob("*rows*"))).read_bytes().count(b"\n")
    assert readable == [n % 60 for n in range(len(readable))]
    # At 30 frames a second: all but the last second, and what the encoder still held.
    assert len(readable) >= written - 30 - 50


def test_no_process_or_file_is_left_behind(tmp_path: Path, start: Start) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=10)
    process = start("--source", clip.path, "--headless", "--output", tmp_path / "out.mp4")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def test_a_run_needs_no_torch(tmp_path: Path) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=5)
    blocked = (
        "import sys; sys.modules['torch'] = None; from livevision.cli import main; "
        "sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", blocked, "--source", str(clip.path), "--task", "both",
         "--headless", "--output", str(tmp_path / "out.jsonl")],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "out.jsonl")) == 5


def test_a_closed_reader_of_stdout_is_no_error() -> None:
    done = subprocess.run(
        f"{' '.join(PROGRAM)} models | head -c 1",
        shell=True, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert "Traceback" not in done.stderr
