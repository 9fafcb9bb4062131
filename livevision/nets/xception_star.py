"""Xception*, the small backbone of Light-Head R-CNN's setting S (arXiv 1711.07264).

Its code was never released; only widths and repeats are known, not the layout of a unit. This is
the layout whose count is closest to the paper's 145 M multiply-adds: the bottleneck of ShuffleNet
V1 without groups, 143.1 M. Blocks of three separable convolutions, as in BiSeNet's Xception39, give
149.5 M with 3, 7 and 3 blocks, which is equally plausible.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from livevision.nets.layers import Backbone, Classifier, ConvNorm


class Unit(nn.Module):
    """1x1 convolution to a quarter, 3x3 depthwise, 1x1; the input is added or concatenated.

    If the number of channels stays, the input is added. If it grows, the input is averaged 3x3 at
    the unit's stride and concatenated, and the convolutions give the remaining channels.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        middle = out_channels // 4
        self.concatenates = in_channels != out_channels
        new = out_channels - in_channels if self.concatenates else out_channels
        self.residual = nn.Sequential(
            ConvNorm(in_channels, middle),
            ConvNorm(middle, middle, 3, stride, groups=middle, relu=False, dilation=dilation),
            ConvNorm(middle, new, relu=False),
        )
        self.pool = nn.AvgPool2d(3, stride, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if self.concatenates:
            return F.relu(torch.cat((self.pool(x), self.residual(x)), 1))
        return F.relu(x + self.residual(x))


class XceptionStar(Backbone):
    """The backbone: returns C4 at stride 16 and C5 at stride 32.

    Args:
        dilated: keeps C5 at stride 16; its depthwise convolutions are dilated by two.
    """

    channels = (288, 576)

    def __init__(self, dilated: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvNorm(3, 24, 3, stride=2), nn.MaxPool2d(3, 2, padding=1))
        self.stage2 = _stage(24, 144, units=4)
        self.stage3 = _stage(144, 288, units=8)
        self.stage4 = _stage(288, 576, units=4, dilated=dilated)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        c4 = self.stage3(self.stage2(self.stem(images)))
        return c4, self.stage4(c4)


def _stage(in_channels: int, out_channels: int, units: int, dilated: bool = False) -> nn.Sequential:
    stride, dilation = (1, 2) if dilated else (2, 1)
    first = Unit(in_channels, out_channels, stride, dilation)
    rest = (Unit(out_channels, out_channels, 1, dilation) for _ in range(units - 1))
    return nn.Sequential(first, *rest)


def xception_star(num_classes: int = 1000) -> Classifier:
    """Xception* as a classifier."""
    return Classifier(XceptionStar(), XceptionStar.channels[-1], num_classes, bias=True)
