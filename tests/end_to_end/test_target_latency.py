"""Runs that keep to a target of latency, with a net that takes as long as its input is large."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from livevision import registry
from livevision.config import Settings
from livevision.errors import ModelError, UsageError
from livevision.frame import Batch
from livevision.inference.model_files import ModelFiles
from livevision.protocols import EngineSpec, TensorSpec
from livevision.runtime.metering import Meter
from livevision.runtime.run import Run
from tests import clips
from tests.end_to_end.conftest import Outcome

# Pixels a second: 320x320 take 60 ms, 256x256 take 38 ms, 192x192 take 22 ms, 160x160 take 15 ms.
SPEED = 320 * 320 / 0.06


class SlowEngine:
    """Stands in for an engine: waits, and finds nothing. Tells of what it did in ``seen``."""

    reads: ClassVar[str] = "weights"
    seen: ClassVar[list[tuple[int, int]]] = []
    closed: ClassVar[list[tuple[int, int]]] = []
    missing: ClassVar[set[tuple[int, int]]] = set()

    def __init__(self, files: ModelFiles, device: str, precision: str, threads: int | None) -> None:
        if files.input_size in self.missing:
            raise ModelError("no room for it")
        self.size = files.input_size
        shape = (1, self.size[1], self.size[0], 3)
        self.spec = EngineSpec("slow", "cpu", "fp32", {"image": TensorSpec(shape, "uint8")})

    def __call__(self, batch: Batch) -> dict[str, Any]:
        assert batch["image"].shape == self.spec.inputs["image"].shape
        self.seen.append(self.size)
        time.sleep(self.size[0] * self.size[1] / SPEED)
        return {
            "boxes": np.zeros((1, 1, 4), np.float32),
            "scores": np.full((1, 1), -1, np.float32),
            "classes": np.zeros((1, 1), np.int32),
        }

    def close(self) -> None:
        self.closed.append(self.size)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> type[SlowEngine]:
    monkeypatch.setitem(registry.ENGINES, "torch", f"{__name__}:SlowEngine")
    for name in ("seen", "closed"):
        monkeypatch.setattr(SlowEngine, name, [])
    return SlowEngine


def _settings(**given: Any) -> Settings:
    usual = {
        "source": "synthetic://160x120@25?frames=150&paced=1",
        "model": "thundernet-snet49",
        "engine": "torch",
        "headless": True,
        "target_latency": 40,
    }
    return Settings.of(**{**usual, **given})


def test_a_net_that_is_too_slow_gets_smaller_inputs_while_the_run_goes_on(
    slow: type[SlowEngine], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    run = Run(_settings(report=tmp_path / "report.json"), Meter(), draw=True)
    with run.outcome.reported(), closing(run.frames()) as frames:
        indices = [rendered.index for rendered in frames]
    report = json.loads((tmp_path / "report.json").read_text())
    told = report["target_latency"]
    assert indices == sorted(set(indices))
    dropped = sum(n for causes in report["dropped"].values() for n in causes.values())
    assert report["frames_in"] == report["frames_out"] + dropped
    assert told["input_sizes"] == ["320x320", "256x256", "192x192", "160x160"]
    assert told["changes"][0]["input_size"] == "256x256"
    assert told["changes"][0]["latency_ms"] > 40
    assert told["changes_in_all"] == len(told["changes"])
    # One net at a time, each size after the one before, and all let go of at the end.
    order = list(dict.fromkeys(slow.seen))
    assert order[:2] == [(320, 320), (256, 256)]
    assert sorted(set(slow.closed)) == sorted(set(slow.seen))
    lines = [r.getMessage() for r in caplog.records if "->" in r.getMessage()]
    assert len(lines) == told["changes_in_all"]
    assert "the target 40 ms: 320x320 every frame -> 256x256 every frame" in lines[0]
    levers = next(r.getMessage() for r in caplog.records if "levers" in r.getMessage())
    assert "320x320, 256x256, 192x192, 160x160" in levers


def test_a_size_that_cannot_be_opened_is_told_of_and_passed_over(
    slow: type[SlowEngine], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(SlowEngine, "missing", {(256, 256)})
    run = Run(_settings(source="synthetic://160x120@25?frames=120&paced=1"), Meter())
    with closing(run.frames()) as frames:
        assert sum(1 for _ in frames) > 20
    assert (256, 256) not in slow.seen
    assert (192, 192) in slow.seen
    assert "no room for it; continuing without that size" in caplog.text


def test_the_display_shows_size_and_stride(
    slow: type[SlowEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    from livevision.overlay.hud import HudOverlay

    def plan(_: object, rates: Any, room: Any) -> Any:
        shown.append(rates.model)
        return lambda image: None

    monkeypatch.setattr(HudOverlay, "plan", plan)
    run = Run(_settings(source="synthetic://160x120@25?frames=110&paced=1"), Meter(), draw=True)
    with closing(run.frames()) as frames:
        assert sum(1 for _ in frames) > 10
    assert shown[0] == "thundernet-snet49 320x320 every frame"
    assert "thundernet-snet49 256x256 every frame" in shown


def test_a_stride_thins_out_live_frames_and_counts_them(slow: type[SlowEngine]) -> None:
    run = Run(_settings(source="synthetic://64x48@50?frames=40&paced=1"), Meter())
    assert run._adaptive is not None
    run._adaptive._control.level = type(run._adaptive._control.level)(0, 4)
    run._adaptive.begin = lambda: None  # type: ignore[method-assign]
    with closing(run.frames()) as frames:
        indices = [rendered.index for rendered in frames]
    assert run.report()["dropped"]["preprocess"]["stride"] >= 20
    assert len(indices) <= 11


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--mode", "every-frame"), "mode every-frame drops none"),
        ((), "add --mode freshest"),
        (("--mode", "freshest", "--batch", "2"), "batch and target-latency"),
    ],
)
def test_a_target_is_refused_where_every_frame_is_taken(
    tmp_path: Path, livevision: Callable[..., Outcome], given: tuple[str, ...], says: str
) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=5)
    outcome = livevision("--source", clip.path, "--target-latency", "50", *given)
    assert outcome.code == 2
    assert says in outcome.one_line()


def test_a_source_that_turns_out_not_to_be_live_is_refused(slow: type[SlowEngine]) -> None:
    run = Run(_settings(source="synthetic://64x48?frames=5"), Meter())
    with pytest.raises(UsageError, match="is not live"), closing(run.frames()) as frames:
        list(frames)


def test_a_file_played_in_real_time_may_have_a_target(
    slow: type[SlowEngine], tmp_path: Path
) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=12)
    run = Run(_settings(source=str(clip.path), mode="freshest"), Meter())
    with closing(run.frames()) as frames:
        assert sum(1 for _ in frames) > 0
    assert run.report()["target_latency"]["target_ms"] == 40


@pytest.mark.parametrize("value", ["0", "50us", "fast", "20000"])
def test_what_a_target_may_be(value: str, livevision: Callable[..., Outcome]) -> None:
    outcome = livevision("--source", "webcam", "--target-latency", value)
    assert outcome.code == 2
    assert "milliseconds from 1 to 10000" in outcome.one_line()


def test_a_target_may_be_written_with_its_unit() -> None:
    assert _settings(target_latency="50ms").target_latency == 50
