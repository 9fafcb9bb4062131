"""Several live sources through a net that takes their frames in one call."""

from __future__ import annotations

import logging
import time
from contextlib import closing
from typing import Any, ClassVar

import numpy as np
import pytest

from livevision import registry
from livevision.config import Settings
from livevision.frame import Batch
from livevision.inference.model_files import ModelFiles
from livevision.protocols import EngineSpec, TensorSpec
from livevision.runtime.metering import Meter
from livevision.runtime.run import Run

CALL_S = 0.03


class WideEngine:
    """Stands in for a GPU: a call takes as long for several images as for one.

    It finds one box in every image, as far from the left as the image is bright.
    """

    reads: ClassVar[str] = "weights"
    calls: ClassVar[list[int]] = []
    opened: ClassVar[list[int]] = []

    def __init__(self, files: ModelFiles, device: str, precision: str, threads: int | None) -> None:
        self.opened.append(files.batch)
        width, height = files.input_size
        shape = TensorSpec((files.batch, height, width, 3), "uint8")
        inputs = {"image": shape, "iou_threshold": TensorSpec((1,), "float32")}
        self.spec = EngineSpec("wide", "cuda:0", "fp16", inputs)

    def __call__(self, batch: Batch) -> dict[str, Any]:
        images = batch["image"]
        assert images.shape == self.spec.inputs["image"].shape
        assert batch["iou_threshold"].shape == (1,)
        self.calls.append(len(images))
        time.sleep(CALL_S)
        boxes = np.zeros((len(images), 1, 4), np.float32)
        boxes[:, 0, 0] = images.mean((1, 2, 3)) / 2
        boxes[:, 0, 2:] = 0.9 * images.shape[2]
        return {
            "boxes": boxes,
            "scores": np.full((len(images), 1), 0.9, np.float32),
            "classes": np.zeros((len(images), 1), np.int32),
        }

    def close(self) -> None:
        pass


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> type[WideEngine]:
    monkeypatch.setitem(registry.ENGINES, "torch", f"{__name__}:WideEngine")
    for name in ("calls", "opened"):
        monkeypatch.setattr(WideEngine, name, [])
    return WideEngine


def _settings(cameras: int, **given: Any) -> Settings:
    sources = [f"synthetic://{n}x96@60?frames={90 + n}&paced=1" for n in (96, 128, 160)[:cameras]]
    return Settings.of(source=sources, engine="torch", headless=True, **given)


def test_frames_of_three_cameras_go_through_the_net_together(
    wide: type[WideEngine], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    run = Run(_settings(3), Meter())
    boxes: dict[int, list[float]] = {0: [], 1: [], 2: []}
    indices: dict[int, list[int]] = {0: [], 1: [], 2: []}
    with closing(run.frames()) as frames:
        for rendered in frames:
            assert rendered.detections is not None
            # In the frame's own pixels, so the widest camera has the widest box.
            boxes[rendered.frame.source].append(float(rendered.detections.xyxy[0, 2]))
            indices[rendered.frame.source].append(rendered.index)
    assert "frames of 3 sources go through the net 3 at once where they wait" in caplog.text
    assert wide.opened == [1, 3]
    assert set(wide.calls) == {1, 3}
    together = wide.calls.count(3) - 8  # less those that were measured
    assert together > 5
    for source, width in enumerate((96, 128, 160)):
        assert indices[source] == sorted(set(indices[source]))
        assert max(boxes[source]) <= width
        assert max(boxes[source]) > width - 40
    report = run.report()
    dropped = sum(n for causes in report["dropped"].values() for n in causes.values())
    assert report["frames_in"] == report["frames_out"] + dropped


@pytest.mark.parametrize(
    ("cameras", "given"), [(1, {}), (3, {"batch": 1}), (2, {"target_latency": 500})]
)
def test_where_it_is_not_worth_it_frames_go_one_by_one(
    cameras: int, given: dict[str, Any], wide: type[WideEngine]
) -> None:
    run = Run(_settings(cameras, max_frames=3, **given), Meter())
    with closing(run.frames()) as frames:
        assert sum(1 for _ in frames) > 0
    assert set(wide.opened) == {1}
    assert set(wide.calls) == {1}


@pytest.mark.parametrize(("cameras", "at_once"), [(4, False), (5, True)], ids=["few", "many"])
def test_frames_of_many_cameras_are_computed_at_once_by_a_light_net(
    cameras: int, at_once: bool
) -> None:
    sources = [f"synthetic://{64 + 16 * n}x64@10?frames=15&paced=1" for n in range(cameras)]
    run = Run(
        Settings.of(source=sources, model="thundernet-snet49", threads=2, headless=True), Meter()
    )
    (inference,) = [stage for stage in run.stages if stage.name == "inference"]
    depths = set()
    indices: dict[int, list[int]] = {n: [] for n in range(cameras)}
    with closing(run.frames()) as frames:
        for rendered in frames:
            depths.add(inference.depth > 1)  # type: ignore[union-attr]
            assert rendered.frame.image.shape[1] == 64 + 16 * rendered.frame.source
            indices[rendered.frame.source].append(rendered.index)
    assert (True in depths) == at_once  # once the nets are closed, none is in flight
    for of_source in indices.values():
        assert of_source
        assert of_source == sorted(set(of_source))
    report = run.report()
    dropped = sum(n for causes in report["dropped"].values() for n in causes.values())
    assert report["frames_in"] == report["frames_out"] + dropped


class LateEngine:
    """Stands in for a CPU that is busy elsewhere: frames are old when they are computed."""

    reads: ClassVar[str] = "weights"
    depth, streams = 2, 2
    started: ClassVar[list[float]] = []
    finished: ClassVar[list[float]] = []

    def __init__(self, files: ModelFiles, device: str, precision: str, threads: int | None,
                 overlap: bool = False) -> None:  # fmt: skip
        width, height = files.input_size
        image = TensorSpec((1, height, width, 3), "uint8")
        inputs = {"image": image, "iou_threshold": TensorSpec((1,), "float32")}
        self.spec = EngineSpec("late", "cpu", "fp32", inputs)

    def __call__(self, batch: Batch) -> dict[str, Any]:
        return {
            "boxes": np.zeros((1, 1, 4), np.float32),
            "scores": np.zeros((1, 1), np.float32),
            "classes": np.zeros((1, 1), np.int32),
        }

    def start(self, batch: Batch) -> Any:
        self.started.append(time.monotonic())
        return _Late(self)

    def close(self) -> None:
        pass


class _Late:
    done: float | None = None

    def __init__(self, engine: LateEngine) -> None:
        self._engine = engine

    def __call__(self) -> dict[str, Any]:
        time.sleep(0.35)
        self._engine.finished.append(time.monotonic())
        return self._engine({})


def test_what_is_in_flight_is_waited_for_however_old_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine's memory for a frame is used again once its result was fetched."""
    monkeypatch.setitem(registry.ENGINES, "torch", f"{__name__}:LateEngine")
    for name in ("started", "finished"):
        monkeypatch.setattr(LateEngine, name, [])
    sources = [f"synthetic://{64 + 16 * n}x64@20?frames=60&paced=1" for n in range(5)]
    settings = Settings.of(source=sources, model="thundernet-snet49", engine="torch", headless=True)
    run = Run(settings, Meter())
    with closing(run.frames()) as frames:
        for _ in frames:
            pass
    assert len(LateEngine.started) > 5
    assert len(LateEngine.finished) == len(LateEngine.started)
    report = run.report()
    dropped = sum(n for causes in report["dropped"].values() for n in causes.values())
    assert report["frames_in"] == report["frames_out"] + dropped
