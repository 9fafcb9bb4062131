"""Building blocks shared by several nets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm


class Step(nn.Module):
    """A function as a module, so that its operations have its name in an exported graph."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *arguments: Any, **options: Any) -> Any:
        return self.function(*arguments, **options)


class Conv(nn.Conv2d):
    """A convolution that trains with unpadded kernels of one pixel and a stride, too.

    oneDNN's gradient of such weights writes beyond its buffer where the input has fewer than 16
    channels in channels-last order (torch 2.13.0 on AVX-512; the process crashes, then or later).
    In training the pixels that the stride skips are dropped first, which computes the same.
    """

    def forward(self, input: Tensor) -> Tensor:
        single = self.kernel_size == (1, 1) and self.padding == (0, 0)
        if not (self.training and single and self.stride != (1, 1)):
            return super().forward(input)
        rows, columns = self.stride
        kept = input[:, :, ::rows, ::columns]
        return F.conv2d(kept, self.weight, self.bias, groups=self.groups)


class ConvNorm(nn.Sequential):
    """Convolution without bias, batch normalisation, and (by default) a ReLU or a ReLU6.

    The padding keeps the size at stride 1 and gives ceil(size / stride) otherwise. A `slope` above
    zero makes the ReLU a LeakyReLU, which has that slope below zero.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
        relu: bool = True,
        relu6: bool = False,
        dilation: int = 1,
        slope: float = 0.0,
    ) -> None:
        layers: list[nn.Module] = [
            Conv(
                in_channels,
                out_channels,
                kernel_size,
                stride,
                padding=dilation * (kernel_size // 2),
                dilation=dilation,
                groups=groups,
                bias=False,
            ),
            nn.BatchNorm2d(out_channels),
        ]
        if relu6:
            layers.append(nn.ReLU6(inplace=True))
        elif relu and slope:
            layers.append(nn.LeakyReLU(slope, inplace=True))
        elif relu:
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)

    @property
    def conv(self) -> nn.Conv2d:
        """The convolution."""
        return cast(nn.Conv2d, self[0])

    @property
    def norm(self) -> nn.BatchNorm2d:
        """The batch normalisation."""
        return cast(nn.BatchNorm2d, self[1])


class Backbone(nn.Module):
    """A net that takes images and returns a tuple of maps, finest first.

    Attributes:
        channels: of each map.
    """

    channels: tuple[int, ...]


def statistics(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """Running mean and variance of a norm.

    Raises:
        ValueError: it has none.
    """
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ValueError("a norm without running statistics")
    return mean, variance


def global_average(x: Tensor) -> Tensor:
    """Mean over height and width, N x C x 1 x 1."""
    # As a mean rather than a pooling layer: it exports to one ReduceMean for any size.
    return x.mean((2, 3), keepdim=True)


def resize_to(x: Tensor, like: Tensor, align_corners: bool = True) -> Tensor:
    """Resize `x` bilinearly to the height and width of `like`."""
    # int() makes the size a constant of the exported graph, which every runtime accepts.
    size = (int(like.shape[2]), int(like.shape[3]))
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)


def channel_shuffle(x: Tensor, groups: int = 2) -> Tensor:
    """Interleave the channels of `groups` equal blocks: with two, a0 a1 b0 b1 -> a0 b0 a1 b1."""
    batch, channels, height, width = (int(n) for n in x.shape)
    x = x.reshape(batch, groups, channels // groups, height, width)
    return x.transpose(1, 2).reshape(batch, channels, height, width)


def initialise(net: nn.Module) -> None:
    """Initialise weights: He normal (fan out) for convolutions, N(0, 0.01) for linear layers."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            # Fan out of a depthwise convolution counts the outputs of one group only.
            fan_out = module.out_channels * module.weight[0, 0].numel() // module.groups
            nn.init.normal_(module.weight, 0.0, (2.0 / fan_out) ** 0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class Classifier(nn.Module):
    """A backbone, global average pooling, (maybe) dropout and one linear layer.

    Args:
        backbone: returns a sequence of maps, the last of which is classified.
        channels: channels of that map.
        num_classes: length of the logits; 0 returns the averages themselves.
        bias: whether the linear layer has a bias.
        dropout: share of the averages dropped in training.
    """

    PARTS: ClassVar[dict[str, str]] = {
        "backbone": "backbone",
        "fc": "head",
        "dropout": "head",
        "": "head",
    }

    def __init__(
        self,
        backbone: Backbone,
        channels: int,
        num_classes: int,
        bias: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.fc: nn.Module = (
            nn.Linear(channels, num_classes, bias=bias) if num_classes else nn.Identity()
        )
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, N x num_classes."""
        return self.classify(self.backbone(images)[-1])

    def classify(self, last: Tensor) -> Tensor:
        """Logits, N x num_classes, of the backbone's last map, N x channels x H x W."""
        average = torch.flatten(global_average(last), 1)
        logits: Tensor = self.fc(self.dropout(average))
        return logits
