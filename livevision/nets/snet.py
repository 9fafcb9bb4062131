"""SNet, ThunderNet's backbones (arXiv 1903.11752, table 1): ShuffleNetV2 with 5x5 depthwise.

SNet146 counts 162 M multiply-adds at 224x224, not the 146 M of its name: the paper's table and the
authors' released net both have 4, 8 and 4 units, as here.
"""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn

from livevision.nets.layers import Backbone, Classifier, ConvNorm
from livevision.nets.shufflenetv2 import slope_of, stage


class SNet(Backbone):
    """The backbone: returns C4 at 1/16 and C5 at 1/32.

    Args:
        widths: channels of the stem and of stages 2 to 4.
        last: channels of a 1x1 convolution after stage 4, whose output is then C5; 0 for none.
        downsample_style: see `livevision.nets.shufflenetv2.Unit`.
        dilated: keeps C5 at stride 16, see there.
        kernel_size: of the depthwise convolutions; the paper compares its 5 with 3.
        activation: "relu" or "leaky_relu", see `livevision.nets.shufflenetv2.Unit`.
    """

    def __init__(
        self,
        widths: tuple[int, int, int, int],
        last: int = 0,
        downsample_style: str = "torchvision",
        dilated: bool = False,
        kernel_size: int = 5,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        stem, c3, c4, c5 = widths
        slope = slope_of(activation)
        self.kind = (downsample_style, activation)  # of the units
        first = ConvNorm(3, stem, 3, stride=2, slope=slope)
        self.stem = nn.Sequential(first, nn.MaxPool2d(3, 2, padding=1))
        how = (kernel_size, downsample_style)
        self.stage2 = stage(stem, c3, 4, *how, activation=activation)
        self.stage3 = stage(c3, c4, 8, *how, activation=activation)
        self.stage4 = stage(c4, c5, 4, *how, dilated=dilated, activation=activation)
        self.conv5: nn.Module = ConvNorm(c5, last, slope=slope) if last else nn.Identity()
        self.channels = (c4, last or c5)

    @property
    def first(self) -> ConvNorm:
        """The first layer."""
        return cast(ConvNorm, self.stem[0])

    def unshuffle(self) -> tuple[list[int], list[int]]:
        """Remove the shuffles for export, in eval mode; the order of the maps' channels changes.

        Returns:
            For each channel of C4, and of C5, its former index.
        """
        from livevision.nets.unshuffled import Unshuffled, permute_inputs

        order = list(range(self.first.conv.out_channels))
        orders = []
        for name in ("stage2", "stage3", "stage4"):
            stage = Unshuffled(list(getattr(self, name)), order)
            setattr(self, name, stage)
            order = stage.order
            orders.append(order)
        if isinstance(self.conv5, ConvNorm):
            permute_inputs(self.conv5.conv, order)
            order = list(range(self.channels[1]))
        return orders[1], order

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        c4 = self.stage3(self.stage2(self.stem(images)))
        return c4, self.conv5(self.stage4(c4))


def backbone(name: str, downsample_style: str = "torchvision", **options: Any) -> SNet:
    """The backbone "snet49", "snet146" or "snet535"; for options see `SNet`."""
    widths, last = {
        "snet49": ((24, 60, 120, 240), 512),
        "snet146": ((24, 132, 264, 528), 0),
        "snet535": ((48, 248, 496, 992), 0),
    }[name]
    return SNet(widths, last, downsample_style, **options)


def snet49(num_classes: int = 1000, **options: Any) -> Classifier:
    """SNet49 as a classifier; for options see `SNet`."""
    return _classifier("snet49", num_classes, options)


def snet146(num_classes: int = 1000, **options: Any) -> Classifier:
    """SNet146 as a classifier."""
    return _classifier("snet146", num_classes, options)


def snet535(num_classes: int = 1000, **options: Any) -> Classifier:
    """SNet535 as a classifier."""
    return _classifier("snet535", num_classes, options)


def _classifier(name: str, num_classes: int, options: dict[str, Any]) -> Classifier:
    net = backbone(name, **options)
    return Classifier(net, net.channels[-1], num_classes)
