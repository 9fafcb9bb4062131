"""STDC1 and STDC2, backbones of short-term dense concatenation (arXiv 2104.13188, table 2)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_linear_bn_eval

from livevision.nets.layers import Backbone, ConvNorm, global_average, initialise


class DenseConcatenation(nn.Module):
    """A 1x1 and three 3x3 convolutions in a row, each narrower, all their outputs concatenated.

    They have 1/2, 1/4, 1/8 and 1/8 of the channels. At stride 2 the first output is pooled, and a
    depthwise convolution of stride 2 connects it to the second.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        half, quarter, eighth = out_channels // 2, out_channels // 4, out_channels // 8
        self.conv1 = ConvNorm(in_channels, half)
        self.down: nn.Module = nn.Identity()
        self.pool: nn.Module = nn.Identity()
        if stride == 2:
            self.down = ConvNorm(half, half, 3, stride=2, groups=half, relu=False)
            self.pool = nn.AvgPool2d(3, 2, padding=1)
        self.conv2 = ConvNorm(half, quarter, 3)
        self.conv3 = ConvNorm(quarter, eighth, 3)
        self.conv4 = ConvNorm(eighth, eighth, 3)

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.conv1(x)
        x2 = self.conv2(self.down(x1))
        x3 = self.conv3(x2)
        return torch.cat((self.pool(x1), x2, x3, self.conv4(x3)), 1)


class STDC(Backbone):
    """The backbone: returns the maps at 1/4, 1/8, 1/16 and 1/32.

    Args:
        blocks: of stages 3, 4 and 5.
    """

    channels = (64, 256, 512, 1024)

    def __init__(self, blocks: tuple[int, int, int]) -> None:
        super().__init__()
        c2, c3, c4, c5 = self.channels
        self.stem = nn.Sequential(ConvNorm(3, 32, 3, stride=2), ConvNorm(32, c2, 3, stride=2))
        self.stage3 = _stage(c2, c3, blocks[0])
        self.stage4 = _stage(c3, c4, blocks[1])
        self.stage5 = _stage(c4, c5, blocks[2])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x2 = self.stem(images)
        x3 = self.stage3(x2)
        x4 = self.stage4(x3)
        return x2, x3, x4, self.stage5(x4)


def _stage(in_channels: int, out_channels: int, blocks: int) -> nn.Sequential:
    first = DenseConcatenation(in_channels, out_channels, 2)
    rest = (DenseConcatenation(out_channels, out_channels, 1) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


class STDCClassifier(nn.Module):
    """STDC as a classifier: 1x1 convolution, average, and two linear layers of 1024 inputs."""

    PARTS: ClassVar[dict[str, str]] = {"backbone": "backbone", "": "head"}

    def __init__(self, backbone: STDC, num_classes: int) -> None:
        super().__init__()
        channels = backbone.channels[-1]
        self.backbone = backbone
        self.conv6 = ConvNorm(channels, 1024)
        self.fc1 = nn.Linear(1024, 1024, bias=False)
        self.norm: nn.BatchNorm1d | nn.Identity = nn.BatchNorm1d(1024)
        self.dropout = nn.Dropout(0.2)
        self.fc2 = nn.Linear(1024, num_classes, bias=False)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, N x num_classes."""
        average = torch.flatten(global_average(self.conv6(self.backbone(images)[-1])), 1)
        hidden = F.relu(self.norm(self.fc1(average)))
        logits: Tensor = self.fc2(self.dropout(hidden))
        return logits

    def fold_norms(self) -> None:
        """Fold the norm after a linear layer, which exporters do not; in eval mode only."""
        if isinstance(self.norm, nn.BatchNorm1d):
            self.fc1 = fuse_linear_bn_eval(self.fc1, self.norm)
            self.norm = nn.Identity()


def backbone(name: str) -> STDC:
    """The backbone "stdc1" or "stdc2"."""
    return STDC({"stdc1": (2, 2, 2), "stdc2": (4, 5, 3)}[name])


def stdc1(num_classes: int = 1000) -> STDCClassifier:
    """STDC1 as a classifier."""
    return STDCClassifier(backbone("stdc1"), num_classes)


def stdc2(num_classes: int = 1000) -> STDCClassifier:
    """STDC2 as a classifier."""
    return STDCClassifier(backbone("stdc2"), num_classes)
