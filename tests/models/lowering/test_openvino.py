"""OpenVINO files: true to fp32 or refused, and complete in themselves."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import livevision
from livevision.cli.export import command
from livevision.errors import ModelError, OutputError, UsageError
from livevision.inference.agreement import Agreement, NothingToCompare, agreement
from livevision.inference.description import read_description
from livevision.models import lowering
from livevision.models.lowering import Evidence, write_openvino
from tests import shallow_model, small_models

SEGMENT, SIZE = shallow_model.CARD, shallow_model.SIZE


def test_int8_that_agrees_is_kept_and_tells_how_far(
    shallow: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames = shallow_model.frames(shallow_model.pictures(tmp_path / "good"), shallow)
    output = tmp_path / "a.xml"
    found = write_openvino(shallow_model.files(shallow), SEGMENT, output, "int8", Evidence(frames))
    assert found is not None
    assert found.value > lowering.BOUNDS["segment"]
    assert 4 <= found.frames < 18, "only frames that were not calibrated on are compared on"
    told = read_description(output)
    assert told["precision"] == "int8"
    assert Agreement.from_json(told["agreement"]) == found
    assert output.with_suffix(".bin").stat().st_size < 10_000
    assert "FakeQuantize" in output.read_text()

    with caplog.at_level(logging.INFO, "livevision"), livevision.load(weights=output) as loaded:
        image = small_models.picture(160, 120, 40)
        lowered = loaded(image).class_map
        assert loaded.engine_spec is not None
        assert str(loaded.engine_spec) == "openvino cpu int8"
        assert loaded.agreement == found
    assert str(found) in caplog.text
    fp32 = livevision.load(weights=shallow)(image).class_map
    assert 0 < (lowered != fp32).mean() < 0.2, "int8 is another arithmetic"


def test_a_ruined_calibration_is_refused(
    shallow: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Ranges taken from pictures of hardly any contrast, compared on pictures as they should be."""
    good = shallow_model.frames(shallow_model.pictures(tmp_path / "good"), shallow)
    faint = shallow_model.frames(shallow_model.pictures(tmp_path / "faint", contrast=0.1), shallow)
    output = tmp_path / "a.xml"
    evidence = Evidence(faint, good)
    with pytest.raises(ModelError, match=r"agrees too little with fp32: mIoU 0\.\d.*--force"):
        write_openvino(shallow_model.files(shallow), SEGMENT, output, "int8", evidence)
    assert not output.exists()
    assert not output.with_suffix(".bin").exists()
    found = write_openvino(
        shallow_model.files(shallow), SEGMENT, output, "int8", evidence, force=True
    )
    assert found is not None
    assert found.value < lowering.BOUNDS["segment"]
    assert "agrees too little" in caplog.text
    assert Agreement.from_json(read_description(output)["agreement"]) == found


@pytest.mark.parametrize("kind", ["black", "noise"])
def test_frames_that_show_nothing_are_refused(shallow: Path, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / kind
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(12):
        noise = random.integers(0, 255, (120, 160, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number:02}.png"), noise if kind == "noise" else noise * 0)
    frames = shallow_model.frames(str(folder), shallow)
    with pytest.raises(ModelError, match=f"100% of the frames of {kind} are blank or noise"):
        write_openvino(
            shallow_model.files(shallow), SEGMENT, tmp_path / "a.xml", "int8", Evidence(frames)
        )


def test_fp16_is_compared_too(shallow: Path, tmp_path: Path) -> None:
    frames = shallow_model.frames(shallow_model.pictures(tmp_path / "good"), shallow)
    half, whole = tmp_path / "half.xml", tmp_path / "whole.xml"
    assert write_openvino(shallow_model.files(shallow), SEGMENT, whole) is None
    with pytest.raises(ModelError, match="compared with fp32 on real frames"):
        write_openvino(shallow_model.files(shallow), SEGMENT, half, "fp16")
    found = write_openvino(
        shallow_model.files(shallow), SEGMENT, half, "fp16", Evidence(None, frames)
    )
    assert found is not None
    assert found.value > 0.99
    sizes = [path.with_suffix(".bin").stat().st_size for path in (half, whole)]
    assert sizes[0] < sizes[1]


def test_bf16_is_compared_and_then_taken(shallow: Path, tmp_path: Path) -> None:
    frames = shallow_model.frames(shallow_model.pictures(tmp_path / "good"), shallow)
    output = tmp_path / "a.xml"
    try:
        found = write_openvino(
            shallow_model.files(shallow),
            SEGMENT,
            output,
            "bf16",
            Evidence(None, frames),
            force=True,
        )
    except UsageError:
        pytest.skip("this processor does not compute in bf16")
    assert found is not None
    assert found.value < 1, "bf16 is another arithmetic"
    with livevision.load(weights=output) as loaded:
        loaded.open()
        assert str(loaded.engine_spec) == "openvino cpu bf16"
        assert loaded.agreement == found


def test_an_openvino_file_runs_without_torch_and_onnx(tmp_path: Path) -> None:
    for task, card in small_models.CARDS.items():
        output = tmp_path / f"{task}.xml"
        write_openvino(small_models.files(task, with_graph=True), card, output)
        assert read_description(output) == {
            **read_description(small_models.graph(task)),
            "precision": "fp32",
        }
    code = f"""
import sys
sys.modules.update(torch=None, onnx=None)
import numpy as np, livevision
image = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
for task in {tuple(small_models.CARDS)!r}:
    with livevision.load(weights={str(tmp_path)!r} + f"/{{task}}.xml", conf=0.01) as model:
        np.save({str(tmp_path)!r} + f"/{{task}}.npy", model.infer(model.prepare(image)[0]), True)
        print(model.name, model.task, len(model.labels), model.engine_spec)
"""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert ran.stdout.count("openvino cpu fp32") == 3, ran.stderr
    image = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
    for task in small_models.CARDS:
        with livevision.load(weights=small_models.graph(task), conf=0.01) as model:
            wanted = model.infer(model.prepare(image)[0])
        found = np.load(tmp_path / f"{task}.npy", allow_pickle=True).item()
        for name, array in wanted.items():
            np.testing.assert_allclose(found[name], array, atol=1e-4)


def test_openvino_files_that_are_not_whole_are_told(shallow: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.xml"
    write_openvino(shallow_model.files(shallow), SEGMENT, output)
    text = output.read_bytes()
    output.write_bytes(text[: len(text) // 2])
    with pytest.raises(ModelError, match="cut short"):
        livevision.load(weights=output)
    output.write_bytes(
        text.replace(b"<livevision>", b"<other>").replace(b"</livevision>", b"</other>")
    )
    with pytest.raises(ModelError, match="does not contain its colour"):  # as somebody else's
        livevision.load(weights=output)
    output.write_bytes(text)
    output.with_suffix(".bin").unlink()
    with pytest.raises(ModelError, match=r"there is no a\.bin"):
        livevision.load(weights=output)


def test_int8_by_name_is_found_or_told_how_to_make(
    shallow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from livevision.models import catalog, choice

    card = replace(SEGMENT, name="shallow", input_size=SIZE, folder=tmp_path)
    (tmp_path / "shallow.onnx").write_bytes(shallow.read_bytes())
    monkeypatch.setattr(catalog, "find", lambda name: card)
    monkeypatch.setattr(choice, "card_of", lambda name, weights, labels=None: card)
    with pytest.raises(ModelError, match=r"no int8 file at 96x64.*livevision export shallow"):
        livevision.load("shallow", precision="int8")
    arguments = [
        "shallow",
        "--precision",
        "int8",
        "--calibrate",
        shallow_model.pictures(tmp_path / "good"),
    ]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "agreement of int8: mIoU 0." in result.stderr
    assert result.stdout.count("\n") == 1, "the file's name and nothing else"
    with livevision.load("shallow", precision="int8") as loaded:
        loaded.open()
        assert loaded.engine_spec is not None
        assert loaded.engine_spec.precision == "int8"
    (tmp_path / "shallow.onnx").write_bytes(small_models.graph("segment").read_bytes())
    with pytest.raises(ModelError, match="no int8 file"):  # that of other weights does not serve
        livevision.load("shallow", precision="int8")


def test_precisions_that_a_file_does_not_have(shallow: Path, tmp_path: Path) -> None:
    frames = shallow_model.frames(shallow_model.pictures(tmp_path / "good"), shallow)
    output = tmp_path / "a.xml"
    write_openvino(shallow_model.files(shallow), SEGMENT, output, "int8", Evidence(frames))
    with pytest.raises(UsageError, match="stored in int8 and cannot compute in fp32"):
        livevision.load(weights=output, precision="fp32").open()
    for engine in ("torch", "onnx"):
        with pytest.raises(UsageError, match="openvino"):
            livevision.load(weights=output, engine=engine)
    for engine in ("openvino", "onnx"):
        with pytest.raises(ModelError, match=f"no int8 file .* livevision export .* {engine} "):
            livevision.load(weights=shallow, engine=engine, precision="int8")
    lowered = replace(shallow_model.files(output), precision="int8")
    with pytest.raises(ModelError, match="is in int8; give the weights"):
        write_openvino(lowered, SEGMENT, tmp_path / "b.xml", "fp16", Evidence(None, frames))


@pytest.mark.parametrize(
    ("arguments", "error", "line"),
    [
        (["--output", "a.xml", "--format", "onnx"], UsageError, "must end in .onnx"),
        (
            ["--output", "a.onnx", "--format", "tflite"],
            UsageError,
            "known: onnx, openvino, tensorrt",
        ),
        (["--precision", "int8", "--output", "a.xml"], UsageError, "--calibrate CLIP.mp4"),
        (["--precision", "fp16", "--output", "a.xml"], UsageError, "--check CLIP.mp4"),
        (["--precision", "bf16", "--output", "a.xml"], UsageError, "bf16 is compared"),
        (["--precision", "int4", "--output", "a.xml"], UsageError, "fp32, fp16, bf16, int8"),
        (["--precision", "int8", "--output", "a.onnx"], UsageError, "--calibrate CLIP.mp4"),
        (["--precision", "bf16", "--output", "a.onnx"], UsageError, "take --format openvino"),
        (["--output", "a.engine"], ModelError, r"livevision[tensorrt]"),
        (["--output", "a.onnx", "--weights", "b.engine"], UsageError, "already"),
        (["--output", "no/a.xml"], OutputError, "no folder"),
        (["--output", "a.xml", "--calibrate", "x.mp4"], UsageError, "is for --precision int8"),
        (["--output", "a.xml", "--weights", "b.xml"], UsageError, "already"),
        (
            ["--output", "a.xml", "--precision", "int8", "--calibrate", "webcam"],
            UsageError,
            "is live",
        ),
    ],
)
def test_wrong_uses_of_the_command(
    arguments: list[str],
    error: type[Exception],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, ["thundernet-snet49", *arguments])
    assert isinstance(result.exception, error), result.exception
    assert line in str(result.exception)
    assert list(tmp_path.iterdir()) == []


class Answers:
    """An engine that gives what it was told to."""

    def __init__(self, *outputs: dict[str, Any]) -> None:
        self._outputs = iter(outputs)

    def __call__(self, batch: Any) -> dict[str, Any]:
        return next(self._outputs)


def _found(*rows: tuple[float, int, tuple[float, float, float, float]]) -> dict[str, Any]:
    scores, classes, boxes = zip(*rows, strict=True)
    return {
        "scores": np.array([scores], np.float32),
        "classes": np.array([classes], np.int32),
        "boxes": np.array([boxes], np.float32),
    }


BOX, HALF, FAR = (0, 0, 10, 10), (0, 0, 10, 8), (50, 50, 60, 60)


def _compare(task: str, ours: Any, theirs: Any) -> Agreement:
    engines: Any = (Answers(theirs), Answers(ours))
    return agreement(task, ["a", "b"], *engines, [{}])


def test_agreement_of_boxes() -> None:
    theirs = _found((0.9, 0, BOX), (0.8, 0, FAR), (0.7, 1, BOX), (0.1, 1, FAR))
    same = _compare("detect", theirs, theirs)
    assert (same.figure, same.value, same.box_iou) == ("AP50", pytest.approx(1), pytest.approx(1))
    # One of class a's two boxes is gone and b's is narrower: (2 x 51/101 + 1 x 1) / 3.
    ours = _found((0.9, 0, BOX), (0.7, 1, HALF))
    found = _compare("detect", ours, theirs)
    assert found.value == pytest.approx((2 * 51 / 101 + 1) / 3)
    assert found.box_iou == pytest.approx((1 + 0.8) / 2)
    with pytest.raises(NothingToCompare, match="no box with a score"):
        _compare("detect", theirs, _found((0.2, 0, BOX)))


def test_agreement_of_class_maps_and_labels() -> None:
    theirs = {"class_map": np.array([[[0, 0, 1, 1]]], np.uint8)}
    ours = {"class_map": np.array([[[0, 0, 0, 1]]], np.uint8)}
    assert _compare("segment", ours, theirs).value == pytest.approx((2 / 3 + 1 / 2) / 2)
    with pytest.raises(NothingToCompare, match="only 'a'"):
        _compare("segment", ours, {"class_map": np.zeros((1, 1, 4), np.uint8)})
    engines: Any = (
        Answers({"classes": np.array([[0, 1]])}, {"classes": np.array([[1, 0]])}),
        Answers({"classes": np.array([[0, 1]])}, {"classes": np.array([[0, 1]])}),
    )
    assert agreement("classify", ["a", "b"], *engines, [{}, {}]).value == 0.5
