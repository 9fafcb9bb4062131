"""Initialises a wide SNet from a narrow one: it computes the same, with spare channels.

Net2Net (arXiv 1511.05641) widens a layer with copies of its channels. Here new channels keep their
random weights, and the old ones ignore them (zero weights) until training changes that.
ShuffleNetV2's units pass half of their input unchanged, so a channel of the narrow net may only be
mapped to one that the same unit of the wide net takes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from livevision.nets.layers import ConvNorm
from livevision.nets.shufflenetv2 import Unit
from livevision.nets.snet import SNet
from livevision.nets.unshuffled import Channel, branches_of, layers_of, plan, width_of

_NO_ROOM = "the wide net has no room for the narrow one's channels"


@torch.no_grad()
def widen(narrow: SNet, wide: SNet) -> tuple[list[int], list[int] | None]:
    """Copy a narrow SNet's weights to a wide one, whose other channels keep theirs.

    Args:
        narrow: not modified.
        wide: modified; at least as wide everywhere, with the same number of units.

    Returns:
        Positions of the narrow net's channels of C4, and of C5, in the wide one; None for C5 if
        only one of the two nets ends with its own convolution, since then nothing in the wide net
        computes it.

    Raises:
        ValueError: the wide net has no room for the narrow one.
    """
    places = list(range(narrow.first.conv.out_channels))
    _copy(narrow.first, wide.first, range(3), places)
    found = []
    for name in ("stage2", "stage3", "stage4"):
        places = _widen_stage(getattr(narrow, name), getattr(wide, name), places)
        found.append(places)
    if isinstance(narrow.conv5, ConvNorm) != isinstance(wide.conv5, ConvNorm):
        return found[1], None
    if isinstance(narrow.conv5, ConvNorm) and isinstance(wide.conv5, ConvNorm):
        inputs, places = places, list(range(narrow.channels[1]))
        _copy(narrow.conv5, wide.conv5, inputs, places)
    return found[1], places


def _widen_stage(narrow: Sequence[Unit], wide: Sequence[Unit], places: Sequence[int]) -> list[int]:
    """Widen one stage; takes the positions of its input channels, returns those of its output."""
    if len(narrow) != len(wide) or narrow[0].shuffles_last != wide[0].shuffles_last:
        raise ValueError("the two nets differ in more than their widths")
    (few, few_given), (many, many_given) = plan(narrow), plan(wide)
    room = _by_taker(many, many_given)
    place_of: dict[Channel, Channel] = {}
    for taker, channels in _by_taker(few, few_given).items():
        if len(room.get(taker, ())) < len(channels):
            raise ValueError(_NO_ROOM)
        place_of.update(zip(channels, room[taker], strict=False))
    branches = zip(branches_of(narrow), branches_of(wide), strict=True)
    for number, (old, new) in enumerate(branches):
        inputs = list(places)
        if number > 1:  # after the first unit's two branches, which see all channels
            inputs = [many[number - 2].index(place_of[channel]) for channel in few[number - 2]]
        outputs = [place_of[number, k][1] for k in range(width_of(old))]
        _widen_branch(old, new, inputs, outputs)
    return [many_given.index(place_of[channel]) for channel in few_given]


def _by_taker(
    taken: list[list[Channel]], given: list[Channel]
) -> dict[tuple[int, int], list[Channel]]:
    """A stage's channels by the branch that outputs them and the unit that takes them, if any."""
    found: dict[tuple[int, int], list[Channel]] = {}
    for number, channels in enumerate([*taken, given]):
        for channel in channels:
            found.setdefault((channel[0], number), []).append(channel)
    return found


def _widen_branch(
    narrow: nn.Sequential, wide: nn.Sequential, inputs: list[int], outputs: list[int]
) -> None:
    """Widen a branch, given the positions of its input and output channels."""
    for number, (old, new) in enumerate(zip(layers_of(narrow), layers_of(wide), strict=True)):
        last = number == len(narrow) - 1
        depthwise = old.conv.groups > 1
        places = outputs if last else inputs if depthwise else list(range(old.conv.out_channels))
        _copy(old, new, range(1) if depthwise else inputs, places)
        inputs = places


def _copy(narrow: ConvNorm, wide: ConvNorm, inputs: Sequence[int], outputs: Sequence[int]) -> None:
    """Copy a layer's weights to its positions; weights from other channels are zero."""
    old, new = narrow.conv, wide.conv
    if old.weight.shape[2:] != new.weight.shape[2:]:
        raise ValueError("the two nets differ in more than their widths")
    if any(few > many for few, many in zip(old.weight.shape, new.weight.shape, strict=True)):
        raise ValueError(_NO_ROOM)
    new.weight[outputs] = 0
    new.weight[torch.tensor(outputs)[:, None], torch.tensor(inputs)] = old.weight
    for name, values in narrow.norm.state_dict().items():
        if values.ndim:
            getattr(wide.norm, name)[outputs] = values
