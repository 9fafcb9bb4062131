"""Files of others in lower precision, and as files of livevision's own, from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from livevision.bench.nets import measure
from tests import clips
from tests.end_to_end.conftest import Outcome, rows
from tests.models.foreign import making

Call = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Twelve pictures with smooth shades, each another."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(12):
        noise = draw.integers(0, 256, (6, 8, 3), np.uint8)
        picture = cv2.resize(noise, (128, 96), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    return folder


@pytest.mark.parametrize(
    ("form", "precision", "name"),
    [
        ("onnx", "fp32", "mine.onnx"),
        ("openvino", "fp32", "mine.xml"),
        ("openvino", "bf16", "mine.xml"),
        ("onnx", "fp16", "mine.onnx"),
        ("openvino", "int8", "mine.xml"),
    ],
)
def test_it_is_exported_and_run(
    form: str, precision: str, name: str, tmp_path: Path, pictures: Path, livevision: Call
) -> None:
    theirs = making.segmenter(tmp_path / "theirs.onnx", (1, 3, 64, 64))
    made = tmp_path / "made"
    made.mkdir()
    evidence = {"fp32": [], "int8": ["--calibrate", pictures]}.get(precision, ["--check", pictures])
    outcome = livevision(
        "export", theirs, "--format", form, "--precision", precision, *evidence,
        "--output", made / name,
    )  # fmt: skip
    if precision == "bf16" and "does not compute in bf16" in outcome.err:
        pytest.skip("this processor has no bf16")
    assert outcome.code == 0, outcome.err
    if precision != "fp32":
        assert f"agreement of {precision}: mIoU" in outcome.err
    clip = clips.make_clip(tmp_path / "in.mp4", frames=4)
    shares = []
    for model in (theirs, made / name):
        out = tmp_path / f"{model.parent.name}-{model.stem}.jsonl"
        run = livevision("--source", clip.path, "--model", model, "--output", out)
        assert run.code == 0, run.err
        shares.append([row["segments"] for row in rows(out)])
    for first, second in zip(*shares, strict=True):
        for label in first:
            assert first[label] == pytest.approx(second.get(label, 0), abs=0.05)


def test_int8_is_asked_for_by_precision(tmp_path: Path, pictures: Path, livevision: Call) -> None:
    theirs = making.segmenter(tmp_path / "theirs.onnx", (1, 3, 64, 64))
    clip = clips.make_clip(tmp_path / "in.mp4", frames=3)
    run = ("--source", clip.path, "--model", theirs, "--precision", "int8", "--overwrite")
    outcome = livevision(*run, "--output", tmp_path / "o.jsonl")
    assert outcome.code == 4, outcome.err
    assert "livevision export" in outcome.one_line()
    made = livevision("export", theirs, "--precision", "int8", "--calibrate", pictures)
    assert made.code == 0, made.err
    assert livevision(*run, "--output", tmp_path / "o.jsonl").code == 0


def test_nets_are_timed(tmp_path: Path) -> None:
    theirs = making.segmenter(tmp_path / "theirs.onnx", (1, 3, 64, 64))
    time = measure(str(theirs), "onnx", repeats=2)
    assert time.madds == 32 * 32 * 432
    assert time.ms > 0
