"""Initial weights of SNets from a narrower net of the same family; see `nets.widened`.

ShuffleNetV2 belongs to the family: a 3x3 kernel padded with zeros to 5x5 computes the same.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from livevision.nets.layers import ConvNorm
from livevision.nets.snet import SNet
from livevision.nets.thundernet import ThunderNet
from livevision.nets.widened import widen
from livevision.training.weights import put_fitting

_BACKBONE = "backbone."
_LAST = "stage4.1.right.2.0.weight"  # outputs half of the last stage's channels


@torch.no_grad()
def widened_weights(net: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert weights of a net on a narrower SNet or ShuffleNetV2 to a net's shapes.

    Args:
        net: a classifier or detector; not modified.
        tensors: weights by name, from a file.

    Returns:
        The weights of the file that change, by name; none if the net has no SNet, or the file's
        SNet is neither narrower nor has smaller kernels.
    """
    wide = getattr(net, "backbone", None)
    if not isinstance(wide, SNet):
        return {}
    grown = _grown(tensors, wide)
    narrow = _stored_snet({**tensors, **grown}, wide)
    if narrow is None:
        return grown if _as_wide(tensors, wide) else {}
    backbone = copy.deepcopy(wide)
    try:
        c4, c5 = widen(narrow, backbone)
    except ValueError:  # wider elsewhere, or with larger kernels
        return {}
    named = {_BACKBONE + name: value for name, value in backbone.state_dict().items()}
    if not isinstance(narrow.conv5, ConvNorm):
        named = {name: v for name, v in named.items() if not name.startswith(f"{_BACKBONE}conv5.")}
    widened = {name: named[name] for name in tensors if name in named}
    if isinstance(net, ThunderNet):
        for layer, places in (("c4", c4), ("c5", c5), ("c_glb", c5)):
            name = f"context.{layer}.weight"
            if places and name in tensors:
                weight = torch.zeros_like(getattr(net.context, layer).weight)
                weight[:, places] = tensors[name].to(weight)
                widened[name] = weight
    return widened


def _grown(tensors: Mapping[str, Tensor], like: SNet) -> dict[str, Tensor]:
    """Depthwise weights with smaller kernels than an SNet's, padded with zeros."""
    ours = like.state_dict()
    grown = {}
    for name, weight in tensors.items():
        wanted = ours.get(name.removeprefix(_BACKBONE)) if name.startswith(_BACKBONE) else None
        if wanted is None or wanted.ndim != 4 or weight.ndim != 4 or weight.shape[1] != 1:
            continue
        more = wanted.shape[-1] - weight.shape[-1]
        if wanted.shape[1] == 1 and more > 0 and more % 2 == 0:
            grown[name] = F.pad(weight, [more // 2] * 4)
    return grown


def _as_wide(tensors: Mapping[str, Tensor], like: SNet) -> bool:
    """Whether a file's last stage is as wide as an SNet's."""
    weight = tensors.get(f"{_BACKBONE}{_LAST}")
    return weight is not None and weight.shape == like.state_dict()[_LAST].shape


def _stored_snet(tensors: Mapping[str, Tensor], like: SNet) -> SNet | None:
    """The narrower SNet of a file; None if it has none."""
    own = {k.removeprefix(_BACKBONE): v for k, v in tensors.items() if k.startswith(_BACKBONE)}
    # The right branch of stride-1 units has half of the channels.
    ends = [f"stage{n}.1.right.2.0.weight" for n in (2, 3, 4)]
    stem, depthwise = "stem.0.0.weight", "stage2.1.right.1.0.weight"
    if not {stem, depthwise, *ends} <= own.keys():
        return None
    if own[ends[-1]].shape[0] >= like.state_dict()[ends[-1]].shape[0]:
        return None
    c3, c4, c5 = (2 * own[name].shape[0] for name in ends)
    last = own["conv5.0.weight"].shape[0] if "conv5.0.weight" in own else 0
    if isinstance(like.conv5, ConvNorm) and last > like.conv5.conv.out_channels:
        own = {name: value for name, value in own.items() if not name.startswith("conv5.")}
        last = 0
    style = "torchvision" if like.stage2[0].shuffles_last else "megvii"
    kernel_size = own[depthwise].shape[-1]
    narrow = SNet((own[stem].shape[0], c3, c4, c5), last, style, kernel_size=kernel_size)
    unused = put_fitting(narrow, own)
    missing = narrow.state_dict().keys() - own.keys()
    if unused or not all(name.endswith("num_batches_tracked") for name in missing):
        return None  # another net with similar names
    return narrow
