"""Nets without one of their parts: what is gone, what is left, and that it still runs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from livevision.nets import build
from livevision.nets.counting import count_by_layer, count_parameters

SMALL = {"bisenet-xception39": {"num_classes": 3}, "dfanet-a": {"num_classes": 3}}
DETECTOR = {"num_classes": 3, "pre_nms": 40, "proposals": 10, "candidates": 10, "detections": 5}


def made(name: str, *without: str, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return build(name, without=without, **SMALL.get(name, DETECTOR), **options).eval()


def layers(net: nn.Module) -> set[str]:
    return set(count_by_layer(net, 64, 96))


@pytest.mark.parametrize(
    ("name", "part", "gone"),
    [
        ("thundernet-snet49", "CEM", ["context.c4", "context.c_glb"]),
        ("thundernet-snet49", "SAM", ["attention.gate.0"]),
        ("bisenet-xception39", "FFM", ["fusion.conv.0", "fusion.gate.0", "fusion.gate.2"]),
        ("bisenet-xception39", "ARM", ["arm16.gate.0", "arm32.gate.0"]),
        ("bisenet-xception39", "global pooling", ["global_context.0"]),
    ],
)
def test_only_the_parts_own_layers_are_gone(name: str, part: str, gone: list[str]) -> None:
    whole = {n.replace(".conv.", ".") for n in layers(made(name))}
    left = {n.replace(".conv.", ".") for n in layers(made(name, part))}
    assert whole - left == {n.replace(".conv.", ".") for n in gone}
    assert left <= whole


def test_without_its_spatial_path_bisenet_is_the_context_path_alone() -> None:
    for parts in (["spatial path"], ["spatial path", "FFM"], ["FFM", "spatial path"]):
        left = layers(made("bisenet-xception39", *parts))
        assert not any(n.startswith(("spatial_path", "fusion")) for n in left)
        assert any(n.startswith("backbone") for n in left)


def test_bisenet_without_ffm_adds_its_paths() -> None:
    net: Any = made("bisenet-xception39", "FFM")
    a, b = torch.rand(1, 128, 4, 4), torch.rand(1, 128, 4, 4)
    assert torch.equal(net.fusion(a, b), a + b)


def test_dfanet_hands_on_its_maps_without_fc_attention() -> None:
    whole, left = made("dfanet-a"), made("dfanet-a", "fc attention")
    attention = sum(count_parameters(m) for m in whole.attentions)  # type: ignore[union-attr]
    assert count_parameters(whole) - count_parameters(left) == attention


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("bisenet-xception39", "spatial path"),
        ("bisenet-xception39", "FFM"),
        ("bisenet-xception39", "ARM"),
        ("bisenet-xception39", "global pooling"),
        ("dfanet-a", "fc attention"),
    ],
)
def test_segmenters_without_a_part_run_at_any_size_and_learn(name: str, part: str) -> None:
    net = made(name, part)
    with torch.no_grad():
        assert net(torch.rand(1, 3, 75, 101)).shape == (1, 3, 75, 101)
    logits = net.train()(torch.rand(2, 3, 64, 96))
    sum(x.square().mean() for x in logits).backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize("part", ["CEM", "SAM"])
def test_detectors_without_a_part_answer_alike_with_their_shuffles_taken_out(part: str) -> None:
    net: Any = made("thundernet-snet49", part)
    images = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        before = net.features(images)
        net.unshuffle()
        after = net.features(images)
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_thundernet_without_cem_and_sam_pools_from_what_the_rpn_reads() -> None:
    net: Any = made("thundernet-snet49", "CEM", "SAM")
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        _, c5 = net.backbone(images)
        maps, *_ = net.features(images)
        assert torch.equal(maps[:, :, ::2, ::2], net.context.c5(c5))


def test_snets_kernels_may_be_smaller() -> None:
    whole, small = build("snet49"), build("snet49", kernel_size=3)
    depthwise = [m for m in small.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert {m.kernel_size for m in depthwise} == {(3, 3)}
    channels = sum(m.out_channels for m in depthwise)
    assert count_parameters(whole) - count_parameters(small) == 16 * channels


def test_a_part_that_a_net_has_not_is_an_error_that_names_those_it_has() -> None:
    with pytest.raises(ValueError, match=r"without='CEM': 'FFM'.* left out of BiSeNet"):
        build("bisenet-xception39", without=["CEM"])
    with pytest.raises(ValueError, match="nothing can be left out of Classifier"):
        build("snet49", without=["CEM"])
