"""ThunderNet's output keeps its promises at every size, and its parts are wired as in the paper."""

from __future__ import annotations

import pytest
import torch

from livevision.nets import build
from livevision.nets.nms import box_iou
from livevision.nets.thundernet import ThunderNet


@pytest.fixture
def net() -> ThunderNet:
    torch.manual_seed(0)
    built = build("thundernet-snet49", num_classes=5).eval()
    assert isinstance(built, ThunderNet)
    # Fresh weights call everything background alike: larger ones make detections differ.
    torch.nn.init.normal_(built.classes.weight, 0, 0.5)
    return built


@pytest.mark.parametrize(("height", "width"), [(320, 320), (288, 352), (201, 333)])
def test_output(net: ThunderNet, height: int, width: int) -> None:
    with torch.no_grad():
        boxes, scores, classes = net(torch.randn(2, 3, height, width))
    assert boxes.shape == (2, 100, 4)
    assert scores.shape == classes.shape == (2, 100)
    assert (boxes.dtype, scores.dtype, classes.dtype) == (
        torch.float32,
        torch.float32,
        torch.int64,
    )
    assert (scores[:, 1:] <= scores[:, :-1]).all()
    assert ((scores == -1) | ((scores > 0) & (scores <= 1))).all()
    assert classes.min() >= 0
    assert classes.max() < 5
    x1, y1, x2, y2 = boxes.unbind(-1)
    assert ((x1 >= 0) & (y1 >= 0) & (x2 <= width) & (y2 <= height)).all()
    assert ((x2 >= x1) & (y2 >= y1)).all()


@pytest.mark.parametrize("threshold", [0.2, torch.tensor(0.6)])
def test_detections_of_a_class_do_not_overlap(
    net: ThunderNet, threshold: float | torch.Tensor
) -> None:
    with torch.no_grad():
        boxes, scores, classes = net(torch.randn(1, 3, 320, 320), threshold)
    overlaps = box_iou(boxes, boxes)[0].fill_diagonal_(0)
    same = classes[0][:, None] == classes[0][None]
    real = (scores[0] > 0)[:, None] & (scores[0] > 0)[None]
    assert float(overlaps[same & real].max()) <= float(threshold) + 1e-4


def test_an_image_is_judged_alike_alone_and_in_a_batch(net: ThunderNet) -> None:
    images = torch.randn(2, 3, 320, 320)
    with torch.no_grad():
        together = net(images)
        alone = net(images[1:])
    torch.testing.assert_close(together[1][1], alone[1][0], atol=1e-5, rtol=1e-4)


def test_proposals_are_as_many_as_promised_whatever_is_suppressed(net: ThunderNet) -> None:
    anchors = net.anchors(torch.zeros(1, 245, 20, 20))
    assert anchors.shape == (10_000, 4)
    objectness = torch.zeros(1, 10_000, 2)
    with torch.no_grad():
        proposals = net.propose(objectness, torch.zeros(1, 10_000, 4), anchors, (320, 320))
    assert proposals.shape == (1, 200, 4)


def test_the_second_stage_trains_the_first_through_the_attention(net: ThunderNet) -> None:
    net.train()
    maps, _, _ = net.features(torch.randn(2, 3, 128, 128))
    proposals = torch.tensor([[[10.0, 20, 90, 100]]]).expand(2, -1, -1)
    logits, codes = net.second_stage(maps, proposals)
    (logits.square().mean() + codes.square().mean()).backward()
    for layer in (net.rpn.pointwise[0], net.attention.gate[0], net.backbone.stem[0][0]):
        assert layer.weight.grad is not None
        assert float(layer.weight.grad.abs().sum()) > 0
    assert net.rpn.objectness.weight.grad is None


def test_context_convolutions_have_a_bias_and_no_norm(net: ThunderNet) -> None:
    assert sorted(n for n, _ in net.context.named_parameters()) == [
        "c4.bias", "c4.weight", "c5.bias", "c5.weight", "c_glb.bias", "c_glb.weight",
    ]  # fmt: skip
