"""Position-sensitive RoI align (R-FCN, arXiv 1605.06409, sampled as Mask R-CNN's RoIAlign does)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def ps_roi_align(maps: Tensor, boxes: Tensor, stride: int, bins: int = 7) -> Tensor:
    """Average a map inside every bin of every box, each bin from its own channels.

    A box is cut into bins x bins equal bins; the value of bin (i, j) in output channel c is the
    mean of 2 x 2 bilinear samples of map channel (c * bins + i) * bins + j. Map pixel (i, j)
    is centred at ((j + 0.5) * stride, (i + 0.5) * stride); samples beyond the outermost centres
    take the border's value.

    Args:
        maps: N x (C * bins * bins) x H x W, with H and W at least 2.
        boxes: N x R x 4, x1 y1 x2 y2 in input pixels; no gradient flows to them.
        stride: input pixels between map pixels.
        bins: bins along each side.

    Returns:
        N x R x C x bins x bins.

    Raises:
        ValueError: the map is one pixel wide or high, or its channels do not divide.
    """
    batch, channels, height, width = (int(n) for n in maps.shape)
    count = int(boxes.shape[1])
    if min(height, width) < 2 or channels % bins**2:
        raise ValueError(
            f"maps of {channels} x {height} x {width} cannot be pooled in {bins} x {bins} bins: "
            f"at least 2 x 2 pixels and a multiple of {bins**2} channels are needed"
        )
    out_channels = channels // bins**2
    # The bin axis joins the batch, so that one grid_sample serves every bin with its channels.
    maps = maps.reshape(batch, out_channels, bins**2, height, width).transpose(1, 2)
    maps = maps.reshape(batch * bins**2, out_channels, height, width)

    x1, y1, x2, y2 = (boxes.detach() / stride - 0.5).unsqueeze(-1).unbind(-2)  # N x R x 1
    # Where along a side the two samples of every bin lie, as a share of that side.
    share = (torch.arange(2 * bins, dtype=maps.dtype, device=maps.device) + 0.5) / (2 * bins)
    x = (x1 + (x2 - x1) * share) * (2 / (width - 1)) - 1  # N x R x 2 bins
    y = (y1 + (y2 - y1) * share) * (2 / (height - 1)) - 1
    shape = (batch, count, bins, 2, bins, 2)  # image, box, bin row, sample row, bin column, sample
    grid = torch.stack(
        (
            x.view(batch, count, 1, 1, bins, 2).expand(shape),
            y.view(batch, count, bins, 2, 1, 1).expand(shape),
        ),
        -1,
    )
    grid = grid.permute(0, 2, 4, 1, 3, 5, 6).reshape(batch * bins**2, count, 4, 2)
    samples = F.grid_sample(maps, grid, "bilinear", "border", align_corners=True)
    pooled = samples.mean(-1).view(batch, bins, bins, out_channels, count)
    return pooled.permute(0, 4, 3, 1, 2)
