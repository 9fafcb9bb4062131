"""BiSeNet V2's two branches and how they gate each other."""

from __future__ import annotations

import torch
from torch import nn

from livevision.nets import build
from livevision.nets.bisenetv2 import (
    DetailBranch,
    GatherExpansion,
    GuidedAggregation,
    SemanticBranch,
)


def test_branches_end_at_an_eighth_and_at_a_thirty_second() -> None:
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        assert DetailBranch().eval()(image).shape == (1, 128, 8, 12)
        maps = SemanticBranch().eval()(image)
    assert [tuple(x.shape[1:]) for x in maps] == [
        (16, 16, 24), (32, 8, 12), (64, 4, 6), (128, 2, 3),
    ]  # fmt: skip


def test_expansion_is_sixfold_and_depthwise_twice_at_stride_2() -> None:
    for stride, depthwise in ((1, 1), (2, 2)):
        layer = GatherExpansion(16, 16 * stride, stride)
        wide = [c for c in layer.residual.modules() if isinstance(c, nn.Conv2d)]
        assert sum(c.groups > 1 for c in wide) == depthwise
        assert max(c.out_channels for c in wide) == 96
    layer = GatherExpansion(16, 16, 1).eval()
    x = torch.randn(1, 16, 6, 6)
    torch.testing.assert_close(layer(x), torch.relu(x + layer.residual(x)))


def test_each_branch_is_gated_by_the_other() -> None:
    torch.manual_seed(0)
    join = GuidedAggregation(8).eval()
    detail, semantic = torch.randn(1, 8, 16, 24), torch.randn(1, 8, 4, 6)
    # With both of one branch's gates shut, what the other branch says does not matter.
    with torch.no_grad():
        before = join(detail, semantic)
        join.semantic_up[1].bias.fill_(-1e4)  # shuts the detail's way
        assert not torch.equal(join(detail, semantic), join(detail, -semantic))
        nn.init.zeros_(join.detail_down[0][0].weight)  # and what it gives to the coarse one
        shut = join(detail, semantic)
        assert not torch.equal(before, shut)
        assert torch.equal(shut, join(detail + 1, semantic))


def test_booster_heads_do_not_change_the_answer() -> None:
    net = build("bisenetv2", num_classes=4, head_channels=16).eval()
    bare = build("bisenetv2", num_classes=4, head_channels=16, aux=False).eval()
    left_out = net.load_state_dict(bare.state_dict(), strict=False).missing_keys
    assert left_out
    assert all(name.startswith("aux_heads.") for name in left_out)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(net(image), bare(image))


def test_four_booster_heads_read_the_semantic_branch() -> None:
    net = build("bisenetv2", num_classes=4, head_channels=16).train()
    sizes = [tuple(x.shape[2:]) for x in net(torch.randn(2, 3, 64, 96))]
    assert sizes == [(64, 96), (16, 24), (8, 12), (4, 6), (2, 3)]
