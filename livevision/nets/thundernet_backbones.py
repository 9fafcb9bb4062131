"""ThunderNet on backbones other than its own SNets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from livevision.nets.features import features
from livevision.nets.thundernet import ThunderNet


def thundernet(
    backbone: str,
    num_classes: int = 20,
    backbone_options: Mapping[str, Any] | None = None,
    **options: int,
) -> ThunderNet:
    """ThunderNet on any backbone of `livevision.nets.features`, its C4 at 1/16 and C5 at 1/32.

    Args:
        backbone: its name.
        num_classes: foreground classes.
        backbone_options: passed to the backbone, such as `width`.
        **options: see `ThunderNet`.

    Raises:
        ValueError: The backbone is unknown, or has no maps at these strides.
    """
    maps = features(backbone, (16, 32), **(backbone_options or {}))
    return ThunderNet(maps, num_classes, **options)


def thundernet_mobilenetv2(num_classes: int = 20, width: float = 1.0, **options: int) -> ThunderNet:
    """ThunderNet with MobileNetV2, whose C5 is the last block's output."""
    return thundernet("mobilenetv2", num_classes, {"width": width}, **options)


def thundernet_shufflenetv2(
    num_classes: int = 20,
    width: float = 1.0,
    downsample_style: str = "torchvision",
    star: bool = False,
    activation: str = "relu",
    **options: int,
) -> ThunderNet:
    """ThunderNet with ShuffleNetV2, or ShuffleNetV2*, whose C5 is stage 4's output."""
    unit = {"downsample_style": downsample_style, "star": star, "activation": activation}
    return thundernet(f"shufflenetv2-{width:.1f}", num_classes, unit, **options)
