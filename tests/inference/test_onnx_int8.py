"""Where an ONNX graph in int8 is in int8, and where it is not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from livevision.errors import ModelError
from livevision.inference import onnx_int8
from livevision.inference.onnx_layers import name_nodes, net_of
from tests import small_models


@pytest.fixture(scope="module")
def quantised(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Any]:
    """The detector in int8, by whether that is symmetric."""
    return {how: _quantised(tmp_path_factory.mktemp("int8"), how) for how in (False, True)}


def _quantised(tmp_path: Path, symmetric: bool) -> Any:
    width, height = small_models.CARDS["detect"].input_size
    threshold = np.array([0.5], np.float32)
    batches = [
        {"image": small_models.picture(width, height, seed)[None], "iou_threshold": threshold}
        for seed in range(2)
    ]
    output = tmp_path / "int8.onnx"
    onnx_int8.quantise(small_models.graph("detect"), batches, output, symmetric=symmetric)
    model = onnx.load(output)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_net_is_in_int8_and_the_rest_is_not(
    quantised: dict[bool, Any], symmetric: bool
) -> None:
    graph = quantised[symmetric].graph
    makes = {output: node for node in graph.node for output in node.output}
    readers = Counter(name for node in graph.node for name in node.input)
    quantised = {
        node.name
        for node in graph.node
        if makes.get(node.input[0] if node.input else "", node).op_type == "DequantizeLinear"
    }
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    first, *others = convolutions
    assert first.name not in quantised, "the layer that sees the picture"
    assert {node.name for node in others} <= quantised
    for node in graph.node:
        if node.op_type in ("TopK", "GridSample", "Exp", "Softmax", "Sigmoid", "Less"):
            assert node.name not in quantised, node.name
        if node.op_type == "QuantizeLinear":
            assert readers[node.output[0]], "no pair is left over"
            behind = makes.get(node.input[0])
            if symmetric and behind is not None and behind.op_type == "Conv":
                after = [n for n in graph.node if node.input[0] in n.input]
                assert "Relu" not in {n.op_type for n in after}, (
                    "a convolution and its ReLU are one"
                )


def test_zero_points_are_those_that_each_kind_takes(quantised: dict[bool, Any]) -> None:
    for symmetric, allowed in ((False, {0, 128}), (True, {0})):
        graph = quantised[symmetric].graph
        stored = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
        found = {
            int(stored[node.input[2]]) for node in graph.node if node.op_type == "QuantizeLinear"
        }
        assert found <= allowed
        assert found


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_numbers_without_a_range_are_told(tmp_path: Path) -> None:
    model = onnx.load(small_models.graph("segment"))
    name_nodes(model)
    layers = net_of(model)
    weights = next(n.input[1] for n in model.graph.node if n.op_type == "Conv" and n.name in layers)
    tensor = next(t for t in model.graph.initializer if t.name == weights)
    broken = onnx.numpy_helper.to_array(tensor) * np.float32(np.nan)
    tensor.CopyFrom(onnx.numpy_helper.from_array(broken, weights))
    path = tmp_path / "nan.onnx"
    onnx.save(model, path)
    batch = {"image": small_models.picture(96, 64)[None]}
    with pytest.raises(ModelError, match="infinite or none at all"):
        onnx_int8.quantise(path, [batch], tmp_path / "a.onnx")
