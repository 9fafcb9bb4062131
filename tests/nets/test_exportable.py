"""Nets of every kind become ONNX graphs of fixed shapes that compute the same.

The graph keeps to what TensorRT builds: no operator whose output size depends on the data, no
top-k beyond its 3840.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from livevision.nets import build

DATA_DEPENDENT = {
    "Compress", "If", "Loop", "NonMaxSuppression", "NonZero", "Scan", "Unique", "RoiAlign",
}  # fmt: skip
OPSET = 17
# One of each kind. tests/models/test_every_net.py exports the others, as the application does.
NETS = ["bisenet-resnet18-ported", "bisenetv2", "dfanet-a", "light-head-s", "shufflenetv2-1.5"]
NETS += ["snet146", "stdc1-seg", "thundernet-snet49"]


def settle(net: nn.Module) -> nn.Module:
    """Give a detector weights with which scores differ: fresh ones call all things alike."""
    if hasattr(net, "propose"):
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        net.train().features(torch.randn(2, 3, 64, 96))
        for layer in (net.classes, net.boxes):
            nn.init.normal_(layer.weight, 0, 0.1)
    return net.eval().requires_grad_(False)


@pytest.mark.parametrize("name", NETS)
def test_graph(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = settle(build(name, num_classes=4))
    inputs = {"image": torch.randn(1, 3, 64, 96)}
    if hasattr(net, "propose"):
        inputs["iou_threshold"] = torch.tensor([0.5])
    path = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            tuple(inputs.values()),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
        )
    graph = onnx.load(path).graph
    assert not {node.op_type for node in graph.node} & DATA_DEPENDENT
    assert max(top_k(graph), default=0) <= 3840
    for output in graph.output:
        assert all(size.dim_value > 0 for size in output.type.tensor_type.shape.dim)

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    theirs = session.run(None, {name: x.numpy() for name, x in inputs.items()})
    ours = net(*inputs.values())
    if isinstance(ours, torch.Tensor):
        largest = float(ours.abs().max())
        np.testing.assert_allclose(theirs[0], ours.numpy(), atol=1e-4 * largest, rtol=0)
        return
    boxes, scores, classes = (x.numpy() for x in ours)
    assert (scores > 0).sum() > 5
    np.testing.assert_allclose(theirs[1], scores, atol=5e-4)
    # Rows of almost the same score may change places.
    apart = np.abs(np.diff(scores, prepend=2, append=-2)).clip(max=1)
    apart = np.minimum(apart[:, 1:], apart[:, :-1]) > 1e-3
    real = apart & (scores > 0)
    assert real.any()
    np.testing.assert_allclose(theirs[0][real], boxes[real], atol=0.05)
    assert (theirs[2][real] == classes[real]).all()


@pytest.mark.parametrize("name", ["bisenetv2", "stdc1"])
def test_norms_that_no_exporter_folds_are_folded_before(name: str) -> None:
    torch.manual_seed(0)
    net = build(name, num_classes=4)
    images = torch.randn(2, 3, 64, 96)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean, module.running_var):
                nn.init.uniform_(values, 0.5, 1.5)
    net.eval().requires_grad_(False)
    expected = net(images)
    folding = [m for m in net.modules() if hasattr(m, "fold_norms")]
    assert len(folding) == 1
    folding[0].fold_norms()
    assert isinstance(folding[0].norm, nn.Identity)
    largest = float(expected.abs().max())
    torch.testing.assert_close(net(images), expected, atol=1e-5 * largest, rtol=0)


def top_k(graph: onnx.GraphProto) -> list[int]:
    """How many each TopK of a graph takes."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = node.attribute[0].t
    counts = []
    for node in graph.node:
        if node.op_type == "TopK":
            counts.append(int(onnx.numpy_helper.to_array(constants[node.input[1]]).item()))
    return counts
