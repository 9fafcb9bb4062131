"""ShuffleNetV2 stages without shuffles, for exported graphs.

A shuffle moves all numbers of a map only so that the next unit takes one half of the channels.
Which channels each unit takes is known in advance, so each branch can output its channels in the
order in which later units take them, and each unit gathers its input from a few contiguous runs.
The result is the same, up to the order of weights and sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from livevision.nets.layers import ConvNorm, statistics
from livevision.nets.shufflenetv2 import Unit

Channel = tuple[int, int]
"""The branch of a channel, and its number there."""


class Unshuffled(nn.Sequential):
    """A stage with reordered weights; in eval mode only.

    Args:
        units: units of a stage from `livevision.nets.shufflenetv2.stage`; they are modified.
        order: of the input's channels: input channel i is the stage's former `order[i]`.

    Attributes:
        order: of the output's channels, likewise.
    """

    def __init__(self, units: Sequence[Unit], order: Sequence[int]) -> None:
        super().__init__(*units)
        first, *rest = units
        _take_in_order(first.left, order)
        _take_in_order(first.right, order)
        branches = branches_of(units)
        taken, given = plan(units)

        # The destination of each channel: the unit that takes it, or the output.
        goal = {c: n for n, channels in enumerate([*taken, given]) for c in channels}
        last = len(taken)
        # For each branch: destinations, and numbers of channels.
        self._runs: list[list[tuple[int, int]]] = []
        of_branch: list[list[int]] = []
        for number, branch in enumerate(branches):
            width = width_of(branch)
            own = [k for _, k in sorted((goal[number, k], k) for k in range(width))]
            _give_in_order(branch, own)
            of_branch.append(own)
            goals = [goal[number, k] for k in own]
            self._runs.append([(g, goals.count(g)) for g in dict.fromkeys(goals)])
        for number, (unit, channels) in enumerate(zip(rest, taken, strict=True)):
            arrives = [
                (n, k) for n, own in enumerate(of_branch) for k in own if goal[n, k] == number
            ]
            _take_in_order(unit.right, [channels.index(channel) for channel in arrives])
        leaves = [(n, k) for n, own in enumerate(of_branch) for k in own if goal[n, k] == last]
        self.order = [given.index(channel) for channel in leaves]

    def forward(self, x: Tensor) -> Tensor:
        first, *rest = cast(list[Unit], list(self))
        waiting: list[list[Tensor]] = [[] for _ in range(len(rest) + 1)]
        self._deal(0, first.left(x), waiting)
        self._deal(1, first.right(x), waiting)
        for number, unit in enumerate(rest):
            self._deal(number + 2, unit.right(torch.cat(waiting[number], 1)), waiting)
        return torch.cat(waiting[-1], 1)

    def _deal(self, branch: int, x: Tensor, waiting: list[list[Tensor]]) -> None:
        runs = self._runs[branch]
        for (goal, _), part in zip(runs, x.split([n for _, n in runs], 1), strict=True):
            waiting[goal].append(part)


def branches_of(units: Sequence[Unit]) -> list[nn.Sequential]:
    """The branches of a stage: both of the first unit, which sees all channels, then one each."""
    first, *rest = units
    return [first.left, first.right, *(unit.right for unit in rest)]


def plan(units: Sequence[Unit]) -> tuple[list[list[Channel]], list[Channel]]:
    """The channels that each unit but the first takes, and those of the output."""
    widths = [width_of(branch) for branch in branches_of(units)]
    of_branch = [[(number, k) for k in range(width)] for number, width in enumerate(widths)]
    x = [*of_branch[0], *of_branch[1]]
    taken = []
    if units[0].shuffles_last:
        x = _shuffled(x)
    for unit, new in zip(units[1:], of_branch[2:], strict=True):
        if unit.shuffles_last:
            taken.append(x[unit.half_channels :])
            x = _shuffled([*x[: unit.half_channels], *new])
        else:
            taken.append(x[1::2])
            x = [*x[0::2], *new]
    return taken, x


def _shuffled(channels: Sequence[Channel]) -> list[Channel]:
    half = len(channels) // 2
    return [c for pair in zip(channels[:half], channels[half:], strict=True) for c in pair]


def width_of(branch: nn.Sequential) -> int:
    """Output channels of a branch."""
    return layers_of(branch)[-1].conv.out_channels


def layers_of(branch: nn.Sequential) -> list[ConvNorm]:
    """The layers of a branch, in order."""
    return cast(list[ConvNorm], list(branch))


@torch.no_grad()
def permute_inputs(convolution: nn.Conv2d, order: Sequence[int]) -> None:
    """Modify a convolution for an input whose channel i is the former `order[i]`."""
    convolution.weight.copy_(convolution.weight[:, list(order)])


def _take_in_order(branch: nn.Sequential, order: Sequence[int]) -> None:
    """Modify a branch for an input whose channel i is the former `order[i]`."""
    for layer in layers_of(branch):
        if layer.conv.groups == 1:
            permute_inputs(layer.conv, order)
            return
        _permute_outputs(layer, order)  # depthwise: outputs follow inputs


def _give_in_order(branch: nn.Sequential, order: Sequence[int]) -> None:
    """Modify a branch so that its output channel i is the former `order[i]`."""
    _permute_outputs(layers_of(branch)[-1], order)


@torch.no_grad()
def _permute_outputs(layer: ConvNorm, order: Sequence[int]) -> None:
    norm = layer.norm
    for values in (layer.conv.weight, norm.weight, norm.bias, *statistics(norm)):
        values.copy_(values[list(order)])
