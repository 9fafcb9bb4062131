"""Every figure that a run publishes, in its report, table, display and closing lines."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import livevision as api
from livevision.overlay import hud
from livevision.runtime.metering import STAGES
from tests import clips
from tests.end_to_end.conftest import Outcome

Call = Callable[..., Outcome]
FRAMES = 40


def no_nonsense(report: dict[str, Any]) -> None:
    """What holds for the figures of every run that delivered more than one frame."""
    lost = sum(n for causes in report["dropped"].values() for n in causes.values())
    assert report["frames_in"] == report["frames_out"] + lost
    for key in ("frames_in", "frames_out"):
        assert report[key] == sum(row[key] for row in report["sources"])
    wall = report["wall_s"]
    assert 0 < report["first_frame_s"] < wall
    assert 0 < report["cpu_s"] < wall * (psutil.cpu_count() or 1) + 0.5
    assert 50 < report["peak_rss_mb"] < psutil.virtual_memory().total / 1e6
    for key, frames in (("capture_fps", "frames_in"), ("delivered_fps", "frames_out")):
        assert report[key] > (report[frames] - 1) / wall
    # From the first frame to the last there is no more time than in the whole run.
    playing = (report["frames_out"] - 1) / report["delivered_fps"]
    assert playing < wall - report["first_frame_s"] + 0.1
    assert list(report["stages"]) == list(STAGES)
    for row in report["stages"].values():
        assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]
        assert 0 < row["mean_ms"] <= 1.02 * max(row["p99_ms"], wall * 1e3)
    busy = {s: row["busy"] for s, row in report["stages"].items() if row["busy"] is not None}
    assert all(0 < share <= 1 for share in busy.values())
    if report["bottleneck"] is None:
        assert max(busy.values()) <= 0.61
    else:
        assert busy[report["bottleneck"]] == max(busy.values()) > 0.59
    # What the net could do is not less than what it did.
    assert report["inference_fps"] > 0.9 * report["delivered_fps"]
    assert report["inference_fps"] == pytest.approx(
        1e3 / report["stages"]["inference"]["mean_ms"], rel=0.01
    )


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines that the display wrote, a text for each frame."""
    lines: list[str] = []
    monkeypatch.setattr(hud, "panel", lambda image, text, *_: lines.append("  ".join(text)))
    return lines


def figures(text: str) -> dict[str, str]:
    return dict(re.findall(r"(capture|model|delivered|latency|dropped)\s+(\S+)", text))


@pytest.mark.parametrize("task", ["detect", "both"])
def test_the_figures_of_a_file(
    task: str, tmp_path: Path, livevision: Call, shown: list[str]
) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=FRAMES, size=(640, 360))
    path = tmp_path / "report.json"
    outcome = livevision(
        "--source", clip.path, "--task", task, "--precision", "fp32",
        "--output", tmp_path / "o.mp4", "--report", path,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    report = json.loads(path.read_text())
    no_nonsense(report)
    assert (report["frames_in"], report["frames_out"], report["dropped"]) == (FRAMES, FRAMES, {})
    nets = ["thundernet-mobilenetv2"] if task == "detect" else None
    assert report["model"] == "+".join(
        nets or ["bisenet-mobilenetv2-person", "thundernet-mobilenetv2"]
    )
    told = {key: report[key] for key in ("engine", "device", "precision")}
    assert told == {"engine": "openvino", "device": "cpu", "precision": "fp32"}
    assert report["latency_ms"] is None
    assert report["sources"] == [
        {
            "source": str(clip.path),
            "frames_in": FRAMES,
            "frames_out": FRAMES,
            "dropped": {},
            "latency_ms": None,
            "losses": {"corrupt": 0},
            "error": None,
        }
    ]
    assert report["sources_failed"] == 0
    last = figures(shown[-1])
    assert len(shown) == FRAMES
    assert set(last) == {"capture", "model", "delivered"}
    assert float(last["model"]) == pytest.approx(report["inference_fps"], rel=0.5)
    assert "openvino cpu fp32" in shown[-1]
    lines = outcome.err.splitlines()
    assert f"frames: {FRAMES} in, {FRAMES} out, none dropped" in lines
    assert f"fps: capture {report['capture_fps']:.1f}, model {report['inference_fps']:.1f}, " in (
        outcome.err
    )
    assert "latency" not in outcome.err
    assert lines[-1] == f"livevision: results are in {tmp_path / 'o.mp4'}"


def test_the_figures_of_a_live_source(tmp_path: Path, livevision: Call, shown: list[str]) -> None:
    path = tmp_path / "report.json"
    outcome = livevision(
        "--source", "synthetic://320x240@20?frames=60&paced=1", "--model", "thundernet-snet49",
        "--output", tmp_path / "o.mp4", "--report", path,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    report = json.loads(path.read_text())
    no_nonsense(report)
    assert report["capture_fps"] == pytest.approx(20, rel=0.1)
    assert report["stages"]["capture"]["busy"] is None
    latency = report["latency_ms"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"]
    # A frame is at least as long under way as the stages work on it.
    work = sum(report["stages"][s]["mean_ms"] for s in ("preprocess", "inference", "overlay"))
    assert latency["mean"] > 0.9 * work
    last = figures(shown[-1])
    assert {"capture", "model", "delivered", "latency"} <= set(last)
    assert float(last["capture"]) == pytest.approx(20, rel=0.15)
    assert f"latency    {latency['mean']:9.2f}" in outcome.err


def test_what_the_net_alone_could_do_is_what_it_does_alone(tmp_path: Path) -> None:
    """Not a multiple of it where the outputs are slow, as of a result that waits to be taken."""
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=30)
    path = tmp_path / "report.json"
    image = clips.numbered(0)
    model = api.load("bisenet-xception39-camvid")
    model(image)
    for frame in api.run(
        source=clip.path, task="segment", model="bisenet-xception39-camvid", report=path
    ):
        time.sleep(0.1)
        if frame.index % 5 == 0:
            model(image)
    started = time.perf_counter()
    for _ in range(10):
        model(image)
    alone = 10 / (time.perf_counter() - started)
    report = json.loads(path.read_text())
    assert alone / 5 < report["inference_fps"] < alone * 5
    assert report["delivered_fps"] < 10


def test_a_run_in_a_long_lived_process_counts_its_own_time(tmp_path: Path) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=3)
    path = tmp_path / "report.json"
    until = time.process_time() + 0.5
    while time.process_time() < until:
        pass
    started = time.monotonic()
    from livevision.cli import main

    assert main(["--source", str(clip.path), "--headless", "--report", str(path)]) == 0
    took = time.monotonic() - started
    report = json.loads(path.read_text())
    assert report["first_frame_s"] < report["wall_s"] < took


def test_a_picture_has_no_rate(tmp_path: Path, livevision: Call) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), clips.numbered(0))
    path = tmp_path / "report.json"
    outcome = livevision("--source", tmp_path / "a.png", "--output", tmp_path / "o.jpg",
                         "--report", path)  # fmt: skip
    assert outcome.code == 0, outcome.err
    report = json.loads(path.read_text())
    assert (report["capture_fps"], report["delivered_fps"]) == (None, None)
    assert "0.0" not in next(li for li in outcome.err.splitlines() if li.startswith("fps"))
