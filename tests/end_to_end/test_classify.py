"""Classification from a file to results and an annotated video, with a net that nobody trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import livevision
from livevision.results import Label
from tests import clips
from tests.end_to_end.conftest import Outcome, rows

Call = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_labels_of_every_frame(tmp_path: Path, livevision: Call) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4")
    results, video = tmp_path / "out.jsonl", tmp_path / "out.mp4"
    arguments = ["--source", clip.path, "--output", results, "--output", video]
    arguments += ["--task", "classify", "--model", "shufflenetv2-0.5", "--untrained"]
    outcome = livevision(*arguments, "--imgsz", 64)
    assert outcome.code == 0, outcome.err
    assert "random weights" in outcome.err
    written = rows(results)
    assert [row["frame"] for row in written] == list(range(clip.frames))
    for row in written:
        assert row.keys() == {"source", "frame", "time", "labels"}
        confidences = [label["confidence"] for label in row["labels"]]
        assert len(confidences) == 5
        assert confidences == sorted(confidences, reverse=True)
        assert all(label["class"] == f"class {label['class_id']}" for label in row["labels"])
    assert len(clips.read_clip(video)) == clip.frames


def test_a_model_that_is_named_settles_the_task(tmp_path: Path) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4")
    options = {"model": "snet49", "untrained": True, "imgsz": 64, "max_frames": 2}
    for frame in livevision.run(clip.path, task="classify", engine="torch", **options):
        assert isinstance(frame.label, Label)
        assert frame.detections is None
        assert (frame.image != frame.frame.image).any(), "the labels are drawn"


def test_engines_agree_on_the_probabilities() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    found = [
        livevision.load("xception39", engine, untrained=True, imgsz=64)(image)
        for engine in ("torch", "onnx", "openvino")
    ]
    for other in found[1:]:
        np.testing.assert_allclose(other.confidence, found[0].confidence, atol=2e-3)


def test_without_a_name_the_shipped_classifier_looks(tmp_path: Path, livevision: Call) -> None:
    results = tmp_path / "out.jsonl"
    arguments = ["--source", "synthetic", "--task", "classify", "--max-frames", 2]
    outcome = livevision(*arguments, "--output", results)
    assert outcome.code == 0, outcome.err
    for row in rows(results):
        assert len(row["labels"]) == 5
        assert all(0 <= label["class_id"] < 200 for label in row["labels"])


def test_classes_cannot_be_chosen(livevision: Call) -> None:
    outcome = livevision(
        "--source", "synthetic", "--model", "snet49", "--untrained", "--classes", 3
    )
    assert outcome.code == 2
    assert "detection only" in outcome.one_line()
