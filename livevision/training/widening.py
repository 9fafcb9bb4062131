"""Initial weights of a narrower net of the same family, for the SNets: see `nets.widened`."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from livevision.nets.snet import SNet
from livevision.nets.thundernet import ThunderNet
from livevision.nets.widened import widen
from livevision.training.weights import put_fitting

_BACKBONE = "backbone."


@torch.no_grad()
def widened_weights(net: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a net takes from the weights of one on a narrower SNet, in its own shapes.

    Args:
        net: a classifier or detector, left as it is.
        tensors: weights by name, as a file holds them.

    Returns:
        Those of the file's weights that change, by name; none where the net stands on no SNet, or
        the file's SNet is not narrower.
    """
    wide = getattr(net, "backbone", None)
    narrow = _stored_snet(tensors, wide) if isinstance(wide, SNet) else None
    if narrow is None:
        return {}
    backbone = copy.deepcopy(wide)
    try:
        c4, c5 = widen(narrow, backbone)
    except ValueError:  # wider elsewhere, or with other kernels
        return {}
    named = {_BACKBONE + name: value for name, value in backbone.state_dict().items()}
    widened = {name: named[name] for name in tensors if name in named}
    if isinstance(net, ThunderNet):
        for layer, places in (("c4", c4), ("c5", c5), ("c_glb", c5)):
            name = f"context.{layer}.weight"
            if places and name in tensors:
                weight = torch.zeros_like(getattr(net.context, layer).weight)
                weight[:, places] = tensors[name].to(weight)
                widened[name] = weight
    return widened


def _stored_snet(tensors: Mapping[str, Tensor], like: SNet) -> SNet | None:
    """The narrower SNet of a file; None where it has none."""
    own = {k.removeprefix(_BACKBONE): v for k, v in tensors.items() if k.startswith(_BACKBONE)}
    # Units of stride 1 give half of their channels by their right branch.
    ends = [f"stage{n}.1.right.2.0.weight" for n in (2, 3, 4)]
    stem, depthwise = "stem.0.0.weight", "stage2.1.right.1.0.weight"
    if not {stem, depthwise, *ends} <= own.keys():
        return None
    if own[ends[-1]].shape[0] >= like.state_dict()[ends[-1]].shape[0]:
        return None
    c3, c4, c5 = (2 * own[name].shape[0] for name in ends)
    last = own["conv5.0.weight"].shape[0] if "conv5.0.weight" in own else 0
    style = "torchvision" if like.stage2[0].shuffles_last else "megvii"
    kernel_size = own[depthwise].shape[-1]
    narrow = SNet((own[stem].shape[0], c3, c4, c5), last, style, kernel_size=kernel_size)
    unused = put_fitting(narrow, own)
    missing = narrow.state_dict().keys() - own.keys()
    if unused or not all(name.endswith("num_batches_tracked") for name in missing):
        return None  # another net, with names like an SNet's
    return narrow
