"""ShuffleNetV2 (arXiv 1807.11164, figure 3 c and d, table 5)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from livevision.nets.layers import Backbone, Classifier, ConvNorm, channel_shuffle

DOWNSAMPLE_STYLES = ("torchvision", "megvii")

ACTIVATIONS = {"relu": 0.0, "leaky_relu": 0.1}
"""Negative slope of each activation; 0.1 for NanoDet's leaky ReLU."""

# Table 5: channels of the stem, of stages 2 to 4 and of conv5.
_WIDTHS = {
    0.5: (24, 48, 96, 192, 1024),
    1.0: (24, 116, 232, 464, 1024),
    1.5: (24, 176, 352, 704, 1024),
    2.0: (24, 244, 488, 976, 2048),
}


def slope_of(activation: str) -> float:
    """Negative slope of an activation.

    Raises:
        ValueError: the activation is unknown.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation {activation!r} is not one of {tuple(ACTIVATIONS)}")
    return ACTIVATIONS[activation]


def channels_at(width: float) -> tuple[int, int, int, int, int]:
    """Channels of the stem, of stages 2 to 4 and of conv5 at a width of the paper.

    Raises:
        ValueError: the paper does not have this width.
    """
    if width not in _WIDTHS:
        raise ValueError(f"width {width} is not one of {', '.join(map(str, _WIDTHS))}")
    return _WIDTHS[width]


class Unit(nn.Module):
    """One unit; at stride 2 both branches see all channels, at stride 1 half of them each.

    The two public versions of the net differ, and so do their weights:

    * "torchvision": at stride 2 both branches give half of the output; every unit ends with a
      channel shuffle; at stride 1 the first half of the channels passes unchanged.
    * "megvii" (the paper's authors): at stride 2 the left branch keeps the number of channels and
      the right one gives the rest; there is no shuffle at the end, and at stride 1 the even
      channels pass unchanged, which has the same effect.

    Args:
        in_channels: channels of the input; at stride 1 also of the output.
        out_channels: channels of the output, even.
        stride: 1 or 2.
        kernel_size: of the depthwise convolutions.
        downsample_style: "torchvision" or "megvii".
        star: ShuffleNetV2*, for detection: one more 3x3 depthwise convolution, at stride 1,
            before the right branch, for a larger receptive field.
        dilation: 2 keeps the size of the map at any stride; the depthwise convolutions are dilated
            by two.
        activation: "relu" or "leaky_relu".

    Raises:
        ValueError: the style or the activation is unknown, or the numbers of channels do not
            match.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        kernel_size: int = 3,
        downsample_style: str = "torchvision",
        star: bool = False,
        dilation: int = 1,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        if downsample_style not in DOWNSAMPLE_STYLES:
            raise ValueError(
                f"downsample_style {downsample_style!r} is not one of {DOWNSAMPLE_STYLES}"
            )
        if out_channels % 2 or (stride == 1 and in_channels != out_channels):
            raise ValueError(
                f"a unit of stride {stride} cannot map {in_channels} to {out_channels} channels"
            )
        self.stride = stride
        self.half_channels = out_channels // 2
        self.shuffles_last = downsample_style == "torchvision"
        left = self.half_channels if self.shuffles_last or stride == 1 else in_channels
        branch_in = in_channels if stride == 2 else self.half_channels
        step = 1 if dilation > 1 else stride
        slope = slope_of(activation)

        def depthwise(channels: int, step: int) -> ConvNorm:
            return ConvNorm(
                channels, channels, kernel_size, step, channels, relu=False, dilation=dilation
            )

        self.right = nn.Sequential(
            ConvNorm(branch_in, self.half_channels, slope=slope),
            depthwise(self.half_channels, step),
            ConvNorm(self.half_channels, out_channels - left, slope=slope),
        )
        if star:
            self.right.insert(0, depthwise(branch_in, 1))
        if stride == 2:
            last = ConvNorm(in_channels, left, slope=slope)
            self.left = nn.Sequential(depthwise(in_channels, step), last)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 2:
            x = torch.cat((self.left(x), self.right(x)), 1)
        elif self.shuffles_last:
            untouched, branch = x.split(self.half_channels, 1)
            x = torch.cat((untouched, self.right(branch)), 1)
        else:
            x = torch.cat((x[:, 0::2], self.right(x[:, 1::2])), 1)
        return channel_shuffle(x) if self.shuffles_last else x


def stage(
    in_channels: int,
    out_channels: int,
    units: int,
    kernel_size: int,
    downsample_style: str,
    star: bool = False,
    dilated: bool = False,
    activation: str = "relu",
) -> nn.Sequential:
    """A unit of stride 2 and `units - 1` of stride 1; dilated, the size of the map is kept."""
    how = (kernel_size, downsample_style, star, 2 if dilated else 1, activation)
    first = Unit(in_channels, out_channels, 2, *how)
    rest = (Unit(out_channels, out_channels, 1, *how) for _ in range(units - 1))
    return nn.Sequential(first, *rest)


class ShuffleNetV2(Backbone):
    """The backbone: returns the maps at strides 4, 8, 16 and 32.

    Args:
        width: 0.5, 1.0, 1.5 or 2.0, the names of the paper's columns.
        downsample_style: see `Unit`.
        star: see `Unit`.
        last: whether conv5 follows the last map; detectors and segmenters use stage 4's instead.
        dilated: keeps stage 4 at stride 16, see `Unit`.
        activation: see `Unit`.

    Raises:
        ValueError: the paper does not have this width.
    """

    def __init__(
        self,
        width: float = 1.0,
        downsample_style: str = "torchvision",
        star: bool = False,
        last: bool = True,
        dilated: bool = False,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        stem, c3, c4, c5, conv5 = channels_at(width)
        slope = slope_of(activation)
        self.kind = (downsample_style, activation)  # of the units
        first = ConvNorm(3, stem, 3, stride=2, slope=slope)
        self.stem = nn.Sequential(first, nn.MaxPool2d(3, 2, padding=1))
        how = (3, downsample_style, star)
        self.stage2 = stage(stem, c3, 4, *how, activation=activation)
        self.stage3 = stage(c3, c4, 8, *how, activation=activation)
        self.stage4 = stage(c4, c5, 4, *how, dilated, activation)
        self.conv5: nn.Module = ConvNorm(c5, conv5, slope=slope) if last else nn.Identity()
        self.channels = (stem, c3, c4, conv5 if last else c5)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        c2 = self.stem(images)
        c3 = self.stage2(c2)
        c4 = self.stage3(c3)
        return c2, c3, c4, self.conv5(self.stage4(c4))


def shufflenetv2_05(num_classes: int = 1000, **options: Any) -> Classifier:
    """ShuffleNetV2 0.5x as a classifier; for options see `ShuffleNetV2`."""
    return _classifier(0.5, num_classes, **options)


def shufflenetv2_10(num_classes: int = 1000, **options: Any) -> Classifier:
    """ShuffleNetV2 1x as a classifier."""
    return _classifier(1.0, num_classes, **options)


def shufflenetv2_15(num_classes: int = 1000, **options: Any) -> Classifier:
    """ShuffleNetV2 1.5x as a classifier."""
    return _classifier(1.5, num_classes, **options)


def shufflenetv2_20(num_classes: int = 1000, **options: Any) -> Classifier:
    """ShuffleNetV2 2x as a classifier."""
    return _classifier(2.0, num_classes, **options)


def _classifier(
    width: float,
    num_classes: int,
    downsample_style: str = "torchvision",
    star: bool = False,
    last: bool = True,
    activation: str = "relu",
) -> Classifier:
    net = ShuffleNetV2(width, downsample_style, star, last, activation=activation)
    # As in the public versions, megvii's linear layer has no bias and, at width 2, dropout.
    megvii = downsample_style == "megvii"
    dropout = 0.2 if megvii and width == 2.0 else 0.0
    return Classifier(net, net.channels[-1], num_classes, bias=not megvii, dropout=dropout)
