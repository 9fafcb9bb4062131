"""STDC-Seg: BiSeNet with the backbone's own map at 1/8 as spatial path (arXiv 2104.13188).

A head that is only used in training teaches that map the boundaries between classes.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from livevision.nets.bisenet import AttentionRefinement, BiSeNet, FeatureFusion, Head
from livevision.nets.layers import ConvNorm, Step, global_average, initialise, resize_to
from livevision.nets.stdc import STDC, backbone

_WIDTH = 128  # channels of the context path


class STDCSeg(nn.Module):
    """STDC-Seg on an STDC backbone.

    Args:
        backbone: STDC1 or STDC2.
        num_classes: classes of the segmentation.
        aux: whether the two auxiliary heads are built (training only).
        detail: whether the detail head is built (training only).
    """

    PARTS: ClassVar[dict[str, str]] = {
        module: part for module, part in BiSeNet.PARTS.items() if module != "spatial_path"
    } | {"backbone": "backbone"}

    def __init__(self, backbone: STDC, num_classes: int, aux: bool, detail: bool) -> None:
        super().__init__()
        _, c3, c4, c5 = backbone.channels
        self.backbone = backbone
        self.global_context = ConvNorm(c5, _WIDTH)
        self.arm16 = AttentionRefinement(c4)
        self.arm32 = AttentionRefinement(c5)
        self.refine16 = ConvNorm(_WIDTH, _WIDTH, 3)
        self.refine32 = ConvNorm(_WIDTH, _WIDTH, 3)
        self.fusion = FeatureFusion(c3 + _WIDTH, reduction=4)
        self.head = Head(2 * _WIDTH, 256, num_classes)
        self.enlarge = Step(resize_to)
        self.aux_heads = nn.ModuleList(Head(_WIDTH, 64, num_classes) for _ in range(2 * aux))
        self.detail_head = Head(c3, 64, 1) if detail else None
        initialise(self)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Segment a batch.

        Returns:
            In eval mode logits, N x num_classes x H x W, at the input's size. In train mode a
            tuple: those, then the logits of the auxiliary heads at the size of their maps, 1/16
            and 1/8 of the input, and, with `detail`, N x 1 x H/8 x W/8 logits of there being a
            detail.
        """
        _, x8, x16, x32 = self.backbone(images)
        context32 = self.arm32(x32) + self.global_context(global_average(x32))
        refined16 = self.refine32(_enlarge(context32, x16))
        refined8 = self.refine16(_enlarge(self.arm16(x16) + refined16, x8))
        logits: Tensor = self.enlarge(self.head(self.fusion(x8, refined8)), images)
        if not self.training:
            return logits
        auxiliary = zip(self.aux_heads, (refined16, refined8), strict=False)
        outputs = (logits, *(head(x) for head, x in auxiliary))
        return outputs if self.detail_head is None else (*outputs, self.detail_head(x8))


def _enlarge(x: Tensor, like: Tensor) -> Tensor:
    size = (int(like.shape[2]), int(like.shape[3]))
    return F.interpolate(x, size=size, mode="nearest")


def stdc1_seg(num_classes: int = 19, aux: bool = True, detail: bool = False) -> STDCSeg:
    """STDC1-Seg; without `aux` and `detail`, for inference."""
    return STDCSeg(backbone("stdc1"), num_classes, aux, detail)


def stdc2_seg(num_classes: int = 19, aux: bool = True, detail: bool = False) -> STDCSeg:
    """STDC2-Seg; without `aux` and `detail`, for inference."""
    return STDCSeg(backbone("stdc2"), num_classes, aux, detail)
