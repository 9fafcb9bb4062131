"""Anchor boxes of a region proposal net, and encoding of boxes relative to others.

Boxes are x1, y1, x2, y2 in input pixels; width is x2 - x1, without the +1 of old code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

# Largest growth of a side by a code: exp() of more would overflow float16.
_LARGEST_LOG = math.log(1000 / 16)


@lru_cache(maxsize=32)
def grid_anchors(
    height: int, width: int, stride: int, sizes: Sequence[float], ratios: Sequence[float]
) -> Tensor:
    """Anchors of every cell of a map: one for each size and ratio, sizes slowest.

    Args:
        height, width: of the map.
        stride: pixels between cells; the anchors of cell (i, j) are centred at (j, i) * stride.
        sizes: side of the square of the same area, in pixels.
        ratios: height over width.

    Returns:
        float32 (height * width * len(sizes) * len(ratios)) x 4; cells row by row.
    """
    # Built from Python numbers, so that an exported graph has them as one constant.
    cell = []
    for size in sizes:
        for ratio in ratios:
            half_w, half_h = size / math.sqrt(ratio) / 2, size * math.sqrt(ratio) / 2
            cell.append((-half_w, -half_h, half_w, half_h))
    return torch.tensor(
        [
            (x + x1, y + y1, x + x2, y + y2)
            for y in range(0, height * stride, stride)
            for x in range(0, width * stride, stride)
            for x1, y1, x2, y2 in cell
        ],
        dtype=torch.float32,
    )


def decode_boxes(codes: Tensor, references: Tensor, height: int, width: int) -> Tensor:
    """Decode codes (dx, dy, dw, dh) relative to reference boxes; clip to the image.

    Args:
        codes: ... x 4.
        references: ... x 4, broadcast against `codes`.
        height, width: of the image in pixels.
    """
    x1, y1, x2, y2 = references.unbind(-1)
    w, h = x2 - x1, y2 - y1
    dx, dy, dw, dh = codes.unbind(-1)
    centre_x, centre_y = (x1 + x2) / 2 + dx * w, (y1 + y2) / 2 + dy * h
    half_w = w * dw.clamp(max=_LARGEST_LOG).exp() / 2
    half_h = h * dh.clamp(max=_LARGEST_LOG).exp() / 2
    return torch.stack(
        (
            (centre_x - half_w).clamp(0, width),
            (centre_y - half_h).clamp(0, height),
            (centre_x + half_w).clamp(0, width),
            (centre_y + half_h).clamp(0, height),
        ),
        -1,
    )


def encode_boxes(boxes: Tensor, references: Tensor) -> Tensor:
    """The codes that `decode_boxes` turns into `boxes`; sides below one pixel count as one."""
    x1, y1, x2, y2 = references.unbind(-1)
    w, h = (x2 - x1).clamp(min=1), (y2 - y1).clamp(min=1)
    bx1, by1, bx2, by2 = boxes.unbind(-1)
    return torch.stack(
        (
            ((bx1 + bx2) - (x1 + x2)) / 2 / w,
            ((by1 + by2) - (y1 + y2)) / 2 / h,
            ((bx2 - bx1).clamp(min=1) / w).log(),
            ((by2 - by1).clamp(min=1) / h).log(),
        ),
        -1,
    )
