"""Norms as of a trained net, in nets with random weights."""

from __future__ import annotations

from torch import nn


def wear_norms(net: nn.Module) -> None:
    """Draw every norm's statistics, scale and shift, so that a norm left out or misplaced shows."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.2)
