"""MobileNetV2's blocks: where the shortcut is, where an activation is and where none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from livevision.nets.mobilenetv2 import InvertedResidual, MobileNetV2, scale_channels
from tests.nets.footprints import footprint


def test_there_are_17_blocks_and_10_shortcuts() -> None:
    blocks = [m for m in MobileNetV2().modules() if isinstance(m, InvertedResidual)]
    assert len(blocks) == 17
    # Every repetition has one; the first block of a row never has, not even at stride 1.
    assert sum(block.adds_input for block in blocks) == 10


def test_the_projection_has_no_activation() -> None:
    torch.manual_seed(0)
    block = InvertedResidual(8, 8, 1, expansion=6).eval()
    x = torch.randn(1, 8, 7, 7)
    projected = block.project(block.depthwise(block.expand(x)))
    assert projected.min() < 0
    torch.testing.assert_close(block(x), x + projected)


@pytest.mark.parametrize(("stride", "out_channels"), [(2, 8), (1, 16)])
def test_no_shortcut_where_the_size_changes(stride: int, out_channels: int) -> None:
    block = InvertedResidual(8, out_channels, stride, expansion=6).eval()
    nn.init.zeros_(block.project[0].weight)
    assert not block(torch.randn(1, 8, 8, 8)).any()


def test_activations_stop_at_six() -> None:
    block = InvertedResidual(8, 8, 1, expansion=6).eval()
    assert block.expand(1e4 * torch.randn(1, 8, 5, 5)).max() == 6
    assert block.depthwise(1e4 * torch.randn(1, 48, 5, 5)).max() == 6


def test_a_dilated_block_looks_twice_as_far() -> None:
    assert footprint(InvertedResidual(4, 4, 1, expansion=2), 4) == 3
    assert footprint(InvertedResidual(4, 4, 1, expansion=2, dilation=2), 4, holes=True) == 5


def test_dilated_only_the_last_stage_is() -> None:
    net = MobileNetV2(0.35, last=0, dilated=True)
    dilations = [
        {m.dilation[0] for m in stage.modules() if isinstance(m, nn.Conv2d) and m.groups > 1}
        for stage in net.stages
    ]
    assert dilations == [{1}, {1}, {1}, {1}, {2}]


def test_expansion_1_has_no_expanding_convolution() -> None:
    first = MobileNetV2().stages[0][0]
    assert [m.kernel_size for m in first.modules() if isinstance(m, nn.Conv2d)] == [(3, 3), (1, 1)]


@pytest.mark.parametrize(
    ("channels", "width", "expected"),
    [
        (32, 1.0, 32),
        (24, 0.75, 24),  # 18: the nearest, 16, loses more than 10 %
        (16, 0.35, 8),
        (32, 0.35, 16),  # 11.2: 8 would lose 29 %
        (96, 1.4, 136),  # 134.4
        (1280, 1.4, 1792),
    ],
)
def test_widths_are_multiples_of_eight(channels: int, width: float, expected: int) -> None:
    assert scale_channels(channels, width) == expected


def test_the_last_convolution_is_never_narrowed() -> None:
    assert MobileNetV2(0.5).channels == (8, 16, 16, 48, 1280)
    assert MobileNetV2(0.5, last=0).channels[-1] == 160
