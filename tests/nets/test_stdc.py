"""STDC's concatenation grows its view; its segmenter drops what only training needs."""

from __future__ import annotations

import pytest
import torch

from livevision.nets import build
from livevision.nets.stdc import DenseConcatenation
from tests.nets.footprints import footprint


@pytest.mark.parametrize(
    ("outputs", "side"),
    [(slice(0, 8), 1), (slice(8, 12), 3), (slice(12, 14), 5), (slice(14, 16), 7)],
)
def test_half_of_the_channels_see_a_pixel_and_the_last_eighth_7_x_7(
    outputs: slice, side: int
) -> None:
    assert footprint(DenseConcatenation(4, 16, 1), 4, outputs=outputs) == side


def test_at_stride_2_the_first_half_is_pooled() -> None:
    block = DenseConcatenation(4, 16, 2).eval()
    x = torch.randn(1, 4, 12, 14)
    out = block(x)
    assert out.shape == (1, 16, 6, 7)
    pooled = torch.nn.functional.avg_pool2d(block.conv1(x), 3, 2, padding=1)
    torch.testing.assert_close(out[:, :8], pooled)


def test_heads_of_training_do_not_change_the_answer() -> None:
    net = build("stdc1-seg", num_classes=4, detail=True).eval()
    bare = build("stdc1-seg", num_classes=4, aux=False).eval()
    left_out = net.load_state_dict(bare.state_dict(), strict=False).missing_keys
    assert {name.split(".")[0] for name in left_out} == {"aux_heads", "detail_head"}
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(net(image), bare(image))


def test_training_gives_auxiliary_logits_and_details() -> None:
    net = build("stdc1-seg", num_classes=4, detail=True).train()
    with torch.no_grad():
        outputs = net(torch.randn(2, 3, 64, 96))
    assert [tuple(x.shape[1:]) for x in outputs] == [
        (4, 64, 96), (4, 4, 6), (4, 8, 12), (1, 8, 12),
    ]  # fmt: skip
