"""Depthwise convolutions stay in float32 under autocast, with the same answer and gradients."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from livevision.errors import UsageError
from livevision.training.precision import autocast, keep_depthwise_in_float32


def test_only_depthwise_convolutions_change_their_precision() -> None:
    torch.manual_seed(0)
    depthwise, dense = nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Conv2d(4, 4, 1)
    net = nn.Sequential(depthwise, dense)
    plain = copy.deepcopy(net)
    keep_depthwise_in_float32(net)
    x = torch.randn(2, 4, 6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        assert depthwise(x).dtype == torch.float32
        assert dense(x).dtype == torch.bfloat16
    net(x).square().sum().backward()
    plain(x).square().sum().backward()
    for ours, theirs in zip(net.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_cpus_do_not_train_in_float16() -> None:
    with pytest.raises(UsageError, match="bf16"):
        autocast("fp16", torch.device("cpu"))
    with autocast("fp32", torch.device("cpu")):
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.float32
    with autocast("bf16", torch.device("cpu")):
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.bfloat16
