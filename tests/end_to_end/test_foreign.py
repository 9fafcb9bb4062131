"""Other people's ONNX files from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests import clips
from tests.end_to_end.conftest import Outcome, rows
from tests.models.foreign import making

Call = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _yolo(path: Path, side: int = 64) -> Path:
    columns = np.zeros((1, 6, 84), np.float32)
    columns[0, :, 3] = [32, 32, 16, 24, 0.1, 0.75]
    told = {"names": "{0: 'cat', 1: 'dog'}", "imgsz": f"[{side}, {side}]", "task": "detect"}
    return making.fixed(path, {"output0": columns}, (1, 3, side, side), metadata=told)


@pytest.mark.parametrize("flag", ["--model", "--weights"])
def test_a_yolo_on_a_clip(flag: str, tmp_path: Path, livevision: Call) -> None:
    clip = clips.make_clip(tmp_path / "in.mp4", frames=6)
    model, out = _yolo(tmp_path / "yolo11n.onnx"), tmp_path / "out.jsonl"
    outcome = livevision("--source", clip.path, flag, model, "--output", out)
    assert outcome.code == 0, outcome.err
    found = rows(out)
    assert [row["frame"] for row in found] == list(range(6))
    for row in found:
        (box,) = row["detections"]
        assert box["class"] == "dog"
        assert box["confidence"] == pytest.approx(0.75, abs=1e-3)
        assert box["box"] == pytest.approx([120, 60, 200, 180], abs=0.1)


def test_fit_leaves_the_margins_out_and_the_boxes_where_they_were(
    tmp_path: Path, livevision: Call
) -> None:
    clip = clips.make_clip(tmp_path / "in.mp4", frames=2, size=(320, 160))
    model = making.yolo(tmp_path / "square.onnx", 192, 192)
    run = ("--source", clip.path, "--model", model, "--conf", "0.4", "--max-det", 300, "-v")
    found = []
    for name, size in (("own", ()), ("fit", ("--imgsz", "fit"))):
        outcome = livevision(*run, *size, "--output", tmp_path / f"{name}.jsonl")
        assert outcome.code == 0, outcome.err
        assert ("runs at 192x128 instead of 192x192" in outcome.err) == (name == "fit")
        found.append(rows(tmp_path / f"{name}.jsonl"))
    for own, fit in zip(*found, strict=True):
        inside = [box for box in own["detections"] if box["box"][1] > 0 and box["box"][3] < 160]
        assert len(inside) > 20
        theirs = {(box["class"], *box["box"]): box["confidence"] for box in fit["detections"]}
        for box in inside:
            assert theirs[(box["class"], *box["box"])] == pytest.approx(box["confidence"], abs=1e-3)


def test_fit_keeps_the_input_of_a_file_that_takes_no_other(
    tmp_path: Path, livevision: Call
) -> None:
    clip = clips.make_clip(tmp_path / "in.mp4", frames=2, size=(320, 160))
    model = _yolo(tmp_path / "yolo.onnx", side=192)
    outcome = livevision(
        *("--source", clip.path, "--model", model, "--imgsz", "fit", "-v"),
        *("--output", tmp_path / "out.jsonl"),
    )
    assert outcome.code == 0, outcome.err
    assert "yolo stays at 192x192" in outcome.err
    assert len(rows(tmp_path / "out.jsonl")) == 2


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"no graph"])
def test_a_file_that_is_none(content: bytes, tmp_path: Path, livevision: Call) -> None:
    clip = clips.make_clip(tmp_path / "in.mp4", frames=3)
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(content)
    outcome = livevision("--source", clip.path, "--model", bad, "--output", tmp_path / "o.jsonl")
    assert outcome.code == 4, outcome.err
    assert "bad.onnx" in outcome.one_line()


def test_labels_without_such_a_file(tmp_path: Path, livevision: Call) -> None:
    clip = clips.make_clip(tmp_path / "in.mp4", frames=3)
    outcome = livevision("--source", clip.path, "--labels", "voc20", "--output", tmp_path / "o.csv")
    assert outcome.code == 2, outcome.err
    assert "--model FILE.onnx" in outcome.one_line()


def test_import_writes_what_was_recognised(tmp_path: Path, livevision: Call) -> None:
    model = _yolo(tmp_path / "mine.onnx")
    outcome = livevision("import", model)
    assert outcome.code == 0, outcome.err
    told = yaml.safe_load((tmp_path / "mine.yaml").read_text())
    assert told == {
        "output": "yolo",
        "input_size": [64, 64],
        "colour": "RGB",
        "mean": [0, 0, 0],
        "std": [255, 255, 255],
        "fit": "letterbox",
        "fill": 114,
        "resize": "bilinear",
        "labels": ["cat", "dog"],
        "licence": "unknown",
    }
    assert livevision("import", model).code == 5  # it is not replaced unasked
    assert livevision("import", model, "--overwrite").code == 0


def test_import_leaves_open_what_it_cannot_know(tmp_path: Path, livevision: Call) -> None:
    model = making.mean_colours(tmp_path / "m.onnx", (1, 3, 32, 32))
    outcome = livevision("import", model)
    assert outcome.code == 0, outcome.err
    text = (tmp_path / "m.yaml").read_text()
    assert yaml.safe_load(text) == {
        "output": "scores",
        "fit": "centre-crop",
        "input_size": [32, 32],
    }
    assert "# mean: [123.675, 116.28, 103.53]" in text
    clip = clips.make_clip(tmp_path / "in.mp4", frames=3)
    refused = livevision("--source", clip.path, "--model", model, "--output", tmp_path / "o.csv")
    assert refused.code == 4
    assert "mean" in refused.one_line()
