"""ShuffleNetV2 as a whole: its two builds are the same family, and * looks further."""

from __future__ import annotations

import pytest
import torch

from livevision.nets import build
from livevision.nets.layers import channel_shuffle
from livevision.nets.shufflenetv2 import ShuffleNetV2, Unit
from tests.nets.footprints import footprint


def test_the_builds_differ_in_where_they_shuffle() -> None:
    """torchvision's unit is megvii's with a shuffle after it instead of before."""
    torch.manual_seed(0)
    torchvision = Unit(8, 8, 1, downsample_style="torchvision").eval()
    megvii = Unit(8, 8, 1, downsample_style="megvii").eval()
    megvii.load_state_dict(torchvision.state_dict())
    x = torch.randn(1, 8, 9, 9)
    expected = channel_shuffle(megvii(channel_shuffle(x)))
    torch.testing.assert_close(torchvision(x), expected)


def test_star_units_look_two_pixels_further() -> None:
    assert footprint(Unit(8, 8, 1), 8) == 3
    assert footprint(Unit(8, 8, 1, star=True), 8) == 5
    assert footprint(Unit(8, 8, 1, kernel_size=5), 8) == 5


@pytest.mark.parametrize("style", ["torchvision", "megvii"])
def test_a_dilated_unit_of_stride_2_keeps_the_size_and_looks_further(style: str) -> None:
    unit = Unit(8, 24, 2, downsample_style=style, dilation=2)
    assert unit(torch.randn(2, 8, 7, 9)).shape == (2, 24, 7, 9)
    assert footprint(unit, 8, holes=True) == 5
    following = Unit(8, 8, 1, downsample_style=style, dilation=2)
    assert footprint(following, 8, holes=True) == 5
    plain = Unit(8, 24, 2, downsample_style=style)
    assert plain(torch.randn(2, 8, 7, 9)).shape == (2, 24, 4, 5)


def test_star_adds_one_depthwise_convolution_a_unit() -> None:
    plain = build("shufflenetv2-1.0")
    star = build("shufflenetv2-1.0", star=True)

    def depthwise(net: torch.nn.Module) -> int:
        return sum(getattr(m, "groups", 1) > 1 for m in net.modules())

    assert depthwise(star) - depthwise(plain) == 16


def test_classifiers_end_as_the_public_builds_do() -> None:
    megvii = build("shufflenetv2-2.0", downsample_style="megvii")
    assert megvii.fc.bias is None
    assert megvii.dropout.p == 0.2
    torchvision = build("shufflenetv2-2.0")
    assert torchvision.fc.bias is not None
    assert torchvision.dropout.p == 0


def test_widths_are_those_of_the_paper() -> None:
    assert ShuffleNetV2(1.5).channels == (24, 176, 352, 1024)
    assert ShuffleNetV2(2.0, last=False).channels == (24, 244, 488, 976)
    with pytest.raises(ValueError, match=r"1\.25 .*0\.5, 1\.0, 1\.5, 2\.0"):
        ShuffleNetV2(1.25)
