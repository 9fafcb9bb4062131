"""ShuffleNetV2 as torchvision and as megvii, the paper's authors, name it.

They are two nets, see `livevision.nets.shufflenetv2.Unit`, and neither's weights fit the other's.
"""

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

_NETS = {192: "shufflenetv2-0.5", 464: "shufflenetv2-1.0", 704: "shufflenetv2-1.5"}
_NETS[976] = "shufflenetv2-2.0"
_UNITS = {2: 4, 3: 8, 4: 4}


def _net(channels: int) -> str:
    if channels not in _NETS:
        raise ModelError(
            f"its last stage has {channels} channels; the paper's widths have "
            f"{', '.join(map(str, _NETS))}"
        )
    return _NETS[channels]


def _unit(right: str, left: str, ours: str, strided: bool) -> Modules:
    modules: Modules = {}
    for i, (conv, norm) in enumerate(((0, 1), (3, 4), (5, 6))):
        modules |= conv_norm(f"{right}.{conv}", f"{right}.{norm}", f"{ours}.right.{i}")
    for i, (conv, norm) in enumerate(((0, 1), (2, 3)) if strided else ()):
        modules |= conv_norm(f"{left}.{conv}", f"{left}.{norm}", f"{ours}.left.{i}")
    return modules


def _torchvision(tensors: Tensors) -> Target:
    modules = conv_norm("conv1.0", "conv1.1", "backbone.stem.0")
    for stage, units in _UNITS.items():
        for i in range(units):
            theirs = f"stage{stage}.{i}"
            ours = f"backbone.{theirs}"
            modules |= _unit(f"{theirs}.branch2", f"{theirs}.branch1", ours, i == 0)
    modules |= conv_norm("conv5.0", "conv5.1", "backbone.conv5")
    modules["fc"] = "fc"
    classes = tensors["fc.weight"].shape[0]
    return Target(
        net=_net(tensors["conv5.0.weight"].shape[1]),
        options={"num_classes": classes, "downsample_style": "torchvision"},
        modules=modules,
        task="classify",
        input_size=CLASSIFIED_IMAGE,
        data="ImageNet" if classes == 1000 else "",
        licence=f"BSD-3-Clause (torchvision); {IMAGENET_TERMS}",
    )


def _megvii(tensors: Tensors) -> Target:
    modules = conv_norm("first_conv.0", "first_conv.1", "backbone.stem.0")
    number = 0
    for stage, units in _UNITS.items():
        for i in range(units):
            theirs, ours = f"features.{number}", f"backbone.stage{stage}.{i}"
            modules |= _unit(f"{theirs}.branch_main", f"{theirs}.branch_proj", ours, i == 0)
            number += 1
    modules |= conv_norm("conv_last.0", "conv_last.1", "backbone.conv5")
    modules["classifier.0"] = "fc"
    classes = tensors["classifier.0.weight"].shape[0]
    return Target(
        net=_net(tensors["conv_last.0.weight"].shape[1]),
        options={
            "num_classes": classes,
            "downsample_style": "megvii",
            "pixels": {"mean": [0.0, 0.0, 0.0], "std": [1 / 255] * 3},
        },
        modules=modules,
        task="classify",
        input_size=CLASSIFIED_IMAGE,
        data="ImageNet" if classes == 1000 else "",
        licence=f"MIT (megvii-model/ShuffleNet-Series); {IMAGENET_TERMS}",
        bgr=("backbone.stem.0.0",),
        notes="Trained on raw pixels, blue first. The first convolution is turned to red first; "
        "the net undoes our normalisation before it, so that what lies around the image is black "
        "as it was; folded into the weights, it would be grey.",
    )


_WHY = (
    "the unit of stride 2 splits its channels otherwise (24 + 92 against 58 + 58 in stage 2 at "
    "width 1.0), and the classifier {} a bias"
)

LAYOUTS = (
    Layout(
        name="torchvision's ShuffleNetV2",
        telltales=("conv1.0.weight", "stage2.0.branch1.0.weight", "fc.weight"),
        target=_torchvision,
        rivals={"shufflenetv2": f"megvii's is another net: {_WHY.format('has')}"},
    ),
    Layout(
        name="megvii's ShuffleNetV2",
        telltales=("first_conv.0.weight", "features.0.branch_main.0.weight", "conv_last.0.weight"),
        target=_megvii,
        rivals={"shufflenetv2": f"torchvision's is another net: {_WHY.format('lacks')}"},
    ),
)
