"""BiSeNet V1 and V2 and STDC-Seg of mmsegmentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from livevision.checkpoints.datasets import dataset
from livevision.checkpoints.layout import Layout, Modules, Target, Tensors, blocks, prefixed
from livevision.checkpoints.resnet import resnet_modules, resnet_shape
from livevision.errors import ModelError

_LICENCE = "Apache-2.0 (mmsegmentation)"


def _target(tensors: Tensors, net: str, options: Mapping[str, Any], modules: Modules) -> Target:
    """The target with what all three share: the head, and ImageNet's normalisation."""
    classes = tensors["decode_head.conv_seg.weight"].shape[0]
    about = dataset(classes)
    return Target(
        net=net,
        options={"num_classes": classes, "aux": False, **options},
        modules={
            **prefixed(modules, "backbone.", ""),
            **blocks({"decode_head.convs.0": "head.0"}),
            "decode_head.conv_seg": "head.1",
        },
        task="segment",
        input_size=about.size,
        data=about.name,
        licence=f"{_LICENCE}; {about.terms}",
        ignored=("auxiliary_head.",),
    )


def _bisenet(tensors: Tensors) -> Target:
    shape = resnet_shape(tensors, "backbone.context_path.backbone.")
    if shape != ((2, 2, 2, 2), 2):
        raise ModelError(
            f"its context path is a ResNet of {', '.join(map(str, shape[0]))} blocks of {shape[1]} "
            "convolutions with wider paths beside it; of mmsegmentation's BiSeNets only the one on "
            "ResNet-18 is supported"
        )
    modules = prefixed(resnet_modules(*shape), "context_path.backbone.", "backbone.") | blocks(
        {
            **{f"spatial_path.layer{i + 1}": f"spatial_path.{i}" for i in range(4)},
            "context_path.arm16.conv_layer": "arm16.conv",
            "context_path.arm16.atten_conv_layer.1": "arm16.gate",
            "context_path.arm32.conv_layer": "arm32.conv",
            "context_path.arm32.atten_conv_layer.1": "arm32.gate",
            "context_path.conv_head16": "refine16",
            "context_path.conv_head32": "refine32",
            "context_path.gap_conv.1": "global_context",
            "ffm.conv1": "fusion.conv",
            "ffm.conv_atten.0": "fusion.gate.0",
        }
    )
    return _target(tensors, "bisenet-resnet18-ported", {"gate": "norm-relu"}, modules)


def _expansion(theirs: str, ours: str, strided: bool) -> Modules:
    """A gather-and-expansion layer of BiSeNet V2."""
    names = ["conv1", "dwconv.0", *(["dwconv.1"] if strided else []), "conv2.0"]
    table = {f"{theirs}.{name}": f"{ours}.residual.{i}" for i, name in enumerate(names)}
    if strided:
        table[f"{theirs}.shortcut.0.depthwise_conv"] = f"{ours}.shortcut.0"
        table[f"{theirs}.shortcut.0.pointwise_conv"] = f"{ours}.shortcut.1"
    return blocks(table)


def _bisenet_v2(tensors: Tensors) -> Target:
    detail = [f"{s}.{i}" for s, count in enumerate((2, 3, 3)) for i in range(count)]
    modules = blocks(
        {
            **{f"detail.detail_branch.{name}": f"detail.{i}" for i, name in enumerate(detail)},
            "semantic.stage1.conv_first": "semantic.stem.first",
            "semantic.stage1.convs.0": "semantic.stem.convolved.0",
            "semantic.stage1.convs.1": "semantic.stem.convolved.1",
            "semantic.stage1.fuse_last": "semantic.stem.join",
            "semantic.stage4_CEBlock.conv_gap": "semantic.embedding.context",
            "semantic.stage4_CEBlock.conv_last": "semantic.embedding.conv",
            "bga.detail_dwconv.0.depthwise_conv": "aggregation.detail_keep.0",
            "bga.detail_down.0": "aggregation.detail_down.0",
            "bga.semantic_conv.0": "aggregation.semantic_up",
            "bga.semantic_dwconv.0.depthwise_conv": "aggregation.semantic_keep.0",
            "bga.conv": "aggregation.conv",
        }
    )
    modules |= {
        "semantic.stage4_CEBlock.gap.1": "semantic.embedding.norm",
        "bga.detail_dwconv.0.pointwise_conv.conv": "aggregation.detail_keep.1",
        "bga.semantic_dwconv.0.pointwise_conv.conv": "aggregation.semantic_keep.1",
    }
    for stage, count in ((2, 2), (3, 2), (4, 4)):
        for i in range(count):
            theirs, ours = f"semantic.stage{stage}.{i}", f"semantic.stage{stage + 1}.{i}"
            modules |= _expansion(theirs, ours, strided=i == 0)
    options = {
        "head_channels": tensors["decode_head.convs.0.conv.weight"].shape[0],
        "gate_bias": "backbone.bga.detail_dwconv.0.pointwise_conv.conv.bias" in tensors,
    }
    return _target(tensors, "bisenetv2", options, modules)


def _blocks(tensors: Tensors, stage: str) -> int:
    """Number of blocks in a stage of STDC."""
    return sum(k.startswith(stage) and k.endswith(".layers.0.conv.weight") for k in tensors)


def _stdc(tensors: Tensors) -> Target:
    stages = tuple(_blocks(tensors, f"backbone.backbone.stages.{n}.") for n in (2, 3, 4))
    nets: dict[tuple[int, ...], str] = {(2, 2, 2): "stdc1-seg", (4, 5, 3): "stdc2-seg"}
    if stages not in nets:
        raise ModelError(
            f"its stages have {', '.join(map(str, stages))} blocks; STDC1 has 2, 2, 2 and STDC2 "
            "4, 5, 3"
        )
    table = {f"backbone.stages.{i}": f"backbone.stem.{i}" for i in range(2)}
    for n, count in enumerate(stages):
        for i in range(count):
            theirs, ours = f"backbone.stages.{n + 2}.{i}", f"backbone.stage{n + 3}.{i}"
            table |= {f"{theirs}.layers.{k}": f"{ours}.conv{k + 1}" for k in range(4)}
            if i == 0:
                table[f"{theirs}.downsample"] = f"{ours}.down"
    for n, ours in enumerate(("32", "16")):
        table[f"arms.{n}.conv_layer"] = f"arm{ours}.conv"
        table[f"arms.{n}.atten_conv_layer.1"] = f"arm{ours}.gate"
        table[f"convs.{n}"] = f"refine{ours}"
    table |= {"conv_avg": "global_context", "ffm.conv0": "fusion.conv"}
    modules = blocks(table)
    modules |= {f"ffm.attention.{n}.conv": f"fusion.gate.{2 * n - 2}" for n in (1, 2)}
    return _target(tensors, nets[stages], {}, modules)


LAYOUTS = (
    Layout(
        name="mmsegmentation's BiSeNet V1",
        telltales=(
            "backbone.spatial_path.layer1.conv.weight",
            "backbone.context_path.backbone.conv1.weight",
            "decode_head.conv_seg.weight",
        ),
        target=_bisenet,
        rivals={
            "bisenet-": "the authors' release has a gate without norm in the feature fusion, "
            "narrower heads and bilinear resizing; this one becomes the net bisenet-resnet18-ported"
        },
    ),
    Layout(
        name="mmsegmentation's BiSeNet V2",
        telltales=(
            "backbone.detail.detail_branch.0.0.conv.weight",
            "backbone.bga.conv.conv.weight",
            "decode_head.conv_seg.weight",
        ),
        target=_bisenet_v2,
    ),
    Layout(
        name="mmsegmentation's STDC",
        telltales=(
            "backbone.backbone.stages.0.conv.weight",
            "backbone.arms.0.conv_layer.conv.weight",
            "decode_head.conv_seg.weight",
        ),
        target=_stdc,
    ),
)
