"""ONNX files of lower precision: true to fp32 or refused, found by name, and what runs them."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

import livevision
from livevision.cli.export import command
from livevision.errors import ModelError, UsageError
from livevision.inference.agreement import Agreement
from livevision.inference.description import read_description
from livevision.models import lowering
from livevision.models.lowering import Evidence, frames_for, write_onnx
from tests import shallow_model, small_models

CARD = shallow_model.CARD


def test_int8_that_agrees_is_kept_and_runs_in_int8(
    shallow: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames = shallow_model.frames(shallow_model.pictures(tmp_path / "good"), shallow)
    output = tmp_path / "a.onnx"
    found = write_onnx(shallow_model.files(shallow), CARD, output, "int8", Evidence(frames))
    assert found is not None
    assert found.value > lowering.BOUNDS["segment"]
    assert 4 <= found.frames < 18, "only frames that were not calibrated on are compared on"
    told = read_description(output)
    assert told == {
        **read_description(shallow),
        "precision": "int8",
        "agreement": found.to_json(),
    }
    model = onnx.load(output)
    kinds = {node.op_type for node in model.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    weights = [t for t in model.graph.initializer if len(t.dims) == 4]
    assert {t.data_type for t in weights} == {onnx.TensorProto.INT8}

    with caplog.at_level(logging.INFO, "livevision"), livevision.load(weights=output) as loaded:
        image = small_models.picture(160, 120, 40)
        lowered = loaded(image).class_map
        assert str(loaded.engine_spec) == "onnx cpu int8"
        assert loaded.agreement == found
    assert str(found) in caplog.text
    fp32 = livevision.load(weights=shallow, engine="onnx")(image).class_map
    assert 0 < (lowered != fp32).mean() < 0.2, "int8 is another arithmetic"
    with pytest.raises(UsageError, match="stored in int8 and cannot compute in fp32"):
        livevision.load(weights=output, engine="onnx", precision="fp32").open()


def test_a_ruined_calibration_is_refused(
    shallow: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Ranges taken from pictures of hardly any contrast, compared on pictures as they should be."""
    good = shallow_model.frames(shallow_model.pictures(tmp_path / "good"), shallow)
    faint = shallow_model.frames(shallow_model.pictures(tmp_path / "faint", contrast=0.1), shallow)
    output, evidence = tmp_path / "a.onnx", Evidence(faint, good)
    files = shallow_model.files(shallow)
    with pytest.raises(ModelError, match=r"agrees too little with fp32: mIoU 0\.\d.*--force"):
        write_onnx(files, CARD, output, "int8", evidence)
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == []
    found = write_onnx(files, CARD, output, "int8", evidence, force=True)
    assert found is not None
    assert found.value < lowering.BOUNDS["segment"]
    assert "agrees too little" in caplog.text
    assert Agreement.from_json(read_description(output)["agreement"]) == found


def test_fp16_is_compared_and_half_as_large(tmp_path: Path) -> None:
    files, card = small_models.files("classify", with_graph=True), small_models.CARDS["classify"]
    assert files.graph is not None
    frames = frames_for(card, files, [shallow_model.pictures(tmp_path / "good")])
    output = tmp_path / "half.onnx"
    found = write_onnx(files, card, output, "fp16", Evidence(None, frames), force=True)
    assert found is not None
    assert (found.figure, found.frames) == ("top-1", 18)
    assert output.stat().st_size < 0.6 * files.graph.stat().st_size
    with livevision.load(weights=output, engine="onnx") as loaded:
        loaded.open()
        assert str(loaded.engine_spec) == "onnx cpu fp16"
        assert loaded.agreement == found


def test_the_command_puts_it_where_the_name_finds_it(
    shallow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from livevision.models import catalog, choice

    card = replace(CARD, name="shallow", input_size=shallow_model.SIZE, folder=tmp_path)
    (tmp_path / "shallow.onnx").write_bytes(shallow.read_bytes())
    monkeypatch.setattr(catalog, "find", lambda name: card)
    monkeypatch.setattr(choice, "card_of", lambda name, weights, labels=None: card)
    with pytest.raises(ModelError, match=r"no int8 file at 96x64 for onnx .* --format onnx "):
        livevision.load("shallow", engine="onnx", precision="int8")
    arguments = ["shallow", "--format", "onnx", "--precision", "int8"]
    arguments += ["--calibrate", shallow_model.pictures(tmp_path / "good")]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "agreement of int8: mIoU 0." in result.stderr
    assert result.stdout.count("\n") == 1, "the file's name and nothing else"
    with livevision.load("shallow", engine="onnx", precision="int8") as loaded:
        image = small_models.picture(160, 120, 3)
        assert len(np.unique(loaded(image).class_map)) > 1
        assert str(loaded.engine_spec) == "onnx cpu int8"
    with pytest.raises(ModelError, match="no int8 file at 96x64 for openvino"):
        livevision.load("shallow", engine="openvino", precision="int8")
