"""ResNet of torchvision, by itself or inside a segmenter."""

from __future__ import annotations

from livevision.checkpoints.layout import (
    CLASSIFIED_IMAGE,
    IMAGENET_TERMS,
    Layout,
    Modules,
    Target,
    Tensors,
    conv_norm,
)
from livevision.errors import ModelError

# Blocks of each stage, and convolutions per block, of the supported ResNets.
_NETS = {((2, 2, 2, 2), 2): "resnet18", ((3, 4, 23, 3), 3): "resnet101"}


def resnet_modules(blocks: tuple[int, ...], convolutions: int) -> Modules:
    """The module of `livevision.nets.resnet.ResNet` for each of theirs."""
    modules = conv_norm("conv1", "bn1", "stem.0")
    for stage, count in enumerate(blocks):
        for i in range(count):
            theirs, ours = f"layer{stage + 1}.{i}", f"stage{stage + 2}.{i}"
            for n in range(convolutions):
                conv, norm = f"{theirs}.conv{n + 1}", f"{theirs}.bn{n + 1}"
                modules |= conv_norm(conv, norm, f"{ours}.residual.{n}")
            if i == 0 and (stage > 0 or convolutions == 3):
                shortcut = f"{theirs}.downsample"
                modules |= conv_norm(f"{shortcut}.0", f"{shortcut}.1", f"{ours}.shortcut")
    return modules


def resnet_shape(tensors: Tensors, prefix: str = "") -> tuple[tuple[int, ...], int]:
    """Blocks of each of the four stages, and convolutions per block."""
    counts = []
    for stage in range(1, 5):
        beginning = f"{prefix}layer{stage}."
        counts.append(
            len({k.split(".")[beginning.count(".")] for k in tensors if k.startswith(beginning)})
        )
    return tuple(counts), 3 if f"{prefix}layer1.0.conv3.weight" in tensors else 2


def _target(tensors: Tensors) -> Target:
    shape = resnet_shape(tensors)
    if shape not in _NETS:
        raise ModelError(
            f"its stages have {', '.join(map(str, shape[0]))} blocks of {shape[1]} convolutions; "
            "only ResNet-18 and ResNet-101 are supported"
        )
    modules = {key: f"backbone.{value}" for key, value in resnet_modules(*shape).items()}
    modules["fc"] = "fc"
    classes = tensors["fc.weight"].shape[0]
    return Target(
        net=_NETS[shape],
        options={"num_classes": classes},
        modules=modules,
        task="classify",
        input_size=CLASSIFIED_IMAGE,
        data="ImageNet" if classes == 1000 else "",
        licence=f"BSD-3-Clause (torchvision); {IMAGENET_TERMS}",
    )


LAYOUTS = (
    Layout(
        name="torchvision's ResNet",
        telltales=("conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "fc.weight"),
        target=_target,
    ),
)
