"""The channel shuffle, and which channels a unit leaves alone."""

from __future__ import annotations

import pytest
import torch

from livevision.nets.layers import channel_shuffle
from livevision.nets.shufflenetv2 import Unit


def test_channel_shuffle_interleaves_the_halves() -> None:
    x = torch.arange(6.0).view(1, 6, 1, 1)
    assert channel_shuffle(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]


def test_torchvision_unit_passes_the_first_half_to_even_places() -> None:
    unit = Unit(8, 8, 1, downsample_style="torchvision").eval()
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(unit(x)[:, 0::2], x[:, :4])


def test_megvii_unit_passes_even_channels_to_the_first_half() -> None:
    unit = Unit(8, 8, 1, downsample_style="megvii").eval()
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(unit(x)[:, :4], x[:, 0::2])


@pytest.mark.parametrize(("style", "left"), [("torchvision", 58), ("megvii", 24)])
def test_the_styles_share_out_the_channels_of_a_stride_2_unit(style: str, left: int) -> None:
    unit = Unit(24, 116, 2, downsample_style=style)
    assert unit.left(torch.randn(2, 24, 8, 8)).shape == (2, left, 4, 4)
    assert unit(torch.randn(2, 24, 8, 8)).shape == (2, 116, 4, 4)


def test_there_is_no_relu_after_the_depthwise_convolution() -> None:
    depthwise = Unit(8, 8, 1).eval().right[1]
    assert depthwise(torch.randn(1, 4, 9, 9)).min() < 0


def test_a_wrong_style_is_refused() -> None:
    with pytest.raises(ValueError, match="torchvision"):
        Unit(8, 8, 1, downsample_style="caffe")
