"""How far a layer looks: which inputs an output depends on."""

from __future__ import annotations

import torch
from torch import nn


def footprint(
    net: nn.Module, channels: int, side: int = 33, outputs: slice = slice(None), holes: bool = False
) -> int:
    """The side of the square of input pixels that the middle output pixel depends on.

    Weights and the image are made positive, so that nothing cancels and no ReLU cuts off.

    Args:
        net: takes and gives maps of the same size.
        channels: of its input.
        side: of the input, odd.
        outputs: the output channels looked at.
        holes: whether pixels inside the square may be left out.
    """
    net = net.eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_().add_(0.01)
    image = torch.rand(1, channels, side, side, requires_grad=True)
    out = net(image)
    assert out.shape[2:] == image.shape[2:]
    out[0, outputs, side // 2, side // 2].sum().backward()
    assert image.grad is not None
    touched = image.grad.abs().sum((0, 1)) > 0
    rows, columns = touched.any(1).nonzero(), touched.any(0).nonzero()
    height, width = (int(x.max() - x.min()) + 1 for x in (rows, columns))
    assert height == width
    assert int(touched.sum()) == height * width or holes
    return height
