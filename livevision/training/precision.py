"""Mixed-precision training: which layers compute in which precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn

from livevision.errors import UsageError

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """The context of a forward pass in a recipe's precision.

    Raises:
        UsageError: the device does not support it in training.
    """
    if precision == "fp16" and device.type == "cpu":
        raise UsageError("precision is 'fp16', which only GPUs train in; on a CPU use bf16 or fp32")
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, _DTYPES[precision])


def keep_slow_depthwise_in_float32(net: nn.Module) -> None:
    """Compute depthwise convolutions in float32 under autocast if that is faster.

    On CPUs their gradients are three to fifty times slower in bfloat16 and dominate a light net's
    training time: all but those of 3x3 at stride 1 on maps that are not tiny, which are twice as
    fast in it.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            quick = module.kernel_size == (3, 3) and module.stride == module.dilation == (1, 1)
            convolve = _convolve_unless_tiny if quick else _convolve_in_float32
            module.forward = partial(convolve, module)  # type: ignore[method-assign]


_TINY = 4  # pixels along a map's shorter side


def _convolve_unless_tiny(conv: nn.Conv2d, x: Tensor) -> Tensor:
    if min(x.shape[2:]) < _TINY:
        return _convolve_in_float32(conv, x)
    convolved: Tensor = conv._conv_forward(x, conv.weight, conv.bias)
    return convolved


def _convolve_in_float32(conv: nn.Conv2d, x: Tensor) -> Tensor:
    # In channels-first layout they are three times slower.
    with torch.autocast(x.device.type, enabled=False):
        x = x.to(torch.float32, memory_format=torch.channels_last)
        convolved: Tensor = conv._conv_forward(x, conv.weight, conv.bias)
        return convolved
