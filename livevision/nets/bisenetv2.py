"""BiSeNet V2, a segmenter with a detail and a semantic branch (arXiv 2004.02147, table 1).

Training starts from random weights. The paper's 21.15 G multiply-adds at 512 x 1024 lie between
those of a head 128 wide (16.0 G) and 1024 wide (24.6 G); the default is 1024, as in the public
weights.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from livevision.nets.bisenet import Head
from livevision.nets.layers import ConvNorm, Step, global_average, initialise, resize_to, statistics

_EXPANSION = 6


class DetailBranch(nn.Sequential):
    """Wide and shallow: stages of 2, 3 and 3 convolutions to 128 channels at 1/8."""

    def __init__(self) -> None:
        super().__init__(
            ConvNorm(3, 64, 3, stride=2),
            ConvNorm(64, 64, 3),
            ConvNorm(64, 64, 3, stride=2),
            ConvNorm(64, 64, 3),
            ConvNorm(64, 64, 3),
            ConvNorm(64, 128, 3, stride=2),
            ConvNorm(128, 128, 3),
            ConvNorm(128, 128, 3),
        )


class Stem(nn.Module):
    """To 16 channels at 1/4 in two branches, convolution and pooling, concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.first = ConvNorm(3, 16, 3, stride=2)
        self.convolved = nn.Sequential(ConvNorm(16, 8), ConvNorm(8, 16, 3, stride=2))
        self.pooled = nn.MaxPool2d(3, 2, padding=1)
        self.join = ConvNorm(32, 16, 3)

    def forward(self, images: Tensor) -> Tensor:
        x = self.first(images)
        joined: Tensor = self.join(torch.cat((self.convolved(x), self.pooled(x)), 1))
        return joined


class GatherExpansion(nn.Module):
    """3x3 convolution, 3x3 depthwise to six times the channels (twice at stride 2), 1x1 back.

    The shortcut is a separable convolution, with a norm in between, at stride 2.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        wide = _EXPANSION * in_channels
        layers: list[nn.Module] = [ConvNorm(in_channels, in_channels, 3)]
        self.shortcut: nn.Module = nn.Identity()
        if stride == 2:
            layers += [
                ConvNorm(in_channels, wide, 3, stride=2, groups=in_channels, relu=False),
                ConvNorm(wide, wide, 3, groups=wide),
            ]
            self.shortcut = nn.Sequential(
                ConvNorm(in_channels, in_channels, 3, stride=2, groups=in_channels, relu=False),
                ConvNorm(in_channels, out_channels, relu=False),
            )
        else:
            layers.append(ConvNorm(in_channels, wide, 3, groups=in_channels))
        self.residual = nn.Sequential(*layers, ConvNorm(wide, out_channels, relu=False))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.residual(x) + self.shortcut(x))


class ContextEmbedding(nn.Module):
    """Adds the global average, normed and convolved, to every pixel; then a 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm: nn.BatchNorm2d | nn.Identity = nn.BatchNorm2d(channels)
        self.context = ConvNorm(channels, channels)
        self.conv = ConvNorm(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        embedded: Tensor = self.conv(x + self.context(self.norm(global_average(x))))
        return embedded

    @torch.no_grad()
    def fold_norms(self) -> None:
        """Fold the norm before a convolution, which exporters do not; in eval mode only."""
        if not isinstance(self.norm, nn.BatchNorm2d):
            return
        mean, variance = statistics(self.norm)
        scale = self.norm.weight / (variance + self.norm.eps).sqrt()
        shift = self.norm.bias - mean * scale
        plain = self.context.conv
        folded = nn.Conv2d(plain.in_channels, plain.out_channels, 1)
        folded.weight.copy_(plain.weight * scale[:, None, None])
        folded.bias = nn.Parameter(plain.weight[:, :, 0, 0] @ shift)
        self.context[0] = folded
        self.norm = nn.Identity()


class SemanticBranch(nn.Module):
    """Narrow and deep: returns the maps at 1/4, 1/8, 1/16 and 1/32, the last with context."""

    channels = (16, 32, 64, 128)

    def __init__(self) -> None:
        super().__init__()
        c2, c3, c4, c5 = self.channels
        self.stem = Stem()
        self.stage3 = nn.Sequential(GatherExpansion(c2, c3, 2), GatherExpansion(c3, c3, 1))
        self.stage4 = nn.Sequential(GatherExpansion(c3, c4, 2), GatherExpansion(c4, c4, 1))
        self.stage5 = nn.Sequential(
            GatherExpansion(c4, c5, 2), *(GatherExpansion(c5, c5, 1) for _ in range(3))
        )
        self.embedding = ContextEmbedding(c5)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        s2 = self.stem(images)
        s3 = self.stage3(s2)
        s4 = self.stage4(s3)
        return s2, s3, s4, self.embedding(self.stage5(s4))


class GuidedAggregation(nn.Module):
    """Each branch gates the other, at 1/8 and at 1/32; their sum goes through a convolution.

    Args:
        channels: of both branches.
        nearest: resize to the nearest neighbour instead of bilinearly.
        bias: whether the 1x1 convolutions of the ungated paths have a bias.
    """

    def __init__(self, channels: int, nearest: bool = False, bias: bool = False) -> None:
        super().__init__()
        self.nearest = nearest
        self.detail_keep = self._separable(channels, bias)
        self.detail_down = nn.Sequential(
            ConvNorm(channels, channels, 3, stride=2, relu=False), nn.AvgPool2d(3, 2, padding=1)
        )
        self.semantic_keep = self._separable(channels, bias)
        self.semantic_up = ConvNorm(channels, channels, 3, relu=False)
        self.conv = ConvNorm(channels, channels, 3)

    @staticmethod
    def _separable(channels: int, bias: bool) -> nn.Sequential:
        depthwise = ConvNorm(channels, channels, 3, groups=channels, relu=False)
        return nn.Sequential(depthwise, nn.Conv2d(channels, channels, 1, bias=bias))

    def forward(self, detail: Tensor, semantic: Tensor) -> Tensor:
        fine_gate = torch.sigmoid(self._enlarge(self.semantic_up(semantic), detail))
        fine = self.detail_keep(detail) * fine_gate
        coarse = self.detail_down(detail) * torch.sigmoid(self.semantic_keep(semantic))
        joined: Tensor = self.conv(fine + self._enlarge(coarse, detail))
        return joined

    def _enlarge(self, x: Tensor, like: Tensor) -> Tensor:
        if self.nearest:
            return F.interpolate(x, size=(int(like.shape[2]), int(like.shape[3])), mode="nearest")
        return _resize(x, like)


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return resize_to(x, like, align_corners=False)


class BiSeNetV2(nn.Module):
    """BiSeNet V2.

    Args:
        num_classes: classes of the segmentation.
        head_channels: hidden width of the head.
        aux_channels: hidden width of the four booster heads; 0 builds none (inference only).
        nearest, gate_bias: of `GuidedAggregation`; public re-implementations differ in them.
    """

    PARTS: ClassVar[dict[str, str]] = {
        "detail": "detail branch",
        "semantic": "semantic branch",
        "aggregation": "aggregation",
        "head": "head",
        "dropout": "head",
        "": "head",
        "enlarge": "upsampling",
    }

    def __init__(
        self,
        num_classes: int,
        head_channels: int,
        aux_channels: int,
        nearest: bool = False,
        gate_bias: bool = False,
    ) -> None:
        super().__init__()
        self.detail = DetailBranch()
        self.semantic = SemanticBranch()
        self.aggregation = GuidedAggregation(128, nearest, gate_bias)
        self.dropout = nn.Dropout(0.1)
        self.head = Head(128, head_channels, num_classes)
        self.enlarge = Step(_resize)
        self.aux_heads = nn.ModuleList(
            Head(channels, aux_channels, num_classes)
            for channels in (self.semantic.channels if aux_channels else ())
        )
        initialise(self)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Segment a batch.

        Returns:
            In eval mode logits, N x num_classes x H x W, at the input's size. In train mode a
            tuple: those, then the logits of the booster heads at the size of their maps, 1/4 to
            1/32 of the input.
        """
        semantic = self.semantic(images)
        joined = self.aggregation(self.detail(images), semantic[-1])
        hidden, classes = self.head
        logits: Tensor = self.enlarge(classes(self.dropout(hidden(joined))), images)
        if not self.training:
            return logits
        auxiliary = zip(self.aux_heads, semantic, strict=False)
        return (logits, *(head(x) for head, x in auxiliary))


def bisenetv2(
    num_classes: int = 19,
    head_channels: int = 1024,
    aux: bool = True,
    nearest: bool = False,
    gate_bias: bool = False,
) -> BiSeNetV2:
    """BiSeNet V2; `aux=False` omits the booster heads; for other options see `BiSeNetV2`."""
    return BiSeNetV2(num_classes, head_channels, 128 if aux else 0, nearest, gate_bias)
