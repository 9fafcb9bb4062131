"""Every net by name: a card, a clear line where nobody trained it, an exported file that suits all.

Exported are the nets without those that are larger ones, or other unions, of the same blocks;
`scripts/compare-engines --random` does all of them at their own sizes.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

import livevision
from livevision import nets
from livevision.cli.models import command
from livevision.errors import ModelError
from livevision.inference.description import read_description
from livevision.inference.model_files import OUTPUTS, ModelFiles
from livevision.models import catalog
from livevision.models.catalog import ModelCard
from livevision.models.export import OPSET, SCORE_TOLERANCE, export_graph
from livevision.models.untrained import NETS

LARGE = {"light-head-l", "resnet101", "snet535", "stdc2", "stdc2-seg", "thundernet-snet535"}
LARGE |= {
    "light-head-l-release",
    "bisenet-resnet18-ported",
    "shufflenetv2-1.5",
    "shufflenetv2-2.0",
    "snet146",
    "xception-b",
}
LIVE = ["light-head-shufflenetv2", "thundernet-shufflenetv2", "bisenet-shufflenetv2", "dfanet-b"]
LIVE += ["snet49"]
SAME_PARTS = {"bisenet-shufflenetv2", "dfanet-mobilenetv2", "dfanet-shufflenetv2", "resnet18"}
SAME_PARTS |= {"light-head-mobilenetv2", "light-head-shufflenetv2", "shufflenetv2-0.5", "stdc1"}
SAME_PARTS |= {"thundernet-shufflenetv2", "xception-star"}
DATA_DEPENDENT = {"Compress", "If", "Loop", "NonMaxSuppression", "NonZero", "RoiAlign", "Scan"}
DATA_DEPENDENT |= {"Unique"}


def test_every_net_can_be_named() -> None:
    known = {*catalog.names(), *catalog.untrained_names()}
    assert set(nets.names()) <= known
    assert all(name in nets.names() for name in NETS)


@pytest.mark.parametrize("name", NETS)
def test_the_table_tells_what_the_net_is(name: str) -> None:
    from livevision.nets.published import Published

    row = NETS[name]
    width, height = row.input_size
    options = {"num_classes": row.classes, **row.options}
    parameters, multiply_adds = Published(name, height, width, None, 0, options=options).count()
    assert row.params == round(parameters * 1e6)
    assert row.madds == round(multiply_adds * 1e6)


@pytest.mark.parametrize("name", catalog.untrained_names())
def test_without_trained_weights_one_line_says_so(name: str) -> None:
    with pytest.raises(ModelError) as raised:
        livevision.load(name)
    (line,) = str(raised.value).splitlines()
    assert f"{name!r} has no trained weights yet" in line
    assert "--untrained" in line
    assert livevision.load(name, untrained=True).card.score == {}


def test_the_line_names_what_is_trained() -> None:
    with pytest.raises(ModelError, match="trained: bisenet-xception39-camvid"):
        livevision.load("bisenet-xception39")


@pytest.mark.parametrize("name", LIVE)
def test_a_net_runs_in_the_live_pipeline_by_its_name(name: str) -> None:
    options = {"model": name, "untrained": True, "imgsz": 96, "engine": "torch"}
    task = NETS[name].task
    rendered = list(livevision.run("synthetic", task=task, max_frames=2, **options))
    assert len(rendered) == 2
    assert all(tuple(frame.results) == (name,) for frame in rendered)


def small(name: str) -> tuple[ModelFiles, ModelCard]:
    """A net at 96×64 with four classes, random weights."""
    card = catalog.find(name)
    options = {**card.net_options, "num_classes": 4}
    files = ModelFiles(card.name, card.task, card.net, (96, 64), options)
    return files, replace(card, labels=("a", "b", "c", "d"), input_size=(96, 64))


def test_a_net_on_a_backbone_of_ones_own_choice_is_exported_too(tmp_path: Path) -> None:
    _, card = small("thundernet-snet146")
    options = {"backbone": "stdc1", "num_classes": 4}
    files = ModelFiles("mine", "detect", "thundernet", (96, 64), options)
    path = tmp_path / "net.onnx"
    assert export_graph(files, replace(card, name="mine"), path) <= SCORE_TOLERANCE
    assert read_description(path)["net"] == "thundernet"
    boxes = livevision.load(weights=path, engine="onnx")(np.zeros((50, 70, 3), np.uint8))
    assert boxes.xyxy.shape[1] == 4


@pytest.mark.parametrize("name", [name for name in NETS if name not in LARGE | SAME_PARTS])
def test_an_exported_net_suits_tensorrt_and_runs_alone(name: str, tmp_path: Path) -> None:
    files, card = small(name)
    path = tmp_path / "net.onnx"
    assert export_graph(files, card, path) <= SCORE_TOLERANCE
    told = read_description(path)
    assert json.loads(told["labels"]) == ["a", "b", "c", "d"]
    assert (told["input_size"], told["colour_order"], told["fit"]) == ("96x64", "BGR", card.fit)
    assert set(json.loads(told["card"])) == {"params", "madds", "data", "score", "licence"}

    model: Any = onnx.load(path)
    assert model.opset_import[0].version == OPSET <= 20
    operators = {node.op_type for node in model.graph.node}
    assert not operators & DATA_DEPENDENT
    assert "BatchNormalization" not in operators, "folded into convolutions and linear layers"
    assert max(top_k(model), default=0) <= 3840
    assert [port.name for port in model.graph.output] == list(OUTPUTS[card.task])
    shapes = fixed_shapes(model)
    unknown = [name for node in model.graph.node for name in node.output if name not in shapes]
    assert unknown == []
    assert min(min(shape, default=1) for shape in shapes.values()) > 0


def fixed_shapes(model: Any) -> dict[str, list[int]]:
    """Shapes of all tensors whose sizes a reader of the file knows beforehand."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    known = {}
    for group in (inferred.graph.input, inferred.graph.value_info, inferred.graph.output):
        for info in group:
            tensor = info.type.tensor_type
            if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
                known[info.name] = [d.dim_value for d in tensor.shape.dim]
    return known


def top_k(model: Any) -> list[int]:
    """How many each TopK takes."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = node.attribute[0].t
    taken = [node.input[1] for node in model.graph.node if node.op_type == "TopK"]
    return [int(onnx.numpy_helper.to_array(constants[name]).item()) for name in taken]


def test_counts_stand_beside_the_papers() -> None:
    rows = [
        row
        for name in ("mobilenetv2", "light-head-l", "shufflenetv2-1.0")
        for row in json.loads(CliRunner().invoke(command, [name, "--counts", "--json"]).output)
    ]
    of = {(row["net"], row["counted"], *row["input_size"]): row for row in rows}
    mobile = of["mobilenetv2", "", 224, 224]
    assert (mobile["params"], mobile["params_paper"]) == (3.5049, 3.4)
    assert (mobile["madds_m"], mobile["madds_m_paper"]) == (300.77, 300)
    assert of["light-head-l", "num_classes 80", 608, 400]["madds_m_paper"] is None
    megvii, torchvision = (
        of["shufflenetv2-1.0", f"downsample_style {style}", 224, 224]
        for style in ("megvii", "torchvision")
    )
    assert (megvii["madds_m"], torchvision["madds_m"]) == (145.81, 144.91)
    shown = CliRunner().invoke(command, ["mobilenetv2", "--counts"]).output
    assert "6.9 M" in shown
    assert "its release has 6.06" in shown
    assert "shufflenet" not in shown
