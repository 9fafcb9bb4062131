"""Slow depthwise convolutions stay in float32 under autocast; their gradients do not change."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from livevision.errors import UsageError
from livevision.training.precision import autocast, keep_slow_depthwise_in_float32


@pytest.mark.parametrize(
    ("options", "size", "dtype"),
    [
        ({"kernel_size": 3, "padding": 1, "groups": 4}, 6, torch.bfloat16),
        ({"kernel_size": 3, "padding": 1, "groups": 4}, 3, torch.float32),
        ({"kernel_size": 3, "padding": 1, "groups": 4, "stride": 2}, 6, torch.float32),
        ({"kernel_size": 3, "padding": 2, "groups": 4, "dilation": 2}, 6, torch.float32),
        ({"kernel_size": 5, "padding": 2, "groups": 4}, 6, torch.float32),
        ({"kernel_size": 5, "padding": 2}, 6, torch.bfloat16),
    ],
)
def test_slow_depthwise_convolutions_stay_in_float32(
    options: dict[str, Any], size: int, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 4, **options)
    plain = copy.deepcopy(conv)
    keep_slow_depthwise_in_float32(conv)
    x = torch.randn(2, 4, size, size)
    with torch.autocast("cpu", torch.bfloat16):
        assert conv(x).dtype == dtype
    conv(x).square().sum().backward()
    plain(x).square().sum().backward()
    for ours, theirs in zip(conv.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_cpus_do_not_train_in_float16() -> None:
    with pytest.raises(UsageError, match="bf16"):
        autocast("fp16", torch.device("cpu"))
    with autocast("fp32", torch.device("cpu")):
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.float32
    with autocast("bf16", torch.device("cpu")):
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.bfloat16
