"""Parameters and multiply-adds of a net, counted the way the papers' tables are read here.

Counted are convolutions and linear layers, without bias; one multiply-add is one multiplication
and one addition. A layer that a detector runs on every proposal counts once per proposal.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def count_parameters(net: nn.Module) -> int:
    """Trainable numbers, norms' scales and shifts included."""
    return sum(p.numel() for p in net.parameters())


@torch.no_grad()
def count_multiply_adds(net: nn.Module, height: int, width: int) -> int:
    """Multiply-adds of one image of a size, in eval mode.

    On the device of the net: built on the device "meta", nothing is computed and it costs nothing.
    """
    total = 0

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output.numel() * math.prod(module.weight.shape[1:])
        elif isinstance(module, nn.Linear):
            total += output.numel() * module.in_features

    layers = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    was_training = net.training
    try:
        device = next(net.parameters()).device
        net.eval()(torch.zeros(1, 3, height, width, device=device))
    finally:
        net.train(was_training)
        for hook in hooks:
            hook.remove()
    return total
