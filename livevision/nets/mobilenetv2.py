"""MobileNetV2 (arXiv 1801.04381, tables 1 and 2): inverted residuals with linear bottlenecks.

The text mentions 19 bottlenecks; table 2 has 17, as has the authors' release. The paper's 6.9 M
parameters at width 1.4 contradict the table, which gives 6.1 M, as does the release.
"""

from __future__ import annotations

from torch import Tensor, nn

from livevision.nets.layers import Backbone, Classifier, ConvNorm

# Table 2. t: expansion; c: output channels; n: blocks; s: stride of the first.
_ROWS = (
    # t, c, n, s
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise and 1x1 projection, the last without activation.

    With expansion 1 there is no first convolution. The input is added if the shapes allow it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        expansion: int,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        wide = expansion * in_channels
        self.expand: nn.Module = (
            ConvNorm(in_channels, wide, relu6=True) if expansion > 1 else nn.Identity()
        )
        self.depthwise = ConvNorm(wide, wide, 3, stride, groups=wide, relu6=True, dilation=dilation)
        self.project = ConvNorm(wide, out_channels, relu=False)
        self.adds_input = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + projected if self.adds_input else projected


class MobileNetV2(Backbone):
    """The backbone: returns the last map of each of the strides 2, 4, 8, 16 and 32.

    Args:
        width: multiplies all numbers of channels; that of `last` is not reduced.
        last: channels of the 1x1 convolution after the blocks; 0 for none, as for detectors and
            segmenters.
        divisor: numbers of channels are multiples of it.
        dilated: keeps the last map at stride 16; the depthwise convolutions before it are dilated
            by two.
    """

    def __init__(
        self,
        width: float = 1.0,
        last: int = 1280,
        divisor: int = 8,
        dilated: bool = False,
    ) -> None:
        super().__init__()
        channels = scale_channels(32, width, divisor)
        self.stem = ConvNorm(3, channels, 3, stride=2, relu6=True)
        stages: list[list[nn.Module]] = [[]]
        self.channels: tuple[int, ...] = ()
        for expansion, out, blocks, stride in _ROWS:
            if stride == 2:
                stages.append([])
                self.channels += (channels,)
            dilation = 2 if dilated and len(stages) == 5 else 1
            for i in range(blocks):
                out_channels = scale_channels(out, width, divisor)
                first_stride = stride if i == 0 and dilation == 1 else 1
                stages[-1].append(
                    InvertedResidual(channels, out_channels, first_stride, expansion, dilation)
                )
                channels = out_channels
        if last:
            out_channels = scale_channels(last, max(1.0, width), divisor)
            stages[-1].append(ConvNorm(channels, out_channels, relu6=True))
            channels = out_channels
        self.channels += (channels,)
        self.stages = nn.ModuleList(nn.Sequential(*stage) for stage in stages)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(images)
        maps: tuple[Tensor, ...] = ()
        for stage in self.stages:
            x = stage(x)
            maps += (x,)
        return maps


def scale_channels(channels: int, width: float, divisor: int = 8) -> int:
    """`channels * width` rounded to a multiple; rounded up if that would lose over 10 %."""
    exact = channels * width
    rounded = max(divisor, int(exact + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * exact else rounded


def mobilenetv2(
    num_classes: int = 1000,
    width: float = 1.0,
    dropout: float = 0.2,
    divisor: int = 8,
    last: int = 1280,
) -> Classifier:
    """MobileNetV2 as a classifier; `width` is the paper's width multiplier.

    For `last` and `divisor` see `MobileNetV2`.
    """
    net = MobileNetV2(width, last, divisor)
    return Classifier(net, net.channels[-1], num_classes, bias=True, dropout=dropout)
