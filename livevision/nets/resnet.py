"""ResNet-18 and ResNet-101 (arXiv 1512.03385, table 1).

The bottleneck is that of later releases: the 3x3 convolution has the stride, not the 1x1 before it.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from livevision.nets.layers import Backbone, Classifier, ConvNorm


class Residual(nn.Module):
    """`F.relu(residual(x) + shortcut(x))`; the shortcut is a 1x1 convolution if shapes differ."""

    def __init__(
        self, residual: nn.Sequential, in_channels: int, out_channels: int, stride: int
    ) -> None:
        super().__init__()
        self.residual = residual
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.shortcut = ConvNorm(in_channels, out_channels, stride=stride, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.residual(x) + self.shortcut(x))


class BasicBlock(Residual):
    """Two 3x3 convolutions."""

    widening = 1

    def __init__(self, in_channels: int, width: int, stride: int, dilation: int) -> None:
        residual = nn.Sequential(
            ConvNorm(in_channels, width, 3, stride, dilation=dilation),
            ConvNorm(width, width, 3, dilation=dilation, relu=False),
        )
        super().__init__(residual, in_channels, width, stride)


class Bottleneck(Residual):
    """1x1 convolution to `width` channels, 3x3, and 1x1 to four times as many."""

    widening = 4

    def __init__(self, in_channels: int, width: int, stride: int, dilation: int) -> None:
        residual = nn.Sequential(
            ConvNorm(in_channels, width),
            ConvNorm(width, width, 3, stride, dilation=dilation),
            ConvNorm(width, 4 * width, relu=False),
        )
        super().__init__(residual, in_channels, 4 * width, stride)


class ResNet(Backbone):
    """The backbone: returns C2, C3, C4 and C5, at strides 4, 8, 16 and 32.

    Args:
        block: BasicBlock or Bottleneck.
        blocks: number in each of the four stages.
        dilated: keeps C5 at stride 16; its 3x3 convolutions are dilated by two.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        blocks: tuple[int, int, int, int],
        dilated: bool = False,
    ) -> None:
        super().__init__()
        self.channels = tuple(block.widening * width for width in (64, 128, 256, 512))
        self.stem = nn.Sequential(ConvNorm(3, 64, 7, stride=2), nn.MaxPool2d(3, 2, padding=1))
        _, c3, c4, _ = self.channels
        self.stage2 = _stage(block, 64, 64, blocks[0], stride=1)
        self.stage3 = _stage(block, self.channels[0], 128, blocks[1], stride=2)
        self.stage4 = _stage(block, c3, 256, blocks[2], stride=2)
        self.stage5 = (
            _stage(block, c4, 512, blocks[3], stride=1, dilation=2)
            if dilated
            else _stage(block, c4, 512, blocks[3], stride=2)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        c2 = self.stage2(self.stem(images))
        c3 = self.stage3(c2)
        c4 = self.stage4(c3)
        return c2, c3, c4, self.stage5(c4)


def _stage(
    block: type[BasicBlock] | type[Bottleneck],
    in_channels: int,
    width: int,
    blocks: int,
    stride: int,
    dilation: int = 1,
) -> nn.Sequential:
    first = block(in_channels, width, stride, dilation)
    rest = (block(block.widening * width, width, 1, dilation) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


def backbone(name: str, dilated: bool = False) -> ResNet:
    """The backbone "resnet18" or "resnet101"."""
    if name == "resnet18":
        return ResNet(BasicBlock, (2, 2, 2, 2), dilated)
    return ResNet(Bottleneck, {"resnet101": (3, 4, 23, 3)}[name], dilated)


def resnet18(num_classes: int = 1000) -> Classifier:
    """ResNet-18 as a classifier."""
    return Classifier(backbone("resnet18"), 512, num_classes, bias=True)


def resnet101(num_classes: int = 1000) -> Classifier:
    """ResNet-101 as a classifier."""
    return Classifier(backbone("resnet101"), 2048, num_classes, bias=True)
