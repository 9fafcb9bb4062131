"""Xception39, the light backbone of BiSeNet (arXiv 1808.00897).

The paper does not specify its layers; they follow the authors' released configuration: a 3x3
convolution to 8 channels, a max pooling, and three layers of 4, 8 and 4 residual blocks of three
separable convolutions.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from livevision.nets.layers import Backbone, Classifier, ConvNorm


class SeparableConv(nn.Sequential):
    """3x3 depthwise convolution, directly followed by 1x1 convolution, norm and (maybe) ReLU."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, relu: bool = True
    ) -> None:
        super().__init__(
            nn.Conv2d(
                in_channels, in_channels, 3, stride, padding=1, groups=in_channels, bias=False
            ),
            ConvNorm(in_channels, out_channels, relu=relu),
        )


class Block(nn.Module):
    """Three separable convolutions with a shortcut; outputs four times `mid_channels`.

    The shortcut is a separable convolution at stride 2, otherwise the identity.
    """

    def __init__(self, in_channels: int, mid_channels: int, stride: int) -> None:
        super().__init__()
        out_channels = 4 * mid_channels
        self.residual = nn.Sequential(
            SeparableConv(in_channels, mid_channels, stride),
            SeparableConv(mid_channels, mid_channels),
            SeparableConv(mid_channels, out_channels, relu=False),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            self.shortcut = SeparableConv(in_channels, out_channels, stride, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.residual(x) + self.shortcut(x))


class Xception39(Backbone):
    """The backbone: returns the maps at 1/8, 1/16 and 1/32 with 64, 128 and 256 channels."""

    channels = (64, 128, 256)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvNorm(3, 8, 3, stride=2), nn.MaxPool2d(3, 2, padding=1))
        self.layer1 = _layer(8, 16, blocks=4)
        self.layer2 = _layer(64, 32, blocks=8)
        self.layer3 = _layer(128, 64, blocks=4)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        c3 = self.layer1(self.stem(images))
        c4 = self.layer2(c3)
        c5 = self.layer3(c4)
        return c3, c4, c5


def _layer(in_channels: int, mid_channels: int, blocks: int) -> nn.Sequential:
    first = Block(in_channels, mid_channels, stride=2)
    rest = (Block(4 * mid_channels, mid_channels, stride=1) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


def xception39(num_classes: int = 1000) -> Classifier:
    """Xception39 with a classifier on its last map."""
    return Classifier(Xception39(), Xception39.channels[-1], num_classes)
