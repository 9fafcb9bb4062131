"""Convolutions out of TFLite graphs, whose layers have no names, and the MobileNetV2 among them.

Graphs are put together with OpenVINO, which reads the format but does not write it. The last test
takes the real file, at the path in the variable OPEN_IMAGES_SSD; recipe thundernet-mobilenetv2
says where it is to be had.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch
from openvino import opset13 as op
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from livevision.checkpoints.conversion import convert
from livevision.checkpoints.importing import recognise
from livevision.checkpoints.mobilenetv2 import DEEPLAB, OPEN_IMAGES_SSD
from livevision.checkpoints.tflite_file import convolutions
from livevision.cli import main
from livevision.errors import ModelError
from livevision.nets import IMAGE_MEAN, IMAGE_STD, build
from tests.checkpoints.standins import numbered

_MIDDLE = 500  # pixels from the border to where MobileNetV2's padding reaches no more
_MOVED = 31  # pixels between the grids of TensorFlow's and our padding


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_convolutions_are_read_with_their_biases() -> None:
    dense, bias = drawn(4, 3, 3, 3).half(), drawn(4).half()
    depthwise, bare = drawn(4, 1, 3, 3), drawn(2, 4, 1, 1)
    pads = ([1, 1], [1, 1])
    x = op.parameter([1, 3, 8, 8], np.float32)
    y = op.convolution(x, op.convert(op.constant(dense.numpy()), "f32"), [1, 1], *pads, [1, 1])
    added = op.reshape(op.convert(op.constant(bias.numpy()), "f32"), [1, 4, 1, 1], False)
    y = op.relu(op.add(y, added))
    grouped = op.constant(depthwise[:, :, None].numpy())
    y = op.group_convolution(y, grouped, [1, 1], *pads, [1, 1])
    y = op.convolution(y, op.constant(bare.numpy()), [1, 1], [0, 0], [0, 0], [1, 1])
    model = ov.Model([y], [x], "graph")
    image = drawn(1, 3, 8, 8)

    tensors = convolutions(model)

    def layer(x: Tensor, n: int, padding: int, groups: int = 1) -> Tensor:
        x = F.conv2d(x, tensors[f"conv.{n}.weight"], padding=padding, groups=groups)
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(tensors[f"norm.{n}.{name}"] for name in names), eps=0)

    ours = layer(layer(layer(image, 0, 1).relu(), 1, 1, 4), 2, 0)
    assert len(tensors) == 15
    core = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    torch.testing.assert_close(ours, torch.from_numpy(core([image.numpy()])[0]))


def test_a_backbone_is_found_between_the_heads() -> None:
    net = build("mobilenetv2", num_classes=0)
    tensors = numbered(net, {40: (12, 576, 1, 1), 41: (72, 576, 1, 1), 54: (256, 1280, 1, 1)})

    converted = convert(tensors, OPEN_IMAGES_SSD.target(tensors))

    found = converted.tensors
    assert torch.equal(found["backbone.stages.0.0.depthwise.0.weight"], tensors["conv.1.weight"])
    assert torch.equal(found["backbone.stages.4.0.depthwise.0.weight"], tensors["conv.42.weight"])
    assert torch.equal(found["backbone.stages.4.4.1.bias"], tensors["norm.53.bias"])
    assert sorted({name.split(".")[1] for name in converted.left_out}) == ["40", "41", "54"]
    # The stem gives for our pixels what theirs does for pixels of -1 to 1.
    picture = torch.rand(1, 3, 16, 16)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGE_MEAN, IMAGE_STD))
    theirs = F.conv2d(picture * 2 - 1, tensors["conv.0.weight"])
    ours = F.conv2d((picture - mean) / std, found["backbone.stem.0.weight"])
    torch.testing.assert_close(
        ours - found["backbone.stem.1.running_mean"].view(1, -1, 1, 1), theirs, rtol=1e-4, atol=1e-4
    )


def test_deeplab_s_backbone_is_what_lies_before_its_head() -> None:
    net = build("mobilenetv2", num_classes=0, last=0)
    head = {51: (256, 320, 1, 1), 52: (256, 320, 1, 1), 53: (256, 512, 1, 1), 54: (21, 256, 1, 1)}
    tensors = numbered(net, head)
    layout = recognise(tensors, Path("deeplab.tflite"))
    assert layout is DEEPLAB
    converted = convert(tensors, layout.target(tensors))
    found = converted.tensors
    assert torch.equal(found["backbone.stages.4.3.project.0.weight"], tensors["conv.50.weight"])
    assert sorted({name.split(".")[1] for name in converted.left_out}) == ["51", "52", "53", "54"]
    # A segmenter takes all of it.
    segmenter = build("bisenet-mobilenetv2", num_classes=3).state_dict()
    ours = {name: v.shape for name, v in segmenter.items() if name.startswith("backbone.")}
    assert {name: v.shape for name, v in found.items()} == {
        name: shape for name, shape in ours.items() if not name.endswith("num_batches_tracked")
    }


def test_another_graph_is_told() -> None:
    tensors = numbered(build("mobilenetv2", num_classes=0, width=0.5), {0: (1, 1, 1, 1)})
    with pytest.raises(ModelError, match=r"none of its convolutions .* backbone\.stem"):
        OPEN_IMAGES_SSD.target(tensors)


def test_a_file_that_is_no_graph_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.tflite").write_bytes(b"no graph at all")
    assert main(["import", "net.tflite", "--as", "net"]) == 4
    assert "'net.tflite' cannot be read" in capsys.readouterr().err
    assert not Path("net.safetensors").exists()


@pytest.mark.skipif("OPEN_IMAGES_SSD" not in os.environ, reason="OPEN_IMAGES_SSD is not set")
@torch.no_grad()
def test_the_real_backbone_gives_the_same_maps(tmp_path: Path) -> None:
    file, output = os.environ["OPEN_IMAGES_SSD"], tmp_path / "features.safetensors"
    assert main(["import", file, "--as", "features", "--output", str(output)]) == 0
    net = build("mobilenetv2", num_classes=0).eval()
    net.load_state_dict(load_file(output), strict=False)
    picture = F.avg_pool2d(torch.rand(1, 3, 1152 + _MOVED, 1152 + _MOVED), 8, 1, 4)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGE_MEAN, IMAGE_STD))
    moved = picture[..., _MOVED : _MOVED + 1152, _MOVED : _MOVED + 1152]
    ours = net.backbone((moved - mean) / std)[-1]

    model = ov.Core().read_model(file)
    (last,) = (n for n in model.get_ordered_ops() if n.output(0).shape == [1, 1280, 10, 10]
               and n.get_type_name() == "Clamp")  # fmt: skip
    part = ov.Model([op.result(last.output(0))], model.get_parameters(), "backbone")
    part.reshape([1, 1152, 1152, 3])
    core = ov.Core().compile_model(part, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    image = picture[..., :1152, :1152].permute(0, 2, 3, 1).numpy() * 2 - 1
    theirs = torch.from_numpy(core([image])[0])

    middle = slice(_MIDDLE // 32, -(_MIDDLE // 32))
    torch.testing.assert_close(
        ours[..., middle, middle], theirs[..., middle, middle], rtol=1e-3, atol=2e-3
    )
    assert theirs[..., middle, middle].max() > 1
