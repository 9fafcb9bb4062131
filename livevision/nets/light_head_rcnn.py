"""Light-Head R-CNN, a two-stage detector with a thin map and a cheap head (arXiv 1711.07264).

Setting L uses ResNet-101, setting S Xception*; both keep C5 at stride 16 by dilation, as do the
other backbones, among them those of ShuffleNetV2's comparison (arXiv 1807.11164, table 7).
Differences between the paper and the authors' release are options: the paper refines boxes
independently of the class, the release has a box for every class; the release pools the maximum of
a bin's samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from livevision.nets.features import features
from livevision.nets.layers import Backbone, initialise
from livevision.nets.two_stage import Counts, TwoStageDetector, by_anchor

_BINS = 7  # along each side of a proposal
_THIN = 10 * _BINS * _BINS  # channels of the thin map
_STRIDE = 16

ANCHOR_SCALES = (2, 4, 8, 16, 32)  # times the stride: 32 to 512 pixels
ANCHOR_RATIOS = (0.5, 1.0, 2.0)  # height over width


class LargeSeparableConv(nn.Module):
    """A 15 x 15 convolution of low rank: 15 x 1 then 1 x 15, plus 1 x 15 then 15 x 1; ReLU."""

    def __init__(self, in_channels: int, mid_channels: int, out_channels: int) -> None:
        super().__init__()
        tall = partial(nn.Conv2d, kernel_size=(15, 1), padding=(7, 0))
        wide = partial(nn.Conv2d, kernel_size=(1, 15), padding=(0, 7))
        self.tall_wide = nn.Sequential(
            tall(in_channels, mid_channels), wide(mid_channels, out_channels)
        )
        self.wide_tall = nn.Sequential(
            wide(in_channels, mid_channels), tall(mid_channels, out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.tall_wide(x) + self.wide_tall(x))


class RegionProposal(nn.Module):
    """RPN: a 3x3 convolution, then objectness and box codes of every anchor."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        anchors = len(ANCHOR_SCALES) * len(ANCHOR_RATIOS)
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.objectness = nn.Conv2d(channels, 2 * anchors, 1)
        self.codes = nn.Conv2d(channels, 4 * anchors, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.conv(x))
        return by_anchor(self.objectness(x), 2), by_anchor(self.codes(x), 4)


class LightHeadRCNN(TwoStageDetector):
    """Light-Head R-CNN on a backbone whose last two maps are C4 and C5, both at stride 16.

    Images are of at least 32 pixels each way.

    Args:
        backbone: with an attribute `channels`.
        num_classes: foreground classes.
        rpn_channels: of the RPN's 3x3 convolution.
        mid_channels: inside the large separable convolution.
        class_agnostic: one box of a proposal for all classes (the paper) or one for each class
            and the background (the release).
        pooling: "mean" or "max" of a bin's samples, the latter sampled as in the release.
        pre_nms: proposals before the RPN's NMS. The paper has 6000; 3840 is TensorRT's maximum for
            sorting.
        proposals: proposals after NMS that the second stage processes.
        candidates: pairs of proposal and class before the final NMS.
        detections: rows of the output.
    """

    PARTS: ClassVar[dict[str, str]] = {
        "backbone": "backbone",
        "thin": "thin map",
    } | TwoStageDetector.PARTS

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        rpn_channels: int,
        mid_channels: int,
        class_agnostic: bool = True,
        pooling: str = "mean",
        pre_nms: int = 3840,
        proposals: int = 1000,
        candidates: int = 1000,
        detections: int = 100,
    ) -> None:
        super().__init__()
        c4, c5 = backbone.channels[-2:]
        self.backbone = backbone
        self.rpn = RegionProposal(c4, rpn_channels)
        self.thin = LargeSeparableConv(c5, mid_channels, _THIN)
        self.fc = nn.Linear(_THIN, 2048)
        self.classes = nn.Linear(2048, num_classes + 1)
        self.boxes = nn.Linear(2048, 4 if class_agnostic else 4 * (num_classes + 1))
        self.num_classes = num_classes
        self.pooling = pooling
        self.pre_nms = pre_nms
        self.proposals = proposals
        self.candidates = candidates
        self.detections = detections
        initialise(self)
        for layer in (self.rpn.conv, self.rpn.objectness, self.rpn.codes, *self.thin.modules()):
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, 0.0, 0.01)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The first stage's layers.

        Returns:
            The thin map that proposals are pooled from, N x 490 x H/16 x W/16; objectness logits
            (background, object) of all anchors, N x A x 2; their box codes, N x A x 4.
        """
        *_, c4, c5 = self.backbone(images)
        objectness, codes = self.rpn(c4)
        return self.thin(c5), objectness, codes

    def anchors(self, maps: Tensor) -> Tensor:
        """All anchors of a map that `features` returned, A x 4 in input pixels."""
        return classic_anchors(int(maps.shape[2]), int(maps.shape[3])).to(maps.device)

    def second_stage(self, maps: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits N x R x (1 + classes), background first, and codes.

        The codes are N x R x 4, or N x R x 4 * (1 + classes) if every class has its own.
        """
        pooled = self.roi(
            maps, boxes, _STRIDE, _BINS, self.pooling, half_pixel=self.pooling == "mean"
        )
        x = F.relu(self.fc(pooled.flatten(2)))
        return self.classes(x), self.boxes(x)


@lru_cache(maxsize=32)
def classic_anchors(height: int, width: int) -> Tensor:
    """Anchors of Faster R-CNN's original code: ratios slowest, integer sizes.

    The sides are those of a 16 x 16 box at a given ratio, rounded, times a scale. The centre of
    cell (i, j) is (16 j + 8, 16 i + 8): that code's 7.5 is the middle of pixels 0 to 15.

    Returns:
        float32 (height * width * 15) x 4; cells row by row.
    """
    cell = []
    for ratio in ANCHOR_RATIOS:
        w = round(math.sqrt(_STRIDE**2 / ratio))
        h = round(w * ratio)
        for scale in ANCHOR_SCALES:
            cell.append((-w * scale / 2, -h * scale / 2, w * scale / 2, h * scale / 2))
    centre = _STRIDE / 2
    return torch.tensor(
        [
            (x + centre + x1, y + centre + y1, x + centre + x2, y + centre + y2)
            for y in range(0, height * _STRIDE, _STRIDE)
            for x in range(0, width * _STRIDE, _STRIDE)
            for x1, y1, x2, y2 in cell
        ],
        dtype=torch.float32,
    )


def light_head(
    backbone: str,
    num_classes: int = 80,
    class_agnostic: bool = True,
    pooling: str = "mean",
    rpn_channels: int = 256,
    mid_channels: int = 64,
    backbone_options: Mapping[str, Any] | None = None,
    **options: Unpack[Counts],
) -> LightHeadRCNN:
    """Light-Head R-CNN on any backbone of `livevision.nets.features` with dilation.

    Args:
        backbone: its name.
        num_classes, class_agnostic, pooling: see `LightHeadRCNN`.
        rpn_channels, mid_channels: see there; default: setting S.
        backbone_options: passed to the backbone, such as `width`.
        **options: see `LightHeadRCNN`.

    Raises:
        ValueError: the backbone is unknown, has no C4 at stride 16, or cannot be dilated.
    """
    maps = features(backbone, (16, 32), dilated=True, **(backbone_options or {}))
    return LightHeadRCNN(
        maps, num_classes, rpn_channels, mid_channels, class_agnostic, pooling, **options
    )


def light_head_s(
    num_classes: int = 80,
    class_agnostic: bool = True,
    pooling: str = "mean",
    **options: Unpack[Counts],
) -> LightHeadRCNN:
    """Setting S: Xception*, an RPN of 256 channels, 64 inside the thin map's convolution."""
    return light_head("xception-star", num_classes, class_agnostic, pooling, **options)


def light_head_l(
    num_classes: int = 80,
    class_agnostic: bool = True,
    pooling: str = "mean",
    **options: Unpack[Counts],
) -> LightHeadRCNN:
    """Setting L: ResNet-101, an RPN of 512 channels, 256 inside the thin map's convolution."""
    return light_head("resnet101", num_classes, class_agnostic, pooling, 512, 256, **options)


def light_head_l_release(num_classes: int = 80, **options: Unpack[Counts]) -> LightHeadRCNN:
    """Setting L with the head of the authors' code: a box for every class, max pooling of bins."""
    return light_head_l(num_classes, class_agnostic=False, pooling="max", **options)


def light_head_mobilenetv2(
    num_classes: int = 80, width: float = 1.0, **options: Any
) -> LightHeadRCNN:
    """Light-Head R-CNN on MobileNetV2, otherwise as setting S."""
    return light_head("mobilenetv2", num_classes, backbone_options={"width": width}, **options)


def light_head_shufflenetv2(
    num_classes: int = 80,
    width: float = 1.0,
    downsample_style: str = "torchvision",
    star: bool = False,
    **options: Any,
) -> LightHeadRCNN:
    """Light-Head R-CNN on ShuffleNetV2, or with `star` ShuffleNetV2*, otherwise as setting S."""
    unit = {"downsample_style": downsample_style, "star": star}
    return light_head(f"shufflenetv2-{width:.1f}", num_classes, backbone_options=unit, **options)
