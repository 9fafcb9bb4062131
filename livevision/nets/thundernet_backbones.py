"""ThunderNet on backbones other than its own SNets."""

from __future__ import annotations

from typing import cast

from livevision.nets.features import features
from livevision.nets.snet import SNet
from livevision.nets.thundernet import ThunderNet


def thundernet_on(backbone: str, num_classes: int = 20, **options: int) -> ThunderNet:
    """ThunderNet on any backbone of `livevision.nets.features`, its C4 at 1/16 and C5 at 1/32."""
    # ThunderNet asks of a backbone what SNet gives: `channels` and a pair of maps.
    return ThunderNet(cast(SNet, features(backbone, (16, 32))), num_classes, **options)


def thundernet_mobilenetv2(num_classes: int = 20, **options: int) -> ThunderNet:
    """ThunderNet with MobileNetV2, whose C5 is the last block's output."""
    return thundernet_on("mobilenetv2", num_classes, **options)


def thundernet_shufflenetv2(num_classes: int = 20, **options: int) -> ThunderNet:
    """ThunderNet with ShuffleNetV2 1x, whose C5 is stage 4's output."""
    return thundernet_on("shufflenetv2-1.0", num_classes, **options)
