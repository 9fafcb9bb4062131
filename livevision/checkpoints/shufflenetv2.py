"""ShuffleNetV2 of torchvision and of megvii, the paper's authors.

They are two nets, see `livevision.nets.shufflenetv2.Unit`, and their weights are incompatible.
FastestDet's backbone is megvii's, NanoDet-Plus's torchvision's, without the last layers.
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


def _stages(first: str, right: str, left: str) -> Modules:
    """The layers before conv5 for units named `stageN.i`, given the names of the other parts."""
    modules = conv_norm(f"{first}.0", f"{first}.1", "backbone.stem.0")
    for stage, units in _UNITS.items():
        for i in range(units):
            theirs = f"stage{stage}.{i}"
            ours = f"backbone.{theirs}"
            modules |= _unit(f"{theirs}.{right}", f"{theirs}.{left}", ours, i == 0)
    return modules


def _torchvision(tensors: Tensors) -> Target:
    modules = _stages("conv1", "branch2", "branch1")
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
        notes="Trained on raw pixels in BGR. The first convolution is reordered to RGB; the net "
        "undoes our normalisation before it, so that padding stays black as in training; folded "
        "into the weights, it would be grey.",
    )


_BACKBONE_TERMS = "the terms of ImageNet and COCO, if it was trained on them, apply as well"

_START = (
    "Weights to start training detectors, as `initial_weights` of a recipe: ThunderNet on SNet49, "
    "SNet146, SNet535 or ShuffleNetV2 with `net_options: {{{options}}}` starts with what this "
    "backbone computes. "
)


def _fastestdet(tensors: Tensors) -> Target:
    return Target(
        net=_net(_last_channels(tensors, "branch_main", "branch_proj")),
        options={"num_classes": 0, "downsample_style": "megvii", "last": False},
        modules=_stages("first_conv", "branch_main", "branch_proj"),
        task="features",
        input_size=CLASSIFIED_IMAGE,
        data="",
        licence=f"BSD-3-Clause (FastestDet); {_BACKBONE_TERMS}",
        bgr=("backbone.stem.0.0",),
        folded_pixels={"backbone.stem.0": {"mean": [0.0] * 3, "std": [1.0] * 3}},
        notes=_START.format(options="downsample_style: megvii")
        + "It was trained on pixels of 0 to 1 in BGR. That is folded into the first convolution, "
        "for which padding is now grey, not black.",
    )


def _nanodet(tensors: Tensors) -> Target:
    modules = _stages("conv1", "branch2", "branch1")
    convolutions = [theirs for theirs, ours in modules.items() if ours.endswith(".0")]
    return Target(
        net=_net(_last_channels(tensors, "branch2", "branch1")),
        options={
            "num_classes": 0,
            "downsample_style": "torchvision",
            "last": False,
            "activation": "leaky_relu",
        },
        modules={theirs: modules[theirs] for theirs in convolutions},
        task="features",
        input_size=CLASSIFIED_IMAGE,
        data="",
        licence=f"Apache-2.0 (NanoDet); {_BACKBONE_TERMS}",
        bgr=("backbone.stem.0.0",),
        folded={theirs: f"{modules[theirs][:-1]}1" for theirs in convolutions},
        notes=_START.format(options="activation: leaky_relu")
        + "Its norms are folded into the convolutions: unfold them with the recipe's "
        "`measure_norms: [backbone.]`. It was trained on BGR; the first convolution is reordered "
        "to RGB.",
    )


def _last_channels(tensors: Tensors, right: str, left: str) -> int:
    """Output channels of stage 4: those of the two branches of its first unit."""
    ends = (f"stage4.0.{right}.5.weight", f"stage4.0.{left}.2.weight")
    return sum(tensors[name].shape[0] for name in ends)


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
    Layout(
        name="FastestDet's ShuffleNetV2 without its classifier",
        telltales=("first_conv.0.weight", "stage2.0.branch_main.0.weight"),
        target=_fastestdet,
    ),
    Layout(
        name="NanoDet-Plus's ShuffleNetV2 without its classifier, norms folded",
        telltales=("conv1.0.weight", "conv1.0.bias", "stage2.0.branch1.0.weight"),
        target=_nanodet,
    ),
)
