"""Nets without one of their parts, for ablations like those of the papers' tables.

The remaining net is the paper's baseline for the part:

* ThunderNet without "CEM" passes C5 through its 1x1 convolution and enlarges it; without "SAM"
  proposals are pooled from the map that the RPN reads.
* BiSeNet without "FFM" adds the two paths; without "spatial path" it is the context path alone;
  without "ARM" the convolutions inside stay and their gates are removed; without "global pooling"
  nothing is added to the map at 1/32.
* DFANet without "fc attention" passes enc4's map on unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from livevision.nets.bisenet import AttentionRefinement, BiSeNet, Head
from livevision.nets.dfanet import DFANet
from livevision.nets.layers import ConvNorm, initialise
from livevision.nets.thundernet import ContextEnhancement, ThunderNet
from livevision.nets.unshuffled import permute_inputs


class EnlargedC5(ContextEnhancement):
    """C5 alone through a 1x1 convolution, at C4's size."""

    def __init__(self, full: ContextEnhancement) -> None:
        nn.Module.__init__(self)
        self.c5 = full.c5

    def forward(self, c4: Tensor, c5: Tensor) -> Tensor:
        return self.enlarged(c4, c5)

    def permute_inputs(self, c4: list[int], c5: list[int]) -> None:
        permute_inputs(self.c5, c5)


class First(nn.Module):
    """The first of two maps."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return first


class Second(nn.Module):
    """The second of two maps."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return second


class Sum(nn.Module):
    """The sum of two maps."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return first + second


class Nothing(nn.Module):
    """Zero for any input."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x[:, :1])


class EveryEighth(nn.Module):
    """Every eighth pixel: a map of the spatial path's size at no cost."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, :, ::8, ::8]


def leave_out(net: nn.Module, parts: Sequence[str]) -> nn.Module:
    """Remove parts from a freshly built net.

    Args:
        net: a ThunderNet, BiSeNet or DFANet; it is modified.
        parts: names from the list above.

    Raises:
        ValueError: the net has no such part.
    """
    known = _STEPS.get(type(net), {})
    for part in parts:
        if part not in known:
            which = ", ".join(map(repr, known)) or "nothing"
            raise ValueError(f"without={part!r}: {which} can be left out of {type(net).__name__}")
    # The context path alone has nothing to fuse, whether or not FFM is named too.
    for part in sorted(parts, key=list(known).index):
        known[part](net)
    return net


def _no_context(net: ThunderNet) -> None:
    net.context = EnlargedC5(net.context)


def _no_attention(net: ThunderNet) -> None:
    net.attention = First()


def _no_fusion(net: BiSeNet) -> None:
    net.fusion = Sum()
    _narrow_head(net)


def _no_spatial_path(net: BiSeNet) -> None:
    net.spatial_path = EveryEighth()
    net.fusion = Second()
    _narrow_head(net)


def _narrow_head(net: BiSeNet) -> None:
    """A head for the channels of one path instead of both."""
    hidden, classes = cast(ConvNorm, net.head[0]), cast(nn.Conv2d, net.head[1])
    width = net.refine16.conv.out_channels
    net.head = Head(width, hidden.conv.out_channels, classes.out_channels)
    initialise(net.head)


def _no_refinement(net: BiSeNet) -> None:
    net.arm16 = cast(AttentionRefinement, net.arm16).conv
    net.arm32 = cast(AttentionRefinement, net.arm32).conv


def _no_global_pooling(net: BiSeNet) -> None:
    net.global_context = Nothing()


def _no_fc_attention(net: DFANet) -> None:
    net.attentions = nn.ModuleList(nn.Identity() for _ in net.attentions)


_STEPS: Mapping[type[nn.Module], Mapping[str, Callable[[Any], None]]] = {
    ThunderNet: {"CEM": _no_context, "SAM": _no_attention},
    BiSeNet: {
        "FFM": _no_fusion,
        "spatial path": _no_spatial_path,
        "ARM": _no_refinement,
        "global pooling": _no_global_pooling,
    },
    DFANet: {"fc attention": _no_fc_attention},
}
