"""Third-party files for OpenVINO: IR with Ultralytics' metadata, and invalid ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest

import livevision
from livevision.errors import ModelError, UsageError
from tests.models.foreign import making

IMAGE = np.empty((32, 32, 3), np.uint8)
IMAGE[:] = (40, 90, 200)  # blue, green, red


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _converted(onnx_file: Path) -> Path:
    """The graph as an IR without livevision's metadata."""
    path = onnx_file.with_suffix(".xml")
    ov.save_model(ov.Core().read_model(str(onnx_file)), str(path), compress_to_fp16=False)
    return path


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_colours_range_and_layout(layout: str, tmp_path: Path) -> None:
    size = (1, 3, 32, 32) if layout == "NCHW" else (1, 32, 32, 3)
    path = _converted(making.mean_colours(tmp_path / "m.onnx", size))
    path.with_suffix(".yaml").write_text(
        "colour: RGB\nmean: [100, 0, 0]\nstd: [100, 90, 80]\nlabels: [r, g, b]\n"
    )
    with livevision.load(path) as model:
        found = model(IMAGE)
    likely = np.exp([1.0, 1.0, 0.5])
    likely /= likely.sum()
    by_class = dict(zip(found.class_id.tolist(), found.confidence.tolist(), strict=True))
    assert [by_class[n] for n in range(3)] == pytest.approx(likely.tolist(), abs=1e-3)


def test_ultralytics_metadata_file_is_read(tmp_path: Path) -> None:
    columns = np.zeros((1, 6, 84), np.float32)
    columns[0, :, 3] = [32, 32, 16, 24, 0.1, 0.75]
    path = _converted(making.fixed(tmp_path / "y.onnx", {"output0": columns}))
    (tmp_path / "metadata.yaml").write_text(
        "task: detect\nimgsz: [64, 64]\nnames:\n  0: cat\n  1: dog\n"
    )
    with livevision.load(path) as model:
        assert model.labels == ["cat", "dog"]
        found = model(np.zeros((64, 128, 3), np.uint8))
        assert np.array_equal(found.xyxy, [[48, 8, 80, 56]])
        assert found.data["class_name"].tolist() == ["dog"]


def test_dynamic_shapes_are_set(tmp_path: Path) -> None:
    path = _converted(making.segmenter(tmp_path / "s.onnx", ("n", 3, "h", "w")))
    image = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    with livevision.load(path, imgsz=(96, 64)) as model:
        first = model(image).class_map
    with livevision.load(tmp_path / "s.onnx", "openvino", imgsz=(96, 64)) as model:
        second = model(image).class_map
    assert (first == second).mean() > 0.99


def _broken(tmp_path: Path, kind: str) -> Path:
    path = _converted(making.mean_colours(tmp_path / "m.onnx", (1, 3, 32, 32)))
    path.with_suffix(".yaml").write_text(
        "colour: RGB\nmean: [0, 0, 0]\nstd: [1, 1, 1]\nlabels: [r, g, b]\n"
    )
    if kind == "weights":
        path.with_suffix(".bin").unlink()
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    elif kind == "tflite":
        path = tmp_path / "no.tflite"
        path.write_bytes(b"\x1c\x00\x00\x00TFL3 and then nothing")
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [("weights", "no m.bin"), ("cut", "cut short"), ("tflite", "OpenVINO cannot read it")],
)
def test_invalid_openvino_files(kind: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        livevision.load(_broken(tmp_path, kind))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_it_runs_only_on_openvino(tmp_path: Path) -> None:
    path: Any = _broken(tmp_path, "")
    with pytest.raises(UsageError, match="--engine openvino"):
        livevision.load(path, "onnx")
