"""BiSeNet's parts are those of the authors' build, and it takes images of any size."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from livevision.nets import build
from livevision.nets.bisenet import AttentionRefinement, FeatureFusion


@pytest.mark.parametrize(("height", "width"), [(64, 96), (65, 97), (59, 41)])
def test_logits_have_the_size_of_the_image(height: int, width: int) -> None:
    net = build("bisenet-xception39", num_classes=5).eval()
    with torch.no_grad():
        assert net(torch.randn(1, 3, height, width)).shape == (1, 5, height, width)


def test_training_gives_three_heads_and_every_weight_a_gradient() -> None:
    net = build("bisenet-xception39", num_classes=4).train()
    logits = net(torch.randn(2, 3, 64, 96))
    assert [tuple(x.shape[1:]) for x in logits] == [(4, 64, 96), (4, 4, 6), (4, 8, 12)]
    sum(x.square().mean() for x in logits).backward()
    # The layers before a norm over a 1x1 map of two images may lawfully get zero, not none.
    assert all(p.grad is not None for p in net.parameters())


def test_auxiliary_heads_do_not_change_the_answer() -> None:
    net = build("bisenet-xception39", num_classes=4).eval()
    bare = build("bisenet-xception39", num_classes=4, aux=False).eval()
    left_out = net.load_state_dict(bare.state_dict(), strict=False).missing_keys
    assert left_out
    assert all(name.startswith("aux_heads.") for name in left_out)
    image = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(net(image), bare(image))


def test_fusion_gate_has_neither_norm_nor_bias() -> None:
    gate = FeatureFusion().gate
    assert not any(isinstance(m, nn.BatchNorm2d) for m in gate.modules())
    assert all(m.bias is None for m in gate.modules() if isinstance(m, nn.Conv2d))


def test_refinement_has_a_3x3_convolution_and_a_gate_of_one_value_a_channel() -> None:
    arm = AttentionRefinement(16).eval()
    assert arm.conv[0].kernel_size == (3, 3)
    x = torch.randn(1, 16, 6, 6)
    ratio = arm(x) / arm.conv(x)
    shares = ratio.nan_to_num(0).amax((2, 3))
    assert ((shares >= 0) & (shares < 1)).all()
