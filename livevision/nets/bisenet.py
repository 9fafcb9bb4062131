"""BiSeNet V1, a segmenter with a spatial and a context path (arXiv 1808.00897, figure 2).

Where the paper is ambiguous, this follows the authors' released configuration: the 1x1 convolution
that ends the spatial path, the 3x3 convolution inside the attention refinement, the gates without
norm in the feature fusion, bilinear resizing with aligned corners.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from livevision.nets.features import features
from livevision.nets.layers import Backbone, ConvNorm, Step, global_average, initialise, resize_to

_WIDTH = 128  # channels of both paths where they meet


class SpatialPath(nn.Sequential):
    """Three stride-2 convolutions that keep detail: the image to 128 channels at 1/8."""

    def __init__(self) -> None:
        super().__init__(
            ConvNorm(3, 64, 7, stride=2),
            ConvNorm(64, 64, 3, stride=2),
            ConvNorm(64, 64, 3, stride=2),
            ConvNorm(64, _WIDTH),
        )


class AttentionRefinement(nn.Module):
    """ARM: a 3x3 convolution whose channels are weighted by a gate on their global average."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = ConvNorm(in_channels, _WIDTH, 3)
        self.gate = ConvNorm(_WIDTH, _WIDTH, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x * torch.sigmoid(self.gate(global_average(x)))


class FeatureFusion(nn.Module):
    """FFM: fuses the two paths and adds the result weighted by a gate without norm or bias.

    Args:
        in_channels: of both inputs together.
        reduction: how many times narrower the gate is inside.
    """

    def __init__(self, in_channels: int = 2 * _WIDTH, reduction: int = 1) -> None:
        super().__init__()
        channels = 2 * _WIDTH
        self.conv = ConvNorm(in_channels, channels)
        self.gate: nn.Module = nn.Sequential(
            nn.Conv2d(channels, channels // reduction, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels // reduction, channels, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, spatial: Tensor, context: Tensor) -> Tensor:
        x: Tensor = self.conv(torch.cat((spatial, context), 1))
        gate: Tensor = self.gate(global_average(x))
        return x + x * gate


class Head(nn.Sequential):
    """A 3x3 convolution and a 1x1 convolution with bias to the classes."""

    def __init__(self, in_channels: int, mid_channels: int, num_classes: int) -> None:
        super().__init__(
            ConvNorm(in_channels, mid_channels, 3), nn.Conv2d(mid_channels, num_classes, 1)
        )


class BiSeNet(nn.Module):
    """BiSeNet V1 on a backbone that returns maps at 1/8, 1/16 and 1/32.

    Args:
        backbone: the context path's backbone, with an attribute `channels`.
        num_classes: classes of the segmentation.
        aux_channels: hidden width of the two auxiliary heads; 0 builds none (inference only).
    """

    PARTS: ClassVar[dict[str, str]] = {
        "spatial_path": "spatial path",
        "backbone": "context path",
        "global_context": "context path",
        "refine16": "context path",
        "refine32": "context path",
        "": "context path",
        "arm16": "ARM",
        "arm32": "ARM",
        "fusion": "FFM",
        "head": "head",
        "enlarge": "upsampling",
    }

    def __init__(self, backbone: Backbone, num_classes: int, aux_channels: int) -> None:
        super().__init__()
        _, c4, c5 = backbone.channels
        self.backbone = backbone
        self.spatial_path: nn.Module = SpatialPath()
        self.global_context: nn.Module = ConvNorm(c5, _WIDTH)
        self.arm16: nn.Module = AttentionRefinement(c4)
        self.arm32: nn.Module = AttentionRefinement(c5)
        self.refine16 = ConvNorm(_WIDTH, _WIDTH, 3)
        self.refine32 = ConvNorm(_WIDTH, _WIDTH, 3)
        self.fusion: nn.Module = FeatureFusion()
        self.head = Head(2 * _WIDTH, 64, num_classes)
        self.enlarge = Step(resize_to)
        self.aux_heads = nn.ModuleList(
            Head(_WIDTH, aux_channels, num_classes) for _ in range(2 if aux_channels else 0)
        )
        initialise(self)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Segment a batch.

        Returns:
            In eval mode logits, N x num_classes x H x W, at the input's size. In train mode a
            tuple: those, then the logits of the auxiliary heads at the size of their maps, 1/16
            and 1/8 of the input.
        """
        spatial = self.spatial_path(images)
        _, c4, c5 = self.backbone(images)
        # The global average is one pixel: adding it broadcasts, so nothing is resized.
        context32 = self.arm32(c5) + self.global_context(global_average(c5))
        refined16 = self.refine32(resize_to(context32, c4))
        refined8 = self.refine16(resize_to(self.arm16(c4) + refined16, spatial))
        fused = self.fusion(spatial, refined8)
        logits: Tensor = self.enlarge(self.head(fused), images)
        if not self.training:
            return logits
        auxiliary = zip(self.aux_heads, (refined16, refined8), strict=False)
        return (logits, *(head(x) for head, x in auxiliary))


def bisenet(
    backbone: str,
    num_classes: int = 19,
    aux: bool = True,
    aux_channels: int = 128,
    backbone_options: Mapping[str, Any] | None = None,
) -> BiSeNet:
    """BiSeNet on any backbone of `livevision.nets.features` with maps at 1/8, 1/16 and 1/32.

    Args:
        backbone: name of the context path's backbone.
        num_classes: classes of the segmentation.
        aux: whether the auxiliary heads are built (training only).
        aux_channels: their hidden width.
        backbone_options: passed to the backbone, such as `width`.

    Raises:
        ValueError: the backbone is unknown, or lacks one of the maps.
    """
    maps = features(backbone, (8, 16, 32), **(backbone_options or {}))
    return BiSeNet(maps, num_classes, aux_channels if aux else 0)


def bisenet_xception39(num_classes: int = 19, aux: bool = True) -> BiSeNet:
    """BiSeNet1: Xception39 as context path; `aux=False` omits the auxiliary heads."""
    return bisenet("xception39", num_classes, aux)


def bisenet_resnet18(num_classes: int = 19, aux: bool = True) -> BiSeNet:
    """BiSeNet2: ResNet-18 as context path."""
    return bisenet("resnet18", num_classes, aux, aux_channels=256)


def bisenet_mobilenetv2(num_classes: int = 19, aux: bool = True, width: float = 1.0) -> BiSeNet:
    """BiSeNet with MobileNetV2 as context path; not in the paper."""
    return bisenet("mobilenetv2", num_classes, aux, backbone_options={"width": width})


def bisenet_shufflenetv2(
    num_classes: int = 19,
    aux: bool = True,
    width: float = 1.0,
    downsample_style: str = "torchvision",
) -> BiSeNet:
    """BiSeNet with ShuffleNetV2 as context path; not in the paper."""
    unit = {"downsample_style": downsample_style}
    return bisenet(f"shufflenetv2-{width:.1f}", num_classes, aux, backbone_options=unit)
