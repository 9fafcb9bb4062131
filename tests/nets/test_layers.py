"""Convolutions of one pixel with a stride compute the same in training, without oneDNN's fault."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from livevision.nets import build, names
from livevision.nets.layers import Conv


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize(("rows", "columns"), [(9, 12), (8, 7)])
def test_dropping_pixels_first_computes_the_same(rows: int, columns: int, padding: int) -> None:
    torch.manual_seed(0)
    ours = Conv(8, 12, 1, 2, padding, bias=False, dtype=torch.float64)
    plain = nn.Conv2d(8, 12, 1, 2, padding, bias=False, dtype=torch.float64)
    plain.load_state_dict(ours.state_dict())
    results = []
    for conv in (ours, plain):
        images = torch.arange(2.0 * 8 * rows * columns, dtype=torch.float64).sin()
        images = images.reshape(2, 8, rows, columns).requires_grad_()
        out = conv(images)
        (out * out.detach().cos()).sum().backward()
        results.append((out.detach(), images.grad, conv.weight.grad))
    for mine, expected in zip(*results, strict=True):
        torch.testing.assert_close(mine, expected)


class Strides(TorchDispatchMode):
    """Notes the strides of convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[list[int]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.ops.aten.convolution.default:
            self.found.append(list(args[3]))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("training", "stride"), [(True, 1), (False, 2)])
def test_a_stride_over_single_pixels_is_left_out_in_training_alone(
    training: bool, stride: int
) -> None:
    conv = Conv(8, 12, 1, 2).train(training)
    with Strides() as strides:
        conv(torch.zeros(1, 8, 6, 6))
    assert strides.found == [[stride, stride]]


@pytest.mark.parametrize("name", names())
def test_no_net_trains_a_strided_convolution_that_writes_beyond_its_buffer(name: str) -> None:
    with torch.device("meta"):
        net = build(name)
    for place, module in net.named_modules():
        if isinstance(module, nn.Conv2d) and not isinstance(module, Conv):
            strided = module.kernel_size == (1, 1) and module.stride != (1, 1)
            assert not strided or module.in_channels >= 16, place
