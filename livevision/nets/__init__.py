"""Neural nets in plain PyTorch, built by name.

Every net takes float32 N x 3 x H x W images in RGB order, normalised with the ImageNet mean and
standard deviation, `(x / 255 - mean) / std`. The output depends on the type of net:

* classifiers return logits, N x classes;
* segmenters return logits, N x classes x H x W, at the size of the input; in train mode a tuple of
  these and the logits of auxiliary heads, if there are any;
* detectors return `(boxes, scores, classes)`, see `livevision.nets.thundernet`.

Importing this package does not import torch; `build` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)

_BUILDERS = {
    "bisenet-mobilenetv2": "livevision.nets.bisenet:bisenet_mobilenetv2",
    "bisenet-resnet18": "livevision.nets.bisenet:bisenet_resnet18",
    "bisenet-resnet18-ported": "livevision.nets.bisenet_ported:bisenet_resnet18_ported",
    "bisenet-shufflenetv2": "livevision.nets.bisenet:bisenet_shufflenetv2",
    "bisenet-xception39": "livevision.nets.bisenet:bisenet_xception39",
    "bisenetv2": "livevision.nets.bisenetv2:bisenetv2",
    "dfanet-a": "livevision.nets.dfanet:dfanet_a",
    "dfanet-b": "livevision.nets.dfanet:dfanet_b",
    "dfanet-mobilenetv2": "livevision.nets.dfanet_backbones:dfanet_mobilenetv2",
    "dfanet-shufflenetv2": "livevision.nets.dfanet_backbones:dfanet_shufflenetv2",
    "light-head-l": "livevision.nets.light_head_rcnn:light_head_l",
    "light-head-l-release": "livevision.nets.light_head_rcnn:light_head_l_release",
    "light-head-mobilenetv2": "livevision.nets.light_head_rcnn:light_head_mobilenetv2",
    "light-head-s": "livevision.nets.light_head_rcnn:light_head_s",
    "light-head-shufflenetv2": "livevision.nets.light_head_rcnn:light_head_shufflenetv2",
    "mobilenetv2": "livevision.nets.mobilenetv2:mobilenetv2",
    "resnet101": "livevision.nets.resnet:resnet101",
    "resnet18": "livevision.nets.resnet:resnet18",
    "shufflenetv2-0.5": "livevision.nets.shufflenetv2:shufflenetv2_05",
    "shufflenetv2-1.0": "livevision.nets.shufflenetv2:shufflenetv2_10",
    "shufflenetv2-1.5": "livevision.nets.shufflenetv2:shufflenetv2_15",
    "shufflenetv2-2.0": "livevision.nets.shufflenetv2:shufflenetv2_20",
    "snet49": "livevision.nets.snet:snet49",
    "snet146": "livevision.nets.snet:snet146",
    "snet535": "livevision.nets.snet:snet535",
    "stdc1": "livevision.nets.stdc:stdc1",
    "stdc1-seg": "livevision.nets.stdc_seg:stdc1_seg",
    "stdc2": "livevision.nets.stdc:stdc2",
    "stdc2-seg": "livevision.nets.stdc_seg:stdc2_seg",
    "thundernet-mobilenetv2": "livevision.nets.thundernet_backbones:thundernet_mobilenetv2",
    "thundernet-shufflenetv2": "livevision.nets.thundernet_backbones:thundernet_shufflenetv2",
    "thundernet-snet49": "livevision.nets.thundernet:thundernet_snet49",
    "thundernet-snet146": "livevision.nets.thundernet:thundernet_snet146",
    "thundernet-snet146-release": "livevision.nets.thundernet_release:thundernet_snet146_release",
    "thundernet-snet535": "livevision.nets.thundernet:thundernet_snet535",
    "xception-a": "livevision.nets.dfanet:xception_a",
    "xception-b": "livevision.nets.dfanet:xception_b",
    "xception-star": "livevision.nets.xception_star:xception_star",
    "xception39": "livevision.nets.xception:xception39",
}

# Nets with the backbone as an option: `build("thundernet", backbone="stdc1")`.
_FAMILIES = {
    "bisenet": "livevision.nets.bisenet:bisenet",
    "light-head": "livevision.nets.light_head_rcnn:light_head",
    "thundernet": "livevision.nets.thundernet_backbones:thundernet",
}


def names() -> list[str]:
    """The names of complete nets for `build`, sorted."""
    return sorted(_BUILDERS)


def families() -> list[str]:
    """Further names for `build`: nets that take any backbone, as an option."""
    return sorted(_FAMILIES)


def build(
    name: str,
    *,
    pixels: Mapping[str, Sequence[float]] | None = None,
    without: Sequence[str] = (),
    **options: Any,
) -> nn.Module:
    """Build a net with freshly initialised weights.

    Args:
        name: one of `names()`, or one of `families()` with `backbone` among the options: a name
            that `livevision.nets.features` knows.
        pixels: "mean" and "std" of each colour if the weights were trained with others than ours,
            see `livevision.nets.pixels`; the net built takes the same images as all.
        without: parts to leave out, for ablations, see `livevision.nets.ablation`.
        **options: passed to the net's builder, for example `num_classes`: the number of classes,
            for detectors of foreground classes.

    Raises:
        ValueError: `name` is unknown, or an option has no such value.
    """
    if name not in _BUILDERS and name not in _FAMILIES:
        known = ", ".join([*names(), *families()])
        raise ValueError(f"unknown net {name!r}; the nets are: {known}")
    if name in _FAMILIES and "backbone" not in options:
        raise ValueError(
            f'{name} takes any backbone: name it, as in build("{name}", backbone="mobilenetv2")'
        )
    module, function = (_BUILDERS | _FAMILIES)[name].split(":")
    net: nn.Module = getattr(import_module(module), function)(**options)
    if without:
        from livevision.nets.ablation import leave_out

        leave_out(net, without)
    if pixels is not None:
        from livevision.nets.pixels import OnOtherPixels

        return OnOtherPixels(net, **pixels, our_mean=IMAGE_MEAN, our_std=IMAGE_STD)
    return net
