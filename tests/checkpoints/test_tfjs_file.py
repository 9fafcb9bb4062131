"""Layers out of TensorFlow.js graph models, the MobileNetV2 of TensorFlow's COCO-SSD among them.

Files are written as TensorFlow.js's converter writes them: names, layout of kernels, shards.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from livevision.checkpoints.tfjs_file import read_layers
from livevision.cli import main
from livevision.errors import ModelError
from livevision.nets import IMAGE_MEAN, IMAGE_STD, build
from livevision.nets.mobilenetv2 import MobileNetV2

SCOPE = "FeatureExtractor/MobilenetV2"


def write(folder: Path, stored: dict[str, np.ndarray], shards: int = 3) -> Path:
    """A graph model of these tensors, cut into shards anywhere."""
    data = b"".join(value.tobytes() for value in stored.values())
    cuts = np.linspace(0, len(data), shards + 1).astype(int) // 3 * 3
    cuts[-1] = len(data)
    paths = [f"group1-shard{n + 1}of{shards}" for n in range(shards)]
    for path, start, end in zip(paths, cuts, cuts[1:], strict=False):
        (folder / path).write_bytes(data[start:end])
    weights = [
        {"name": name, "shape": list(value.shape), "dtype": str(value.dtype)}
        for name, value in stored.items()
    ]
    file = folder / "model.json"
    file.write_text(
        json.dumps({"modelTopology": {}, "weightsManifest": [{"paths": paths, "weights": weights}]})
    )
    return file


def changed(file: Path, **values: Any) -> Path:
    """The file with other values in its only group."""
    content = json.loads(file.read_text())
    content["weightsManifest"][0] |= values
    file.write_text(json.dumps(content))
    return file


def hwio(kernel: Tensor) -> np.ndarray:
    return np.ascontiguousarray(kernel.permute(2, 3, 1, 0).numpy())


def coco_ssd(net: MobileNetV2) -> dict[str, np.ndarray]:
    """The net's backbone by TensorFlow's names, its norms folded, between parts of a detector."""
    state = net.state_dict()
    stored: dict[str, np.ndarray] = {
        "Preprocessor/sub/y": np.float32(1.0).reshape(()),
        "BoxPredictor_0/ClassPredictor/weights": np.zeros((1, 1, 576, 6), np.float32),
        "BoxPredictor_0/ClassPredictor/biases": np.zeros(6, np.float32),
    }

    def layer(ours: str, theirs: str) -> None:
        weight, bias = state[f"{ours}.0.weight"], state[f"{ours}.1.bias"]
        if weight.shape[1] == 1 and weight.shape[2] == 3:
            stored[f"{theirs}/depthwise_weights"] = hwio(weight).transpose(0, 1, 3, 2).copy()
            stored[f"{theirs}/BatchNorm/batchnorm/mul"] = state[f"{ours}.1.weight"].numpy()
        else:
            stored[f"{theirs}/Conv2D/merged_input"] = hwio(weight)
        stored[f"{theirs}/BatchNorm/batchnorm/sub"] = bias.numpy()

    layer("backbone.stem", f"{SCOPE}/Conv")
    places = [(s, i) for s, count in enumerate((1, 2, 3, 7, 4)) for i in range(count)]
    for n, (stage, i) in enumerate(places):
        block = f"{SCOPE}/expanded_conv_{n}" if n else f"{SCOPE}/expanded_conv"
        for name in ("expand", "depthwise", "project") if n else ("depthwise", "project"):
            layer(f"backbone.stages.{stage}.{i}.{name}", f"{block}/{name}")
    layer("backbone.stages.4.4", f"{SCOPE}/Conv_1")
    stored[f"{SCOPE}/layer_19_1_Conv2d_2_1x1_256/Conv2D/merged_input"] = np.zeros(
        (1, 1, 1280, 256), np.float32
    )
    stored["Postprocessor/Slice/size"] = np.zeros(3, np.int32)
    return stored


@torch.no_grad()
def test_the_backbone_of_coco_ssd_gives_the_same_maps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    net = build("mobilenetv2", num_classes=0).eval()
    for name, value in net.named_parameters():
        # Norms that a folded file can hold: no mean, no variance, scales in depthwise ones alone.
        if name.endswith(".1.bias"):
            value.normal_(0, 0.3)
        elif name.endswith("depthwise.1.weight"):
            value.uniform_(0.5, 1.5)
    file, output = write(tmp_path, coco_ssd(net)), tmp_path / "ours.safetensors"
    assert main(["import", str(file), "--as", "ours", "--output", str(output)]) == 0
    assert "COCO; became the net mobilenetv2, 3 tensors left out" in capsys.readouterr().err
    ours = build("mobilenetv2", num_classes=0).eval()
    ours.load_state_dict(load_file(output), strict=False)

    picture = torch.rand(1, 3, 96, 96)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGE_MEAN, IMAGE_STD))
    # Not at the border, where padding is 0 in pixels of either kind.
    first = ours.backbone.stem((picture - mean) / std)[..., 1:-1, 1:-1]
    theirs = net.backbone.stem(picture * 2 - 1)[..., 1:-1, 1:-1]
    torch.testing.assert_close(first, theirs, rtol=1e-4, atol=1e-4)
    x = y = F.relu6(torch.randn(1, 32, 24, 24))
    for stage, theirs_stage in zip(ours.backbone.stages, net.backbone.stages, strict=True):
        x, y = stage(x), theirs_stage(y)
        torch.testing.assert_close(x, y, rtol=1e-3, atol=1e-4)


def test_norms_that_are_not_folded_and_packed_values_are_read(tmp_path: Path) -> None:
    shape = {"gamma": 1.0, "beta": 2.0, "moving_mean": 3.0, "moving_variance": 4.0}
    stored = {f"a/BatchNorm/{k}": np.full(2, v, np.float32) for k, v in shape.items()}
    stored["a/weights"] = np.arange(24, dtype=np.float32).reshape(1, 3, 4, 2)
    stored["a/biases"] = np.array([10, 255], np.uint8)
    file = write(tmp_path, stored)
    weights = json.loads(file.read_text())["weightsManifest"][0]["weights"]
    weights[-1] |= {
        "dtype": "float32",
        "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1.0},
    }
    layers = read_layers(changed(file, weights=weights))
    assert layers["a.conv.bias"].tolist() == [4.0, 126.5]
    assert layers["a.conv.weight"].shape == (2, 4, 1, 3)
    assert layers["a.conv.weight"][1, 2, 0, 1] == stored["a/weights"][0, 1, 2, 1]
    leaves = ("weight", "bias", "running_mean", "running_var")
    assert [float(layers[f"a.norm.{leaf}"][0]) for leaf in leaves] == [1, 2, 3, 4]


def test_a_broken_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def wrong(match: str, **values: Any) -> None:
        file = write(tmp_path, {"a/weights": np.zeros((1, 1, 2, 2), np.float32)}, shards=2)
        with pytest.raises(ModelError, match=match):
            read_layers(changed(file, **values))

    wrong("ends? within 'a/weights'", paths=["group1-shard1of2"])
    wrong("have 32 bytes, its tensors 16", paths=["group1-shard1of2", "group1-shard2of2"] * 2)
    wrong("cannot read .*absent: No such file", paths=["absent"])
    wrong("'../secret' is not in its folder", paths=["../secret"])
    wrong("of the type 'string'", weights=[{"name": "a", "shape": [1], "dtype": "string"}])
    wrong("no TensorFlow.js graph model", weights=[{"name": "a"}])
    wrong("no convolutions", weights=[{"name": "a", "shape": [4], "dtype": "float32"}])
    other = tmp_path / "other.json"
    other.write_text("{}")
    assert main(["import", str(other), "--as", "other"]) == 4
    assert "'" + str(other) + "' cannot be read: it is no TensorFlow.js" in capsys.readouterr().err
