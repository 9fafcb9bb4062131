"""BiSeNet V1 and V2 of CoinCheung/BiSeNet and, for V1, of its derivative face-parsing."""

from __future__ import annotations

from typing import Any

from livevision.checkpoints.datasets import dataset
from livevision.checkpoints.layout import (
    Layout,
    Modules,
    Target,
    Tensors,
    blocks,
    conv_norm,
    prefixed,
)
from livevision.checkpoints.resnet import resnet_modules
from livevision.errors import ModelError

# Mean and standard deviation, RGB, of its training configurations, by number of classes.
_PIXELS: dict[int, dict[str, list[float]]] = {
    19: {"mean": [0.3257, 0.3690, 0.3223], "std": [0.2112, 0.2148, 0.2115]},
    171: {
        "mean": [0.46962251, 0.4464104, 0.40718787],
        "std": [0.27469736, 0.27012361, 0.28515933],
    },
}
_LICENCE = "MIT (CoinCheung/BiSeNet)"

_NOT_OURS = (
    "the authors' release has another gate in the feature fusion, narrower heads and bilinear "
    "resizing; this one becomes the net bisenet-resnet18-ported"
)


def _pixels(classes: int) -> tuple[dict[str, Any], str]:
    """The `pixels` option of `build` for its training normalisation, and a note."""
    if classes in _PIXELS:
        return {"pixels": _PIXELS[classes]}, (
            f"Trained with its own mean and standard deviation ({dataset(classes).name}); the net "
            "converts from our normalisation."
        )
    return {}, (
        f"The pixel normalisation of nets with {classes} classes is not in the file; ImageNet's "
        "mean and standard deviation are assumed. For others set `pixels` in `net_options`."
    )


def _v1(tensors: Tensors) -> Target:
    modules = prefixed(resnet_modules((2, 2, 2, 2), 2), "cp.resnet.", "backbone.") | blocks(
        {
            "cp.arm16.conv": "arm16.conv",
            "cp.arm32.conv": "arm32.conv",
            "cp.conv_head16": "refine16",
            "cp.conv_head32": "refine32",
            "cp.conv_avg": "global_context",
            "ffm.convblk": "fusion.conv",
            "conv_out.conv": "head.0",
        }
    )
    for arm in ("arm16", "arm32"):
        modules |= conv_norm(f"cp.{arm}.conv_atten", f"cp.{arm}.bn_atten", f"{arm}.gate")
    modules["conv_out.conv_out"] = "head.1"
    spatial = "sp.conv1.conv.weight" in tensors
    if spatial:
        names = ("conv1", "conv2", "conv3", "conv_out")
        modules |= blocks({f"sp.{name}": f"spatial_path.{i}" for i, name in enumerate(names)})
    # Files from before this gate had a norm have aligned corners, ImageNet's normalisation and no
    # bias in the heads.
    old = "ffm.conv1.weight" in tensors
    if old:
        modules |= {"ffm.conv1": "fusion.gate.0", "ffm.conv2": "fusion.gate.2"}
    else:
        modules |= conv_norm("ffm.conv", "ffm.bn", "fusion.gate.0")
    classes = tensors["conv_out.conv_out.weight"].shape[0]
    pixels, note = ({}, "") if old else _pixels(classes)
    about = dataset(classes)
    return Target(
        net="bisenet-resnet18-ported",
        options={
            "num_classes": classes,
            "gate": "narrow" if old else "norm",
            "spatial_path": spatial,
            "align_corners": old,
            "aux": False,
            **pixels,
        },
        modules=modules,
        task="segment",
        input_size=about.size,
        data=about.name,
        licence=f"{_LICENCE}; {about.terms}",
        ignored=("conv_out16.", "conv_out32."),
        zeros=() if "conv_out.conv_out.bias" in tensors else ("head.1.bias",),
        notes=note,
    )


def _expansion(theirs: str, ours: str, strided: bool) -> Modules:
    """A gather-and-expansion layer of V2."""
    modules = blocks({f"{theirs}.conv1": f"{ours}.residual.0"})
    names = ("dwconv1", "dwconv2", "conv2") if strided else ("dwconv", "conv2")
    for i, name in enumerate(names, start=1):
        modules |= conv_norm(f"{theirs}.{name}.0", f"{theirs}.{name}.1", f"{ours}.residual.{i}")
    for i in range(2 if strided else 0):
        shortcut = f"{theirs}.shortcut"
        modules |= conv_norm(
            f"{shortcut}.{2 * i}", f"{shortcut}.{2 * i + 1}", f"{ours}.shortcut.{i}"
        )
    return modules


def _v2(tensors: Tensors) -> Target:
    if "head.conv_out.1.weight" not in tensors:
        raise ModelError(
            "it is from before its heads were rebuilt (there is no 'head.conv_out.1'); "
            "that version resizes differently"
        )
    detail = [f"detail.S{s}.{i}" for s, count in ((1, 2), (2, 3), (3, 3)) for i in range(count)]
    modules = blocks({name: f"detail.{i}" for i, name in enumerate(detail)})
    modules |= prefixed(
        blocks(
            {
                "S1S2.conv": "stem.first",
                "S1S2.left.0": "stem.convolved.0",
                "S1S2.left.1": "stem.convolved.1",
                "S1S2.fuse": "stem.join",
                "S5_5.conv_gap": "embedding.context",
                "S5_5.conv_last": "embedding.conv",
            }
        ),
        "segment.",
        "semantic.",
    )
    modules["segment.S5_5.bn"] = "semantic.embedding.norm"
    for theirs, ours, count in (("S3", "stage3", 2), ("S4", "stage4", 2), ("S5_4", "stage5", 4)):
        for i in range(count):
            modules |= _expansion(f"segment.{theirs}.{i}", f"semantic.{ours}.{i}", i == 0)
    for theirs, ours in (
        ("left1", "detail_keep.0"),
        ("left2", "detail_down.0"),
        ("right1", "semantic_up"),
        ("right2", "semantic_keep.0"),
        ("conv", "conv"),
    ):
        modules |= conv_norm(f"bga.{theirs}.0", f"bga.{theirs}.1", f"aggregation.{ours}")
    modules |= {
        "bga.left1.2": "aggregation.detail_keep.1",
        "bga.right2.2": "aggregation.semantic_keep.1",
        "head.conv_out.1": "head.1",
    }
    modules |= blocks({"head.conv": "head.0"})
    classes = tensors["head.conv_out.1.weight"].shape[0]
    pixels, note = _pixels(classes)
    about = dataset(classes)
    return Target(
        net="bisenetv2",
        options={
            "num_classes": classes,
            "head_channels": tensors["head.conv.conv.weight"].shape[0],
            "aux": False,
            "nearest": True,
            **pixels,
        },
        modules=modules,
        task="segment",
        input_size=about.size,
        data=about.name,
        licence=f"{_LICENCE}; {about.terms}",
        ignored=("aux2.", "aux3.", "aux4.", "aux5_4."),
        notes=note,
    )


LAYOUTS = (
    Layout(
        name="CoinCheung's BiSeNet V1",
        telltales=(
            "cp.resnet.conv1.weight",
            "cp.arm16.conv_atten.weight",
            "ffm.convblk.conv.weight",
        ),
        target=_v1,
        rivals={"bisenet-": _NOT_OURS},
    ),
    Layout(
        name="CoinCheung's BiSeNet V2",
        telltales=(
            "detail.S1.0.conv.weight",
            "segment.S1S2.conv.conv.weight",
            "bga.left1.0.weight",
        ),
        target=_v2,
    ),
)
