"""ThunderNet as its authors released it years after the paper, which is a different net.

Its second stage has two layers of 1024 and a box for the background and every class; the RPN has
one objectness logit; bins are pooled by maximum, without the half pixel. With SNet146 it counts
777.8 M multiply-adds at 320 x 320, the paper's net 505.1 M.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from livevision.nets.layers import initialise
from livevision.nets.snet import SNet, backbone
from livevision.nets.thundernet import ANCHOR_RATIOS, ANCHOR_SIZES, ThunderNet


class SecondLogit(nn.Module):
    """Prepends a background logit of 0 to each anchor's objectness logit."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack((torch.zeros_like(x), x), 2).flatten(1, 2)


class ThunderNetRelease(ThunderNet):
    """The released net; for arguments see `ThunderNet`."""

    PARTS = ThunderNet.PARTS | {"fc2": "head"}

    def __init__(
        self, backbone: SNet, num_classes: int, pre_nms: int = 2000, **options: int
    ) -> None:
        super().__init__(backbone, num_classes, pre_nms, **options)
        objectness = nn.Conv2d(256, len(ANCHOR_SIZES) * len(ANCHOR_RATIOS), 1)
        nn.init.normal_(objectness.weight, 0.0, 0.01)
        if objectness.bias is not None:
            nn.init.zeros_(objectness.bias)
        self.rpn.objectness = nn.Sequential(objectness, SecondLogit())
        self.fc2 = nn.Linear(1024, 1024)
        self.boxes = nn.Linear(1024, 4 * (num_classes + 1))
        initialise(nn.ModuleList((self.fc2, self.boxes)))

    def second_stage(self, maps: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits N x R x (1 + classes) and codes N x R x 4 * (1 + classes)."""
        pooled = self.roi(maps, boxes, 16, reduction="max", half_pixel=False)
        x = F.relu(self.fc2(F.relu(self.fc(pooled.flatten(2)))))
        return self.classes(x), self.boxes(x)


def thundernet_snet146_release(
    num_classes: int = 80, pre_nms: int = 2000, **options: int
) -> ThunderNetRelease:
    """The released ThunderNet, with megvii's SNet146 and 2000 boxes before NMS."""
    return ThunderNetRelease(backbone("snet146", "megvii"), num_classes, pre_nms, **options)
