"""ResNet's blocks, and C5 kept at stride 16."""

from __future__ import annotations

import torch

from livevision.nets import resnet
from livevision.nets.xception_star import Unit, XceptionStar
from tests.nets.footprints import footprint


def test_the_middle_convolution_of_a_bottleneck_has_the_stride() -> None:
    block = resnet.Bottleneck(256, 128, 2, 1)
    assert [layer[0].stride for layer in block.residual] == [(1, 1), (2, 2), (1, 1)]
    assert block.shortcut[0].stride == (2, 2)


def test_the_activation_comes_after_the_addition() -> None:
    block = resnet.BasicBlock(8, 8, 1, 1).eval()
    x = torch.randn(1, 8, 6, 6)
    assert block.residual(x).min() < 0
    torch.testing.assert_close(block(x), torch.relu(x + block.residual(x)))


def test_dilation_keeps_the_size_and_takes_the_same_weights() -> None:
    plain, dilated = resnet.backbone("resnet18").eval(), resnet.backbone("resnet18", True).eval()
    dilated.load_state_dict(plain.state_dict())
    with torch.no_grad():
        maps = dilated(torch.randn(1, 3, 64, 96))
    assert [tuple(x.shape[2:]) for x in maps] == [(16, 24), (8, 12), (4, 6), (4, 6)]


def test_dilation_doubles_what_a_block_sees() -> None:
    assert footprint(resnet.Bottleneck(8, 2, 1, 1), 8) == 3
    block = resnet.BasicBlock(8, 8, 1, 2)
    assert all(layer[0].dilation == (2, 2) for layer in block.residual)


def test_xception_star_keeps_its_pooled_input_where_channels_grow() -> None:
    unit = Unit(8, 24, stride=2).eval()
    x = torch.rand(1, 8, 12, 12)
    out = unit(x)
    assert out.shape == (1, 24, 6, 6)
    torch.testing.assert_close(out[:, :8], torch.nn.functional.avg_pool2d(x, 3, 2, padding=1))


def test_xception_star_dilated_keeps_c5_at_16_with_the_same_weights() -> None:
    plain, dilated = XceptionStar().eval(), XceptionStar(dilated=True).eval()
    dilated.load_state_dict(plain.state_dict())
    with torch.no_grad():
        c4, c5 = dilated(torch.randn(1, 3, 64, 96))
        assert plain(torch.randn(1, 3, 64, 96))[1].shape == (1, 576, 2, 3)
    assert c4.shape == (1, 288, 4, 6)
    assert c5.shape == (1, 576, 4, 6)
