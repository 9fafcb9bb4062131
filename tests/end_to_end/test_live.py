"""Live sources, run the way a user runs them: paced, dropped, broken off, stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests import clips
from tests.capture.servers import http_live, rtsp_server, silent_server
from tests.end_to_end.conftest import NO_BOXES, Outcome, rows

Call = Callable[..., Outcome]
Start = Callable[..., "subprocess.Popen[str]"]
MPEGTS = ("-c", "copy", "-f", "mpegts")


def dropped(report: dict[str, Any]) -> int:
    return sum(n for causes in report["dropped"].values() for n in causes.values())


def test_a_paced_source_keeps_its_pace_and_accounts_for_every_frame(
    tmp_path: Path, livevision: Call
) -> None:
    results, report = tmp_path / "out.jsonl", tmp_path / "report.json"
    outcome = livevision(
        "--source",
        "synthetic://320x240@25?frames=50&paced=1",
        "--output",
        results,
        "--report",
        report,
    )
    assert outcome.code == 0, outcome.err
    told = json.loads(report.read_text())
    assert told["frames_in"] == told["frames_out"] + dropped(told)
    assert told["capture_fps"] == pytest.approx(25, rel=0.25)
    frames = [row["frame"] for row in rows(results)]
    assert frames == sorted(set(frames))
    assert [row["time"] for row in rows(results)] == pytest.approx([f / 25 for f in frames])
    clock = [datetime.fromisoformat(row["wall_time"]) for row in rows(results)]
    spans = [(moment - clock[0]).total_seconds() for moment in clock]
    assert spans == pytest.approx([(f - frames[0]) / 25 for f in frames], abs=0.15)
    assert abs((datetime.now(UTC) - clock[-1]).total_seconds()) < 10


def test_a_source_faster_than_the_net_is_dropped_not_queued(
    tmp_path: Path, livevision: Call
) -> None:
    report = tmp_path / "report.json"
    outcome = livevision(
        "--source",
        "synthetic://640x360@500?frames=1500&paced=1",
        "--task",
        "both",
        "--report",
        report,
    )
    assert outcome.code == 0, outcome.err
    told = json.loads(report.read_text())
    assert dropped(told) > 0
    assert told["frames_in"] == told["frames_out"] + dropped(told)
    assert told["bottleneck"] != "capture"
    # Held frames are at most one a link: latency stays that of the stages, however long it plays.
    work = sum(stage["p95_ms"] for name, stage in told["stages"].items() if name != "capture")
    assert told["latency_ms"]["p50"] < 4 * work + 50


def test_http_stream_to_annotated_file(tmp_path: Path, livevision: Call) -> None:
    # Longer than a model takes to load: what a live source gave until then is too old to be shown.
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=300)
    out, results = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    with http_live(clip.path, *MPEGTS) as server:
        outcome = livevision(
            "--source",
            server.url,
            "--retry-for",
            2,
            *NO_BOXES,
            "--output",
            out,
            "--output",
            results,
        )
    assert outcome.code == 3  # a live stream that stops is told of, after finishing the files
    assert "no frame" in outcome.one_line()
    numbers = [frame.number for frame in clips.read_clip(out)]
    assert len(numbers) == len(rows(results)) > 5
    assert numbers == sorted(numbers)


def test_rtsp_server_that_dies_and_comes_back(tmp_path: Path, start: Start) -> None:
    clip = clips.constant_rate(tmp_path / "in.mkv", frames=300, rate=25)
    results = tmp_path / "out.jsonl"
    with rtsp_server(clip.path) as server:
        process = start(
            "--source", server.url, "--headless", "--retry-for", 40, "--output", results,
            "--report", tmp_path / "report.json",
        )  # fmt: skip
        wait_for_more(results, 10)
        server.kill()
        server.start()
        wait_for_more(results, lines(results) + 20)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["sources"][0]["losses"]["reconnects"] >= 1
    times = [row["time"] for row in rows(results)]
    assert times == sorted(times)


def test_ctrl_c_while_a_stream_does_not_answer(tmp_path: Path, start: Start) -> None:
    with silent_server() as url:
        process = start("--source", url, "--headless", "--retry-for", 60)
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for_more(path: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while lines(path) < count:
        assert time.monotonic() < deadline, f"{lines(path)} rows of {count}"
        time.sleep(0.1)
