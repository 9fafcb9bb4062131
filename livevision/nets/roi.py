"""RoI align (Mask R-CNN, arXiv 1703.06870) and its position-sensitive form (R-FCN, 1605.06409).

Both divide a box into bins x bins equal bins and sample each at 2 x 2 points, bilinearly. Map pixel
(i, j) is centred at ((j + 0.5) * stride, (i + 0.5) * stride) of the image; samples beyond the
outermost centres take the border's value.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

REDUCTIONS = ("mean", "max")


def ps_roi_align(
    maps: Tensor,
    boxes: Tensor,
    stride: int,
    bins: int = 7,
    reduction: str = "mean",
    half_pixel: bool = True,
) -> Tensor:
    """Pool a map inside every bin of every box, each bin from its own channels.

    The value of bin (i, j) in output channel c comes from map channel (c * bins + i) * bins + j.

    Args:
        maps: N x (C * bins * bins) x H x W, with H and W at least 2.
        boxes: N x R x 4, x1 y1 x2 y2 in input pixels; no gradient flows to them.
        stride: input pixels between map pixels.
        bins: bins along each side.
        reduction: "mean" of a bin's samples, or "max", as in the released weights of Light-Head
            R-CNN and ThunderNet.
        half_pixel: False puts the centre of map pixel (i, j) at (j * stride, i * stride), as in
            these releases.

    Returns:
        N x R x C x bins x bins.

    Raises:
        ValueError: the map is one pixel wide or high, its channels are not divisible, or the
            reduction is unknown.
    """
    batch, channels, height, width = (int(n) for n in maps.shape)
    count = int(boxes.shape[1])
    if min(height, width) < 2 or channels % bins**2:
        raise ValueError(
            f"maps of {channels} x {height} x {width} cannot be pooled in {bins} x {bins} bins: "
            f"at least 2 x 2 pixels and a multiple of {bins**2} channels are needed"
        )
    _check_reduction(reduction)
    out_channels = channels // bins**2
    # The bin axis joins the batch, so that one grid_sample serves all bins with their channels.
    maps = maps.reshape(batch, out_channels, bins**2, height, width).transpose(1, 2)
    maps = maps.reshape(batch * bins**2, out_channels, height, width)

    x, y = _sample_places(boxes, stride, bins, height, width, half_pixel)
    # Samples come before boxes, for long contiguous runs in memory: one addition lays columns and
    # rows side by side, and the reduction adds whole rows.
    x, y = (v.transpose(1, 2).reshape(batch, bins, 2, count) for v in (x, y))
    none = torch.zeros_like(x)
    columns = torch.stack((x, none), -1).view(batch, 1, bins, 1, 2, 2 * count)
    rows = torch.stack((none, y), -1).view(batch, bins, 1, 2, 1, 2 * count)
    grid = (columns + rows).view(batch * bins**2, 4, count, 2)
    samples = F.grid_sample(maps, grid, "bilinear", "border", align_corners=True)
    pooled = samples.mean(2) if reduction == "mean" else samples.amax(2)
    pooled = pooled.view(batch, bins, bins, out_channels, count)
    return pooled.permute(0, 4, 3, 1, 2)


def roi_align(
    maps: Tensor, boxes: Tensor, stride: int, bins: int = 7, reduction: str = "mean"
) -> Tensor:
    """Pool a map inside every bin of every box.

    Args:
        maps: N x C x H x W, with H and W at least 2.
        boxes, stride, bins, reduction: see `ps_roi_align`.

    Returns:
        N x R x C x bins x bins.

    Raises:
        ValueError: the map is one pixel wide or high, or the reduction is unknown.
    """
    batch, channels, height, width = (int(n) for n in maps.shape)
    count = int(boxes.shape[1])
    if min(height, width) < 2:
        raise ValueError(f"a map of {height} x {width} cannot be pooled: at least 2 x 2 is needed")
    _check_reduction(reduction)
    x, y = _sample_places(boxes, stride, bins, height, width, half_pixel=True)
    shape = (batch, count, 2 * bins, 2 * bins)
    grid = torch.stack((x.unsqueeze(2).expand(shape), y.unsqueeze(3).expand(shape)), -1)
    grid = grid.reshape(batch, count, 4 * bins**2, 2)
    samples = F.grid_sample(maps, grid, "bilinear", "border", align_corners=True)
    samples = samples.view(batch, channels, count, bins, 2, bins, 2)
    pooled = samples.mean((4, 6)) if reduction == "mean" else samples.amax((4, 6))
    return pooled.transpose(1, 2)


def _check_reduction(reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction {reduction!r} is not one of {REDUCTIONS}")


def _sample_places(
    boxes: Tensor, stride: int, bins: int, height: int, width: int, half_pixel: bool
) -> tuple[Tensor, Tensor]:
    """Columns and rows of all samples, each N x R x (2 * bins), from -1 to 1 over the map."""
    offset = 0.5 if half_pixel else 0.0
    x1, y1, x2, y2 = (boxes.detach() / stride - offset).unsqueeze(-1).unbind(-2)  # N x R x 1
    # Position of each bin's two samples along a side, as a share of the side.
    share = (torch.arange(2 * bins, dtype=boxes.dtype, device=boxes.device) + 0.5) / (2 * bins)
    x = (x1 + (x2 - x1) * share) * (2 / (width - 1)) - 1
    y = (y1 + (y2 - y1) * share) * (2 / (height - 1)) - 1
    return x, y
