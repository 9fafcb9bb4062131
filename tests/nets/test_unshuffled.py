"""Stages without shuffles compute what those with shuffles do."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from livevision import nets
from livevision.nets.shufflenetv2 import Unit, stage
from livevision.nets.unshuffled import Unshuffled
from tests.nets.worn_norms import wear_norms


def with_norms_that_matter(net: nn.Module) -> nn.Module:
    """In eval mode, in float64, and every norm with numbers of its own."""
    torch.manual_seed(1)
    wear_norms(net)
    return net.eval().double()


@pytest.mark.parametrize("style", ["torchvision", "megvii"])
@pytest.mark.parametrize(("channels", "units", "star"), [(60, 4, False), (116, 8, True)])
@torch.no_grad()
def test_a_stage_gives_the_same_channels_in_the_order_it_tells(
    style: str, channels: int, units: int, star: bool
) -> None:
    shuffled = with_norms_that_matter(stage(24, channels, units, 3, style, star))
    order = torch.randperm(24).tolist()
    x = torch.randn(2, 24, 12, 10, dtype=torch.float64)
    expected = shuffled(x)
    assert float(expected.std()) > 0.1
    copied = copy.deepcopy(shuffled)
    units_of = [unit for unit in copied if isinstance(unit, Unit)]
    unshuffled = Unshuffled(units_of, order)
    assert sorted(unshuffled.order) == list(range(channels))
    torch.testing.assert_close(unshuffled(x[:, order]), expected[:, unshuffled.order])


@pytest.mark.parametrize(
    ("name", "style"), [("thundernet-snet49", "torchvision"), ("thundernet-snet146", "megvii")]
)
@torch.no_grad()
def test_a_detector_finds_the_same(name: str, style: str) -> None:
    net = with_norms_that_matter(nets.build(name, downsample_style=style))
    images = torch.randn(2, 3, 96, 130, dtype=torch.float64)
    expected = net.features(images)
    net.unshuffle()
    for ours, theirs in zip(net.features(images), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_an_exported_detector_shuffles_nothing() -> None:
    net = nets.build("thundernet-snet49").eval()
    before = [name for name, _ in net.named_parameters()]
    net.unshuffle()
    assert [name for name, _ in net.named_parameters()] == before
    traced = torch.jit.trace(net.backbone, torch.zeros(1, 3, 64, 64))
    assert "transpose" not in str(traced.inlined_graph)
