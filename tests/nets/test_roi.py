"""Position-sensitive RoI align against the definition, written out one number at a time."""

from __future__ import annotations

import math

import pytest
import torch

from livevision.nets.roi import ps_roi_align


def reference(
    maps: torch.Tensor, box: list[float], stride: int, channel: int, row: int, column: int
) -> float:
    """The value of one bin, in float64."""
    _, _, height, width = maps.shape
    values = maps[0, (channel * 7 + row) * 7 + column].double()
    x1, y1, x2, y2 = (v / stride - 0.5 for v in box)
    total = 0.0
    for sample_row in range(2):
        for sample_column in range(2):
            x = x1 + (x2 - x1) / 7 * (column + (sample_column + 0.5) / 2)
            y = y1 + (y2 - y1) / 7 * (row + (sample_row + 0.5) / 2)
            x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
            left, top = min(math.floor(x), width - 2), min(math.floor(y), height - 2)
            dx, dy = x - left, y - top
            total += (1 - dy) * ((1 - dx) * values[top, left] + dx * values[top, left + 1])
            total += dy * ((1 - dx) * values[top + 1, left] + dx * values[top + 1, left + 1])
    return float(total) / 4


BOXES = {
    "ordinary": [40.0, 30.0, 170.0, 120.0],
    "whole image": [0.0, 0.0, 192.0, 160.0],
    "tiny": [100.0, 80.0, 101.0, 80.5],
    "empty": [50.0, 50.0, 50.0, 50.0],
    "at the border": [180.0, 0.0, 192.0, 160.0],
    "reaching outside": [-30.0, -20.0, 60.0, 300.0],
}


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES.keys())
def test_matches_the_definition(box: list[float]) -> None:
    torch.manual_seed(0)
    maps = torch.randn(1, 2 * 49, 10, 12)
    pooled = ps_roi_align(maps, torch.tensor([[box]]), 16)
    assert pooled.shape == (1, 1, 2, 7, 7)
    for channel in range(2):
        for row in range(7):
            for column in range(7):
                expected = reference(maps, box, 16, channel, row, column)
                assert float(pooled[0, 0, channel, row, column]) == pytest.approx(
                    expected, abs=1e-5
                )


def test_images_and_boxes_do_not_mix() -> None:
    maps = torch.randn(2, 49, 6, 6)
    boxes = torch.rand(2, 5, 4) * 40
    boxes[..., 2:] += boxes[..., :2]
    together = ps_roi_align(maps, boxes, 16)
    for n in range(2):
        for k in range(5):
            alone = ps_roi_align(maps[n : n + 1], boxes[n : n + 1, k : k + 1], 16)
            torch.testing.assert_close(together[n, k], alone[0, 0])


def test_gradients_reach_the_maps_and_not_the_boxes() -> None:
    maps = torch.randn(1, 49, 6, 6, requires_grad=True)
    boxes = torch.tensor([[[10.0, 10.0, 70.0, 80.0]]], requires_grad=True)
    ps_roi_align(maps, boxes, 16).sum().backward()
    assert maps.grad is not None
    assert float(maps.grad.abs().sum()) > 0
    assert boxes.grad is None


@pytest.mark.parametrize("shape", [(1, 49, 1, 6), (1, 48, 6, 6)])
def test_maps_that_cannot_be_pooled_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="7 x 7 bins"):
        ps_roi_align(torch.zeros(shape), torch.zeros(1, 1, 4), 16)
