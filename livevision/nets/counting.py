"""Counts parameters and multiply-adds of a net, as in the papers' tables.

Counted are convolutions and linear layers, without bias; one multiply-add is one multiplication
and one addition. A layer that a detector runs on every proposal counts once per proposal.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def count_parameters(net: nn.Module) -> int:
    """Number of trainable parameters, including norms' scales and shifts."""
    return sum(p.numel() for p in net.parameters())


def count_multiply_adds(net: nn.Module, height: int, width: int) -> int:
    """Multiply-adds for one image, in eval mode; for its cost see `count_by_layer`."""
    return sum(count_by_layer(net, height, width).values())


@torch.no_grad()
def count_by_layer(net: nn.Module, height: int, width: int) -> dict[str, int]:
    """Multiply-adds of each layer by name, for one image, in eval mode.

    Runs on the net's device: a net built on the device "meta" costs nothing.
    """
    layers = {m: n for n, m in net.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))}
    counted = dict.fromkeys(layers.values(), 0)

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            counted[layers[module]] += output.numel() * math.prod(module.weight.shape[1:])
        elif isinstance(module, nn.Linear):
            counted[layers[module]] += output.numel() * module.in_features

    hooks = [layer.register_forward_hook(add) for layer in layers]
    # On "meta" a norm takes longer than all else, and changes no shape.
    norms = [m for m in net.modules() if isinstance(m, _BatchNorm)]
    for norm in norms:
        norm.forward = _unchanged  # type: ignore[assignment]
    was_training = net.training
    try:
        device = next(net.parameters()).device
        net.eval()(torch.zeros(1, 3, height, width, device=device))
    finally:
        net.train(was_training)
        for hook in hooks:
            hook.remove()
        for norm in norms:
            del norm.forward
    return counted


def _unchanged(images: Tensor) -> Tensor:
    return images
