"""The released ThunderNet: one objectness logit, and a box for every class."""

from __future__ import annotations

import torch
from torch import nn

from livevision.nets import build


def test_objectness_is_a_sigmoid_of_one_logit() -> None:
    net = build("thundernet-snet146-release", num_classes=3).eval()
    convolution = net.rpn.objectness[0]
    assert convolution.out_channels == 25
    seen: list[torch.Tensor] = []
    convolution.register_forward_hook(lambda m, i, o: seen.append(o))
    with torch.no_grad():
        _, objectness, _ = net.features(torch.randn(1, 3, 64, 64))
    one = seen[0].permute(0, 2, 3, 1).flatten(1)
    torch.testing.assert_close(objectness.softmax(-1)[..., 1], one.sigmoid())


def test_every_class_has_its_own_box() -> None:
    options = {"proposals": 200, "candidates": 400, "detections": 400}
    net = build("thundernet-snet146-release", num_classes=2, **options).eval()
    for layer in (net.classes, net.boxes):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    with torch.no_grad():
        # After the background and class 0 come the codes of class 1: exp(-1) as wide.
        net.boxes.bias[2 * 4 + 2] = -5.0
        net.classes.bias.copy_(torch.tensor([0.0, 2, 2.1]))
        boxes, scores, classes = net(torch.randn(1, 3, 96, 128), 1.0)
    assert (scores > 0).all()
    widths = boxes[0, :, 2] - boxes[0, :, 0]
    first, second = widths[classes[0] == 0], widths[classes[0] == 1]
    assert len(first) == len(second) == 200
    assert 0.3 < float(second.sum() / first.sum()) < 0.6
