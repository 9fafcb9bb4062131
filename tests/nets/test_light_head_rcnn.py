"""Light-Head R-CNN's thin map, anchors and both of its box heads."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from livevision.nets import build
from livevision.nets.light_head_rcnn import LargeSeparableConv, LightHeadRCNN, classic_anchors
from livevision.nets.nms import box_iou
from tests.nets.footprints import footprint


def test_the_separable_convolution_sees_15_x_15() -> None:
    assert footprint(LargeSeparableConv(3, 4, 5), 3) == 15


def test_the_separable_convolution_is_two_large_ones_and_a_relu() -> None:
    torch.manual_seed(0)
    conv = LargeSeparableConv(3, 4, 5)
    for layer in conv.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.bias)
    x = torch.randn(1, 3, 19, 23)
    tall, wide = conv.tall_wide
    kernel = torch.einsum("omxw,mihy->oihw", wide.weight, tall.weight)
    wide, tall = conv.wide_tall
    kernel = kernel + torch.einsum("omhx,miyw->oihw", tall.weight, wide.weight)
    expected = F.relu(F.conv2d(x, kernel, padding=7))
    assert expected.any()
    torch.testing.assert_close(conv(x), expected, atol=1e-5, rtol=1e-4)


def test_anchors_are_those_of_the_first_faster_rcnn() -> None:
    anchors = classic_anchors(2, 3)
    assert anchors.shape == (2 * 3 * 15, 4)
    # That code prints [-84 -40 99 55], [-56 -56 71 71] and [-36 -80 51 95] at scale 8; its boxes
    # include their last pixel.
    assert anchors[2].tolist() == [-84, -40, 100, 56]
    assert anchors[7].tolist() == [-56, -56, 72, 72]
    assert anchors[12].tolist() == [-36, -80, 52, 96]
    # Cell 5 is in row 1, column 2.
    assert (anchors[5 * 15 + 7] - anchors[7]).tolist() == [32, 16, 32, 16]


def still(net: LightHeadRCNN) -> LightHeadRCNN:
    """A net whose last layers give what their biases say."""
    for layer in (net.classes, net.boxes):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return net.eval()


def test_every_class_gets_its_own_box() -> None:
    net = still(build("light-head-s", num_classes=2, class_agnostic=False))
    assert net.boxes.out_features == 12
    with torch.no_grad():
        # Codes are tenths: the background's box moves by 9 widths, class 0's by 0, class 1's by 1.
        net.boxes.bias.copy_(torch.tensor([90.0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0]))
        net.classes.bias.copy_(torch.tensor([0.0, 1, 3]))
        images = torch.randn(1, 3, 64, 512)
        maps, objectness, codes = net.features(images)
        proposals = net.propose(objectness, codes, net.anchors(maps), (64, 512))
        # No suppression, so that the detections are the proposals of the likelier class.
        boxes, scores, classes = net(images, 1.0)
    assert classes.unique().tolist() == [1]
    width = proposals[..., 2] - proposals[..., 0]
    moved = proposals + torch.stack((width, 0 * width, width, 0 * width), -1)
    moved[..., 0::2] = moved[..., 0::2].clamp(0, 512)
    for box in boxes[0]:
        assert (moved[0] - box).abs().amax(1).min() < 0.01
    assert scores[0, 0] == pytest.approx(float(torch.tensor([0.0, 1, 3]).softmax(0)[2]), abs=1e-5)


def test_one_box_serves_all_classes() -> None:
    net = still(build("light-head-s", num_classes=3, detections=700))
    assert net.boxes.out_features == 4
    with torch.no_grad():
        net.classes.bias.copy_(torch.tensor([0.0, 1, 1.001, 1.002]))
        boxes, _, classes = net(torch.randn(1, 3, 64, 64), 0.3)
    assert boxes.shape == (1, 700, 4)
    found = {c: boxes[0][classes[0] == c] for c in range(3)}
    assert all(len(rows) for rows in found.values())
    # Suppression is within a class: the best box of one is among those of another.
    assert (found[0][0] - found[2]).abs().amax(1).min() < 1e-3


@pytest.mark.parametrize("options", [{}, {"class_agnostic": False, "pooling": "max"}])
def test_detections(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    net = build("light-head-s", num_classes=4, **options).eval()
    nn.init.normal_(net.classes.weight, 0, 0.5)
    images = torch.randn(2, 3, 96, 130)
    with torch.no_grad():
        boxes, scores, classes = net(images, torch.tensor(0.4))
        alone = net(images[1:], torch.tensor(0.4))
    torch.testing.assert_close(alone[1][0], scores[1], atol=1e-5, rtol=1e-4)
    assert (scores[:, 1:] <= scores[:, :-1]).all()
    overlaps = box_iou(boxes, boxes)[0].fill_diagonal_(0)
    same = classes[0][:, None] == classes[0][None]
    real = (scores[0] > 0)[:, None] & (scores[0] > 0)[None]
    assert float(overlaps[same & real].max()) <= 0.4 + 1e-4


def test_pooling_is_as_asked() -> None:
    maps = torch.zeros(1, 490, 6, 6)
    maps[..., 3, 3] = 7.0
    boxes = torch.tensor([[[10.0, 10, 90, 90]]])
    sums = {}
    for pooling in ("mean", "max"):
        net = build("light-head-s", num_classes=2, pooling=pooling)
        pooled: list[torch.Tensor] = []
        net.fc.register_forward_pre_hook(lambda _, inputs, kept=pooled: kept.append(inputs[0]))
        net.second_stage(maps, boxes)
        assert pooled[0].shape == (1, 1, 490)
        sums[pooling] = float(pooled[0].sum())
    assert sums["max"] > sums["mean"] > 0


def test_a_map_smaller_than_a_full_output_fills_it_with_nothing() -> None:
    net = build("light-head-s", num_classes=1).eval()
    with torch.no_grad():
        _, scores, _ = net(torch.randn(1, 3, 32, 32))  # 2 x 2 cells: 60 anchors
    assert scores.shape == (1, 100)
    assert (scores[0, 60:] == -1).all()
