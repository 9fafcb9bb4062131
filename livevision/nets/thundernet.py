"""ThunderNet, a light two-stage detector (arXiv 1903.11752).

What the paper's tables leave open is inferred from its counts of multiply-adds: boxes refined
independently of the class, one fully connected layer of 1024, 200 proposals, two logits for
objectness. Where public versions differ: proposals are pooled by average, C5 is enlarged by nearest
neighbour.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from livevision.nets.anchors import grid_anchors
from livevision.nets.layers import Backbone, ConvNorm, global_average, initialise
from livevision.nets.snet import SNet, backbone
from livevision.nets.two_stage import TwoStageDetector, by_anchor
from livevision.nets.unshuffled import permute_inputs

_BINS = 7  # along each side of a proposal
_WIDTH = 5 * _BINS * _BINS  # channels of the maps that proposals are pooled from
_STRIDE = 16

ANCHOR_SIZES = (32.0, 64.0, 128.0, 256.0, 512.0)
ANCHOR_RATIOS = (1 / 2, 3 / 4, 1.0, 4 / 3, 2.0)


class ContextEnhancement(nn.Module):
    """CEM: C4, C5 and C5's global average, each through a 1x1 convolution, summed at 1/16."""

    def __init__(self, c4: int, c5: int) -> None:
        super().__init__()
        self.c4 = nn.Conv2d(c4, _WIDTH, 1)
        self.c5 = nn.Conv2d(c5, _WIDTH, 1)
        self.c_glb = nn.Conv2d(c5, _WIDTH, 1)

    def forward(self, c4: Tensor, c5: Tensor) -> Tensor:
        total: Tensor = self.c4(c4) + self.enlarged(c4, c5) + self.c_glb(global_average(c5))
        return total

    def enlarged(self, c4: Tensor, c5: Tensor) -> Tensor:
        """C5 through its convolution, at C4's size."""
        size = (int(c4.shape[2]), int(c4.shape[3]))
        return F.interpolate(self.c5(c5), size=size, mode="nearest")

    def permute_inputs(self, c4: list[int], c5: list[int]) -> None:
        """Reorder the expected channels of C4 and C5, see `unshuffled.permute_inputs`."""
        permute_inputs(self.c4, c4)
        permute_inputs(self.c5, c5)
        permute_inputs(self.c_glb, c5)


class RegionProposal(nn.Module):
    """RPN: 5x5 depthwise and 1x1 convolution, then objectness and box codes of every anchor."""

    def __init__(self) -> None:
        super().__init__()
        anchors = len(ANCHOR_SIZES) * len(ANCHOR_RATIOS)
        self.depthwise = ConvNorm(_WIDTH, _WIDTH, 5, groups=_WIDTH)
        self.pointwise = ConvNorm(_WIDTH, 256)
        self.objectness: nn.Module = nn.Conv2d(256, 2 * anchors, 1)
        self.codes = nn.Conv2d(256, 4 * anchors, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.pointwise(self.depthwise(x))
        return x, by_anchor(self.objectness(x), 2), by_anchor(self.codes(x), 4)


class SpatialAttention(nn.Module):
    """SAM: weights the context map by a gate computed from the RPN's features."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = ConvNorm(256, _WIDTH, relu=False)

    def forward(self, context: Tensor, rpn: Tensor) -> Tensor:
        return context * torch.sigmoid(self.gate(rpn))


class ThunderNet(TwoStageDetector):
    """ThunderNet on a backbone that returns C4 and C5; images of at least 64 pixels each way.

    Args:
        backbone: with an attribute `channels` = (C4's, C5's).
        num_classes: foreground classes.
        pre_nms: proposals before the RPN's NMS. The paper does not state the number; the release
            has 2000.
        proposals: proposals after NMS that the second stage processes.
        candidates: pairs of proposal and class before the final NMS.
        detections: rows of the output.
    """

    PARTS: ClassVar[dict[str, str]] = {
        "backbone": "backbone",
        "context": "CEM",
        "rpn": "RPN",
        "proposing": "proposals + NMS",
        "attention": "SAM",
    } | TwoStageDetector.PARTS

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        pre_nms: int = 500,
        proposals: int = 200,
        candidates: int = 300,
        detections: int = 100,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        c4, c5 = backbone.channels
        self.context = ContextEnhancement(c4, c5)
        self.rpn = RegionProposal()
        self.attention: nn.Module = SpatialAttention()
        self.fc = nn.Linear(_WIDTH, 1024)
        self.classes = nn.Linear(1024, num_classes + 1)
        self.boxes = nn.Linear(1024, 4)
        self.num_classes = num_classes
        self.pre_nms = pre_nms
        self.proposals = proposals
        self.candidates = candidates
        self.detections = detections
        initialise(self)
        for layer in (self.context.c4, self.context.c5, self.context.c_glb, self.fc):
            nn.init.kaiming_uniform_(layer.weight, a=1)
        for module in (self.rpn.objectness, self.rpn.codes):
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, 0.01)

    def unshuffle(self) -> None:
        """Remove the shuffles of an SNet for export, in eval mode; the outputs are the same."""
        if isinstance(self.backbone, SNet):
            self.context.permute_inputs(*self.backbone.unshuffle())

    def features(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The first stage's layers.

        Returns:
            The map that proposals are pooled from, N x 245 x H/16 x W/16; objectness logits
            (background, object) of all anchors, N x A x 2; their box codes, N x A x 4.
        """
        context = self.context(*self.backbone(images))
        features, objectness, codes = self.rpn(context)
        return self.attention(context, features), objectness, codes

    def anchors(self, maps: Tensor) -> Tensor:
        """All anchors of a map that `features` returned, A x 4 in input pixels."""
        height, width = int(maps.shape[2]), int(maps.shape[3])
        anchors = grid_anchors(height, width, _STRIDE, ANCHOR_SIZES, ANCHOR_RATIOS)
        return anchors.to(maps.device)

    def second_stage(self, maps: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits N x R x (1 + classes), background first, and codes N x R x 4."""
        pooled = self.roi(maps, boxes, _STRIDE, _BINS)
        x = F.relu(self.fc(pooled.flatten(2)))
        return self.classes(x), self.boxes(x)


def thundernet_snet49(num_classes: int = 20, **options: Any) -> ThunderNet:
    """ThunderNet with SNet49; options of its units are allowed besides those of `ThunderNet`.

    Args:
        num_classes: foreground classes.
        **options: `downsample_style` and `activation`, see `livevision.nets.shufflenetv2.Unit`;
            others, see `ThunderNet`.
    """
    return _thundernet("snet49", num_classes, **options)


def thundernet_snet146(num_classes: int = 20, **options: Any) -> ThunderNet:
    """ThunderNet with SNet146; for options see `thundernet_snet49`."""
    return _thundernet("snet146", num_classes, **options)


def thundernet_snet535(num_classes: int = 20, **options: Any) -> ThunderNet:
    """ThunderNet with SNet535; for options see `thundernet_snet49`."""
    return _thundernet("snet535", num_classes, **options)


def _thundernet(
    name: str,
    num_classes: int,
    downsample_style: str = "torchvision",
    activation: str = "relu",
    **options: int,
) -> ThunderNet:
    maps = backbone(name, downsample_style, activation=activation)
    return ThunderNet(maps, num_classes, **options)
