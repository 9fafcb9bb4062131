"""BiSeNet V1 as in public re-implementations, for their weights.

All differ from the authors' release (`livevision.nets.bisenet`) in nearest-neighbour resizing
inside the context path, a head of 256 hidden channels and auxiliary heads of 64. They differ from
one another in the gate of the feature fusion, and one has no spatial path.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from livevision.nets.bisenet import BiSeNet, FeatureFusion, Head
from livevision.nets.features import features
from livevision.nets.layers import ConvNorm, global_average, initialise

GATES = ("norm", "norm-relu", "narrow")


class PortedBiSeNet(BiSeNet):
    """BiSeNet V1 with ResNet-18 in a variant of public re-implementations.

    Args:
        num_classes: classes of the segmentation.
        gate: of the feature fusion: "norm" is one 1x1 convolution with a norm, "norm-relu" has a
            ReLU after it, so that the gate is never below one half, "narrow" is two convolutions
            without norm, a quarter as wide in between.
        spatial_path: whether there is one; without it the backbone's map at 1/8 replaces it.
        align_corners: of the last, bilinear resizing to the size of the image.
        aux: whether the two auxiliary heads are built (training only).

    Raises:
        ValueError: the gate is unknown.
    """

    def __init__(
        self, num_classes: int, gate: str, spatial_path: bool, align_corners: bool, aux: bool
    ) -> None:
        super().__init__(features("resnet18"), num_classes, aux_channels=64 if aux else 0)
        if gate not in GATES:
            raise ValueError(f"gate {gate!r} is not one of {', '.join(GATES)}")
        self.align_corners = align_corners
        self.head = Head(256, 256, num_classes)
        fusion = FeatureFusion(reduction=4)
        self.fusion = fusion
        if gate != "narrow":
            fusion.gate = nn.Sequential(ConvNorm(256, 256, relu=gate == "norm-relu"), nn.Sigmoid())
        self.has_spatial_path = spatial_path
        if not spatial_path:
            del self.spatial_path
        initialise(nn.ModuleList((self.head, self.fusion)))

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Segment a batch; see `BiSeNet.forward`."""
        c3, c4, c5 = self.backbone(images)
        spatial = self.spatial_path(images) if self.has_spatial_path else c3
        context32 = self.arm32(c5) + self.global_context(global_average(c5))
        refined16 = self.refine32(_enlarge(context32, c4))
        refined8 = self.refine16(_enlarge(self.arm16(c4) + refined16, spatial))
        fused = self.fusion(spatial, refined8)
        logits: Tensor = self.enlarge(self.head(fused), images, self.align_corners)
        if not self.training:
            return logits
        auxiliary = zip(self.aux_heads, (refined16, refined8), strict=False)
        return (logits, *(head(x) for head, x in auxiliary))


def _enlarge(x: Tensor, like: Tensor) -> Tensor:
    size = (int(like.shape[2]), int(like.shape[3]))
    return F.interpolate(x, size=size, mode="nearest")


def bisenet_resnet18_ported(
    num_classes: int = 19,
    gate: str = "norm",
    spatial_path: bool = True,
    align_corners: bool = False,
    aux: bool = True,
) -> PortedBiSeNet:
    """BiSeNet V1 of a public re-implementation; for options see `PortedBiSeNet`."""
    return PortedBiSeNet(num_classes, gate, spatial_path, align_corners, aux)
