"""Plans of TensorRT as files, with stand-ins for the GPU: compared, whole, tied to one GPU."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

import livevision
from livevision.cli.export import command
from livevision.errors import ModelError
from livevision.inference import select
from livevision.inference.description import read_description
from livevision.models import lowering
from livevision.models.lowering import Evidence, write_tensorrt
from tests import shallow_model, small_models
from tests.inference import fake_cuda

CARD = shallow_model.CARD


@pytest.fixture
def trt(monkeypatch: pytest.MonkeyPatch) -> Iterator[fake_cuda.TensorRT]:
    with fake_cuda.installed(monkeypatch) as fake:
        yield fake


def test_int8_is_quantised_for_it_compared_on_it_and_kept(
    trt: fake_cuda.TensorRT, shallow: Path, tmp_path: Path
) -> None:
    frames = shallow_model.frames(shallow_model.pictures(tmp_path / "good"), shallow)
    output = tmp_path / "a.engine"
    found = write_tensorrt(shallow_model.files(shallow), CARD, output, "int8", Evidence(frames))
    assert found is not None
    assert found.value > lowering.BOUNDS["segment"]
    assert read_description(output) == {
        **read_description(shallow),
        "precision": "int8",
        "agreement": found.to_json(),
        "gpu": "Fake GPU 3000",
        "capability": "8.7",
        "tensorrt": "10.15.1",
    }
    (built,) = trt.built
    assert output.read_bytes() == b"plan" + built, "as TensorRT's own tools read it"
    graph = onnx.load_from_string(built).graph
    assert "QuantizeLinear" in {node.op_type for node in graph.node}
    with livevision.load(weights=output) as loaded:
        image = small_models.picture(160, 120, 40)
        lowered = loaded(image).class_map
        assert str(loaded.engine_spec) == "tensorrt cuda:0 int8"
        assert loaded.agreement == found
    fp32 = livevision.load(weights=shallow, device="cpu")(image).class_map
    assert 0 < (lowered != fp32).mean() < 0.2
    assert len(trt.built) == 1, "the file is run as it is"


def test_a_ruined_calibration_is_refused(
    trt: fake_cuda.TensorRT, shallow: Path, tmp_path: Path
) -> None:
    good = shallow_model.frames(shallow_model.pictures(tmp_path / "good"), shallow)
    faint = shallow_model.frames(shallow_model.pictures(tmp_path / "faint", contrast=0.1), shallow)
    output, files = tmp_path / "a.engine", shallow_model.files(shallow)
    with pytest.raises(ModelError, match="agrees too little with fp32"):
        write_tensorrt(files, CARD, output, "int8", Evidence(faint, good))
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_the_command_writes_one_for_the_gpu_of_this_machine(
    trt: fake_cuda.TensorRT, tmp_path: Path
) -> None:
    output = tmp_path / "a.engine"
    arguments = ["bisenet-xception39-camvid", "--format", "tensorrt", "--output", str(output)]
    arguments += ["--imgsz", "96x64", "--weights", str(small_models.weights("segment"))]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout == f"{output}\n"
    assert read_description(output)["precision"] == "fp32"
    image = small_models.picture(96, 64)
    with livevision.load(weights=output) as loaded:
        assert len(np.unique(loaded(image).class_map)) > 1
        assert str(loaded.engine_spec) == "tensorrt cuda:0 fp32"
    beside = output.with_suffix(".json")
    told = json.loads(beside.read_text())
    for key, value in (("gpu", "Orin"), ("tensorrt", "10.3.0"), ("capability", "9.0")):
        beside.write_text(json.dumps({**told, key: value}))
        with pytest.raises(ModelError, match=f"was built for .*{value}.*this is Fake GPU 3000"):
            livevision.load(weights=output).open()
    beside.write_text("nonsense")
    with pytest.raises(ModelError, match="describes no plan"):
        livevision.load(weights=output)
    beside.unlink()
    with pytest.raises(ModelError, match=r"there is no a\.json"):
        livevision.load(weights=output)
    beside.write_text(json.dumps(told))
    output.write_bytes(b"cut short")
    with pytest.raises(ModelError, match=r"cannot open .*a\.engine"):
        livevision.load(weights=output).open()


def test_without_a_gpu_it_says_so_before_anything_else(
    trt: fake_cuda.TensorRT, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["thundernet-snet49", "--format", "tensorrt", "--output", "a.engine"]
    arguments += ["--precision", "int8", "--calibrate", "missing.mp4"]
    monkeypatch.setattr(select, "has_driver", lambda: False)
    result = CliRunner().invoke(command, arguments)
    assert isinstance(result.exception, ModelError)
    assert "no CUDA device here; use --format onnx here, and build there" in str(result.exception)
