"""Exported graphs: whole, small, true to torch, and never half there."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from click.testing import CliRunner

from livevision.cli.export import command
from livevision.errors import ModelError, OutputError, UsageError
from livevision.inference.description import read_description
from livevision.inference.onnx_engine import OnnxEngine
from livevision.models import export
from tests import small_models


@pytest.mark.parametrize("task", small_models.CARDS)
def test_a_graph_is_whole_and_small(task: str) -> None:
    path = small_models.graph(task)
    model: Any = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == export.OPSET
    inputs = {i.name: i.type.tensor_type.elem_type for i in model.graph.input}
    assert inputs["image"] == onnx.TensorProto.UINT8
    weights = small_models.weights(task).stat().st_size
    assert path.stat().st_size < 2.5 * weights, "each weight is stored once, in float32"


def test_norms_are_folded_into_convolutions() -> None:
    for task in ("detect", "segment"):
        model = onnx.load(small_models.graph(task))
        kinds = {node.op_type for node in model.graph.node}
        assert "Conv" in kinds
        assert "BatchNormalization" not in kinds


def test_a_graph_that_differs_from_torch_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PIXEL_TOLERANCE", -1.0)
    output = tmp_path / "a.onnx"
    with pytest.raises(ModelError, match="differs from PyTorch"):
        export.export_graph(small_models.files("segment"), small_models.CARDS["segment"], output)
    assert list(tmp_path.iterdir()) == []


def test_the_check_sees_other_weights() -> None:
    """The random start in torch against the graph of the real weights."""
    files = replace(small_models.files("segment", with_graph=True), weights=None)
    with pytest.raises(ModelError, match="differs from PyTorch"):
        export._difference(files)


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_box_at_the_threshold_of_overlap_is_no_fault(
    everywhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores that differ where boxes overlap by just one half, or whatever the threshold."""
    answer = OnnxEngine.__call__

    def differs(self: OnnxEngine, batch: Any) -> dict[str, Any]:
        outputs = answer(self, batch)
        tied = everywhere or batch["iou_threshold"][0] == 0.5
        return {**outputs, "scores": outputs["scores"] - 0.01 * tied}

    monkeypatch.setattr(OnnxEngine, "__call__", differs)
    files = small_models.files("detect", with_graph=True)
    if everywhere:
        with pytest.raises(ModelError, match="differs from PyTorch"):
            export._difference(files)
    else:
        assert export._difference(files) <= export.SCORE_TOLERANCE


def test_cached_graphs_depend_on_all_that_shapes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made: list[Path] = []

    def write(files: Any, card: Any, path: Path) -> float:
        made.append(path)
        path.write_bytes(b"graph")
        return 0.0

    monkeypatch.setattr(export, "export_graph", write)
    files, card = small_models.files("segment"), small_models.CARDS["segment"]
    other = tmp_path / "other.safetensors"
    other.write_bytes(small_models.weights("segment").read_bytes() + b" ")
    for variant in (
        files,
        replace(files, input_size=(64, 64)),
        replace(files, weights=other),
        replace(files, weights=None),
        replace(files, net_options={"num_classes": 12}),
    ):
        first = export.cached_graph(variant, card)
        assert export.cached_graph(variant, card) == first
    export.cached_graph(files, replace(card, labels=("a", "b")))
    monkeypatch.setattr(export, "WRITTEN", export.WRITTEN + 1)
    export.cached_graph(files, card)
    assert len(set(made)) == len(made) == 7


def test_the_command_writes_a_graph_that_tells_its_size(tmp_path: Path) -> None:
    output = tmp_path / "a.onnx"
    arguments = ["bisenet-xception39-camvid", "--output", str(output), "--imgsz", "96x64"]
    arguments += ["--weights", str(small_models.weights("segment"))]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert str(output) in result.output
    assert read_description(output)["input_size"] == "96x64"
    refused = CliRunner().invoke(command, arguments)
    assert isinstance(refused.exception, OutputError)
    assert "--overwrite" in str(refused.exception)


def test_a_link_is_written_through_and_a_pipe_refused(tmp_path: Path) -> None:
    link = tmp_path / "link.onnx"
    link.symlink_to(tmp_path / "real.onnx")
    arguments = ["bisenet-xception39-camvid", "--imgsz", "96x64", "--output"]
    weights = ["--weights", str(small_models.weights("segment"))]
    result = CliRunner().invoke(command, [*arguments, str(link), *weights], catch_exceptions=False)
    assert result.exit_code == 0
    assert link.is_symlink()
    assert read_description(tmp_path / "real.onnx")["input_size"] == "96x64"
    pipe = tmp_path / "pipe.onnx"
    os.mkfifo(pipe)
    refused = CliRunner().invoke(command, [*arguments, str(pipe), "--overwrite", *weights])
    assert "is a pipe" in str(refused.exception)
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ([], "bisenet-xception39-camvid.onnx"),
        (["--imgsz", "96x64"], "bisenet-xception39-camvid-96x64.onnx"),
        (["--imgsz", "64", "--format", "openvino"], "bisenet-xception39-camvid-64x64.xml"),
    ],
)
def test_without_an_output_the_file_is_named_after_what_it_is(
    more: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = small_models.weights("segment")
    monkeypatch.chdir(tmp_path)
    arguments = ["bisenet-xception39-camvid", "--weights", str(weights), *more]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == name
    assert Path(name).is_file()
    refused = CliRunner().invoke(command, arguments)
    assert "--overwrite" in str(refused.exception)


@pytest.mark.parametrize(
    ("arguments", "error", "line"),
    [
        (["thundernet-snet94"], UsageError, "thundernet-snet49"),
        (["thundernet-snet94", "--output", "a.onnx"], UsageError, "thundernet-snet49"),
        (["thundernet-snet49", "--output", "a.pt"], UsageError, "must end in .onnx"),
        (["thundernet-snet49", "--output", "no/a.onnx"], OutputError, "no folder"),
        (["thundernet-snet49", "--output", "a.onnx", "--imgsz", "big"], UsageError, "640x352"),
        (["thundernet-snet49", "--output", "a.onnx", "--weights", "b.onnx"], UsageError, "already"),
        (["thundernet-snet49", "--output", "a.onnx", "--weights", "b.pt"], ModelError, "no such"),
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
    result = CliRunner().invoke(command, arguments)
    assert isinstance(result.exception, error)
    assert line in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_leaky_relu_stays_in_the_graph(tmp_path: Path) -> None:
    options = {"num_classes": 20, "activation": "leaky_relu"}
    card = replace(small_models.CARDS["detect"], net_options=options)
    files = replace(small_models.files("detect"), net_options=options)
    export.export_graph(files, card, tmp_path / "a.onnx")  # compared with torch on the way
    model: Any = onnx.load(tmp_path / "a.onnx")
    leaky = [node for node in model.graph.node if node.op_type == "LeakyRelu"]
    assert len(leaky) == 1 + 3 * 3 + 13 * 2 + 1  # stem, units of stride 2 and 1, conv5
    slopes = [a.f for node in leaky for a in node.attribute if a.name == "alpha"]
    assert slopes == pytest.approx([0.1] * len(leaky))
