"""Detectors and segmenters on every backbone that has the maps they take."""

from __future__ import annotations

import pytest
import torch

from livevision.nets import build, features
from livevision.nets.counting import count_multiply_adds, count_parameters

WITH_8 = [n for n in features.names() if not n.startswith("snet") and n != "xception-star"]
DILATED = [n for n in features.names() if not n.startswith("stdc") and n != "xception39"]


@pytest.mark.parametrize("backbone", features.names())
def test_thundernet_takes_c4_at_16_and_c5_at_32(backbone: str) -> None:
    with torch.device("meta"):
        net = build("thundernet", backbone=backbone).eval()
    for height, width, rows, columns in ((320, 320, 20, 20), (201, 333, 13, 21)):
        images = torch.zeros(1, 3, height, width, device="meta")
        maps, objectness, codes = net.features(images)
        assert maps.shape == (1, 245, rows, columns)
        assert objectness.shape == (1, 25 * rows * columns, 2)
        assert codes.shape == (1, 25 * rows * columns, 4)


@pytest.mark.parametrize("backbone", DILATED)
def test_light_head_takes_c4_and_c5_at_16(backbone: str) -> None:
    with torch.device("meta"):
        net = build("light-head", backbone=backbone).eval()
    maps, objectness, _ = net.features(torch.zeros(1, 3, 201, 333, device="meta"))
    assert maps.shape == (1, 490, 13, 21)
    assert objectness.shape == (1, 15 * 13 * 21, 2)


@pytest.mark.parametrize("backbone", WITH_8)
def test_bisenet_gives_an_answer_for_every_pixel(backbone: str) -> None:
    with torch.device("meta"):
        net = build("bisenet", backbone=backbone, num_classes=7)
    assert net.eval()(torch.zeros(1, 3, 97, 61, device="meta")).shape == (1, 7, 97, 61)
    outputs = net.train()(torch.zeros(2, 3, 96, 64, device="meta"))
    assert [tuple(x.shape) for x in outputs] == [(2, 7, 96, 64), (2, 7, 6, 4), (2, 7, 12, 8)]


@pytest.mark.parametrize(
    ("family", "backbone", "name"),
    [
        ("thundernet", "snet49", "thundernet-snet49"),
        ("light-head", "xception-star", "light-head-s"),
        ("bisenet", "xception39", "bisenet-xception39"),
    ],
)
def test_the_papers_nets_are_members_of_the_families(family: str, backbone: str, name: str) -> None:
    torch.manual_seed(0)
    ours = build(family, backbone=backbone).eval()
    torch.manual_seed(0)
    theirs = build(name).eval()
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images))


def test_a_detector_on_a_backbone_without_a_name_of_its_own_detects_and_trains() -> None:
    net = build("thundernet", backbone="stdc1", num_classes=3)
    with torch.no_grad():
        boxes, scores, _ = net.eval()(torch.randn(1, 3, 67, 109))
    assert boxes.shape == (1, 100, 4)
    assert ((scores == -1) | ((scores > 0) & (scores <= 1))).all()
    maps, _, _ = net.train().features(torch.randn(2, 3, 64, 64))
    logits, codes = net.second_stage(maps, torch.tensor([[[5.0, 8, 50, 60]]]).expand(2, -1, -1))
    (logits.square().mean() + codes.square().mean()).backward()
    assert float(net.backbone.stage5[0].conv1[0].weight.grad.abs().sum()) > 0


def test_options_reach_the_backbone() -> None:
    narrow = build("thundernet", backbone="mobilenetv2", backbone_options={"width": 0.5})
    assert narrow.backbone.channels == (48, 160)
    assert build("thundernet-mobilenetv2", width=0.5).backbone.channels == (48, 160)
    assert build("light-head-mobilenetv2", width=0.5).backbone.channels == (48, 160)
    with torch.device("meta"):
        plain = build("light-head-shufflenetv2", width=0.5)
        star = build("light-head-shufflenetv2", width=0.5, star=True)
        megvii = build("thundernet-shufflenetv2", downsample_style="megvii")
        torchvision = build("thundernet-shufflenetv2")
    # A 3x3 convolution and a norm more for every channel that a unit's branch takes.
    units = [(24, 1), (24, 3), (48, 1), (48, 7), (96, 1), (96, 3)]
    added = sum((9 + 2) * channels * count for channels, count in units)
    assert count_parameters(star) - count_parameters(plain) == added
    assert megvii.backbone.stage2[0].left[1][0].out_channels == 24
    assert torchvision.backbone.stage2[0].left[1][0].out_channels == 58


def test_the_release_of_light_head_has_a_box_for_every_class() -> None:
    with torch.device("meta"):
        release, paper = build("light-head-l-release"), build("light-head-l")
    assert release.pooling == "max"
    assert release.boxes.out_features == 4 * 81
    assert paper.boxes.out_features == 4
    more = count_multiply_adds(release, 64, 96) - count_multiply_adds(paper, 64, 96)
    proposals = 15 * 4 * 6
    assert more == proposals * 2048 * 4 * 80
