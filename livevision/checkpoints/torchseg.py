"""BiSeNet V1 of TorchSeg, the paper's authors' release: exactly our net."""

from __future__ import annotations

from livevision.checkpoints.datasets import dataset
from livevision.checkpoints.layout import Layout, Modules, Target, Tensors, blocks, prefixed
from livevision.checkpoints.resnet import resnet_modules, resnet_shape
from livevision.errors import ModelError

_XCEPTION39 = (4, 8, 4)


def _separable(theirs: str, ours: str) -> Modules:
    return {f"{theirs}.conv1": f"{ours}.0", **blocks({f"{theirs}.point_wise_cbr": f"{ours}.1"})}


def _xception39() -> Modules:
    modules = blocks({"conv1": "stem.0"})
    for layer, count in enumerate(_XCEPTION39, start=1):
        for i in range(count):
            name = f"layer{layer}.{i}"
            for n in range(3):
                modules |= _separable(f"{name}.residual_branch.{n}", f"{name}.residual.{n}")
            if i == 0:
                modules |= _separable(f"{name}.proj", f"{name}.shortcut")
    return modules


def _context_path(tensors: Tensors) -> tuple[str, Modules]:
    """Name of the net and modules of its backbone.

    Raises:
        ModelError: The backbone is not supported.
    """
    if "context_path.layer1.0.residual_branch.0.conv1.weight" in tensors:
        return "bisenet-xception39", _xception39()
    shape = resnet_shape(tensors, "context_path.")
    if shape != ((2, 2, 2, 2), 2):
        raise ModelError(
            f"its context path is a ResNet of {', '.join(map(str, shape[0]))} blocks of {shape[1]} "
            "convolutions; only Xception39 and ResNet-18 are supported"
        )
    return "bisenet-resnet18", resnet_modules(*shape)


def _target(tensors: Tensors) -> Target:
    net, backbone = _context_path(tensors)
    names = ("conv_7x7", "conv_3x3_1", "conv_3x3_2", "conv_1x1")
    table = {f"spatial_path.{name}": f"spatial_path.{i}" for i, name in enumerate(names)}
    for i, ours in enumerate(("32", "16")):
        table[f"arms.{i}.conv_3x3"] = f"arm{ours}.conv"
        table[f"arms.{i}.channel_attention.1"] = f"arm{ours}.gate"
        table[f"refines.{i}"] = f"refine{ours}"
    table |= {
        "global_context.1": "global_context",
        "ffm.conv_1x1": "fusion.conv",
        "heads.2.conv_3x3": "head.0",
    }
    classes = tensors["heads.2.conv_1x1.weight"].shape[0]
    about = dataset(classes)
    return Target(
        net=net,
        options={"num_classes": classes, "aux": False},
        modules={
            **prefixed(backbone, "context_path.", "backbone."),
            **blocks(table),
            "ffm.channel_attention.1.conv": "fusion.gate.0",
            "ffm.channel_attention.2.conv": "fusion.gate.2",
            "heads.2.conv_1x1": "head.1",
        },
        task="segment",
        input_size=about.size,
        data=about.name,
        licence=f"MIT (TorchSeg); {about.terms}",
        ignored=("heads.0.", "heads.1."),
    )


LAYOUTS = (
    Layout(
        name="TorchSeg's BiSeNet V1",
        telltales=(
            "spatial_path.conv_7x7.conv.weight",
            "arms.0.conv_3x3.conv.weight",
            "ffm.conv_1x1.conv.weight",
        ),
        target=_target,
        rivals={
            "bisenet-resnet18-ported": "this is the authors' release, which becomes "
            "bisenet-resnet18 or bisenet-xception39"
        },
    ),
)
