"""ShuffleNetV2's unit and stages (arXiv 1807.11164, figure 3 c and d, table 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from livevision.nets.layers import ConvNorm, channel_shuffle

DOWNSAMPLE_STYLES = ("torchvision", "megvii")


class Unit(nn.Module):
    """One unit; at stride 2 both branches see all channels, at stride 1 half of them each.

    The two public builds of the net differ, and so do their weights:

    * "torchvision": at stride 2 both branches give half of the output; every unit ends with a
      channel shuffle; at stride 1 the first half of the channels passes untouched.
    * "megvii" (the paper's authors): at stride 2 the left branch keeps the number of channels and
      the right one gives the rest; nothing is shuffled at the end, and at stride 1 the even
      channels pass untouched, which has the same effect.

    Args:
        in_channels: channels of the input; at stride 1 also of the output.
        out_channels: channels of the output, even.
        stride: 1 or 2.
        kernel_size: of the depthwise convolutions.
        downsample_style: "torchvision" or "megvii".

    Raises:
        ValueError: the style is another one, or the numbers of channels do not go together.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        kernel_size: int = 3,
        downsample_style: str = "torchvision",
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
        self.half = out_channels // 2
        self.shuffles_last = downsample_style == "torchvision"
        left = self.half if self.shuffles_last or stride == 1 else in_channels
        branch_in = in_channels if stride == 2 else self.half
        self.right = nn.Sequential(
            ConvNorm(branch_in, self.half),
            ConvNorm(self.half, self.half, kernel_size, stride, groups=self.half, relu=False),
            ConvNorm(self.half, out_channels - left),
        )
        if stride == 2:
            self.left = nn.Sequential(
                ConvNorm(in_channels, in_channels, kernel_size, 2, groups=in_channels, relu=False),
                ConvNorm(in_channels, left),
            )

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 2:
            x = torch.cat((self.left(x), self.right(x)), 1)
        elif self.shuffles_last:
            untouched, branch = x.split(self.half, 1)
            x = torch.cat((untouched, self.right(branch)), 1)
        else:
            x = torch.cat((x[:, 0::2], self.right(x[:, 1::2])), 1)
        return channel_shuffle(x) if self.shuffles_last else x


def stage(
    in_channels: int, out_channels: int, units: int, kernel_size: int, downsample_style: str
) -> nn.Sequential:
    """A unit of stride 2 and `units - 1` of stride 1."""
    first = Unit(in_channels, out_channels, 2, kernel_size, downsample_style)
    rest = (
        Unit(out_channels, out_channels, 1, kernel_size, downsample_style) for _ in range(units - 1)
    )
    return nn.Sequential(first, *rest)
