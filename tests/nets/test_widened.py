"""Wide SNets that begin as narrow ones."""

from __future__ import annotations

import pytest
import torch

from livevision.nets.snet import SNet, backbone
from livevision.nets.widened import widen
from tests.nets.worn_norms import wear_norms


def _drawn(name: str, style: str) -> SNet:
    """A net whose norms do something."""
    net = backbone(name, style)
    wear_norms(net)
    return net


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("style", ["torchvision", "megvii"])
@pytest.mark.parametrize(
    ("few", "many"), [("snet49", "snet146"), ("snet146", "snet535"), ("snet49", "snet535")]
)
def test_the_wide_net_computes_what_the_narrow_one_does(
    few: str, many: str, style: str, training: bool
) -> None:
    torch.manual_seed(0)
    narrow, wide = _drawn(few, style), _drawn(many, style)
    c4, c5 = widen(narrow, wide)
    assert (c5 is None) == (few == "snet49")  # which alone ends with a convolution
    images = torch.rand(2, 3, 64, 96)
    before = narrow.train(training)(images)
    after = wide.train(training)(images)
    torch.testing.assert_close(after[0][:, c4], before[0], rtol=1e-3, atol=1e-4)
    if c5 is not None:
        torch.testing.assert_close(after[1][:, c5], before[1], rtol=1e-3, atol=1e-4)


def test_a_convolution_at_the_end_of_both_is_copied() -> None:
    torch.manual_seed(0)
    narrow = SNet((8, 16, 32, 64), last=24).eval()
    wide = SNet((8, 48, 96, 192), last=40).eval()
    _, c5 = widen(narrow, wide)
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(wide(images)[1][:, c5], narrow(images)[1], rtol=1e-3, atol=1e-5)


def test_every_new_channel_can_learn() -> None:
    torch.manual_seed(0)
    narrow, wide = backbone("snet49"), backbone("snet146")
    c4, _ = widen(narrow, wide)
    maps = wide(torch.rand(2, 3, 64, 64))[0]
    (maps[:, c4] * torch.rand_like(maps[:, c4])).sum().backward()
    weight = wide.stage3[7].right[0][0].weight  # what the last unit takes from all channels
    assert (weight.grad.abs().sum((0, 2, 3)) > 0).all()


@pytest.mark.parametrize("few", ["snet535", "snet146"])
def test_no_room(few: str) -> None:
    with pytest.raises(ValueError, match="no room"):
        widen(backbone(few), backbone("snet49"))


def test_other_kernels_do_not_fit() -> None:
    with pytest.raises(ValueError, match="more than their widths"):
        widen(backbone("snet49", kernel_size=3), backbone("snet146"))
