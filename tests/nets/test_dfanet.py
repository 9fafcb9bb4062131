"""DFANet's encoders are joined as the paper says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from livevision.nets import build
from livevision.nets.dfanet import Block, FcAttention


@pytest.mark.parametrize(
    ("name", "widths"), [("dfanet-a", (240, 144, 288)), ("dfanet-b", (160, 96, 192))]
)
def test_stages_take_their_input_and_the_stage_before(
    name: str, widths: tuple[int, int, int]
) -> None:
    net = build(name)
    for encoder in (net.encoders[1], net.encoders[2]):
        first = (encoder.enc2[0], encoder.enc3[0], encoder.enc4[0])
        assert tuple(block.residual[0][0].in_channels for block in first) == widths


def shapes_in(net: nn.Module, images: Tensor) -> list[tuple[int, ...]]:
    """The shapes of the inputs of each encoder's stages."""
    shapes: list[tuple[int, ...]] = []

    def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        shapes.append(tuple(inputs[0].shape[1:]))

    for encoder in net.encoders:
        for stage in (encoder.enc2, encoder.enc3, encoder.enc4):
            stage.register_forward_pre_hook(note)
    with torch.no_grad():
        net.eval()(images)
    return shapes


def test_sizes_at_a_multiple_of_64_are_the_papers() -> None:
    assert shapes_in(build("dfanet-a"), torch.randn(1, 3, 128, 192)) == [
        (8, 64, 96), (48, 32, 48), (96, 16, 24),
        (240, 32, 48), (144, 16, 24), (288, 8, 12),
        (240, 16, 24), (144, 8, 12), (288, 4, 6),
    ]  # fmt: skip


def test_blocks_have_four_six_four_and_halve_in_their_first_convolution() -> None:
    encoder = build("dfanet-a").encoders[0]
    for stage, blocks in ((encoder.enc2, 4), (encoder.enc3, 6), (encoder.enc4, 4)):
        assert len(stage) == blocks
        strides = [[conv[0].stride[0] for conv in block.residual] for block in stage]
        assert strides == [[2, 1, 1]] + [[1, 1, 1]] * (blocks - 1)
        assert stage[0].shortcut[0].kernel_size == (1, 1)
        assert all(isinstance(block.shortcut, nn.Identity) for block in stage[1:])


def test_a_block_ends_in_a_relu_and_adds_without_one() -> None:
    block = Block(16, 4, 1).eval()
    x = torch.randn(1, 16, 8, 8)
    assert block.residual(x).min() < 0
    torch.testing.assert_close(block(x), torch.relu(x + block.residual(x)))


def test_attention_weighs_channels_alike_everywhere() -> None:
    torch.manual_seed(0)
    attention = FcAttention(12).eval()
    nn.init.normal_(attention.fc.weight)
    x = torch.rand(1, 12, 5, 6) + 0.1
    weights = attention(x) / x
    torch.testing.assert_close(weights, weights[:, :, :1, :1].expand_as(x))
    # Norm and ReLU, not a sigmoid: weights are not bound to 1.
    assert weights.min() == 0
    assert weights.amax() > 1


def test_attention_begins_with_every_channel_let_through() -> None:
    torch.manual_seed(0)
    net = build("dfanet-b").train()
    attention = net.attentions[1]
    x = torch.rand(16, 128, 4, 4) + 0.1
    weights = (attention(x) / x)[:, :, 0, 0]
    # In training the norm spreads a batch's weights whatever the linear layer gives.
    assert weights.mean().item() == pytest.approx(1, abs=0.02)
    assert 0.05 < weights.std(0).mean() < 0.15
    assert weights.min() > 0.5


def test_the_next_encoder_joins_enc4_from_before_the_attention() -> None:
    net = build("dfanet-b").eval()
    seen: dict[str, Any] = {}
    net.encoders[0].enc4.register_forward_hook(lambda m, i, o: seen.update(enc4=o))
    net.attentions[0].register_forward_hook(lambda m, i, o: o * 0)
    net.encoders[1].enc4.register_forward_pre_hook(lambda m, i: seen.update(joined=i[0]))
    net.encoders[1].enc2.register_forward_pre_hook(lambda m, i: seen.update(input=i[0]))
    with torch.no_grad():
        net(torch.randn(1, 3, 64, 64))
    assert torch.equal(seen["joined"][:, -128:], seen["enc4"])
    # Its input, though, comes through the attention.
    assert not seen["input"][:, :128].any()


def test_each_encoder_reaches_the_logits_by_both_ways() -> None:
    net = build("dfanet-b", num_classes=3).eval()
    low, high = [], []
    for i in range(3):
        net.decoder.low[i].register_forward_hook(lambda m, a, o: low.append(o.shape[2:]))
        net.decoder.high[i].register_forward_hook(lambda m, a, o: high.append(o.shape[2:]))
    with torch.no_grad():
        net(torch.randn(1, 3, 128, 128))
    assert [tuple(x) for x in low] == [(32, 32), (16, 16), (8, 8)]
    assert [tuple(x) for x in high] == [(8, 8), (4, 4), (2, 2)]


def test_every_encoder_starts_from_the_classifiers_weights() -> None:
    net, classifier = build("dfanet-a", num_classes=3), build("xception-a")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.start_from(classifier.state_dict())
    trained = classifier.backbone.encoder
    for encoder, attention in zip(net.encoders, net.attentions, strict=True):
        last = encoder.enc4[3].residual[2][1][0].weight
        assert torch.equal(last, trained.enc4[3].residual[2][1][0].weight)
        assert torch.equal(attention.fc.weight, classifier.fc.weight)
    assert torch.equal(net.stem[0].weight, classifier.backbone.stem[0].weight)
    changed = {name for name, value in net.state_dict().items() if not value.equal(before[name])}
    assert not any(name.startswith("decoder.") for name in changed)
    # The first stage of a later encoder takes 240 channels, the classifier's takes 8.
    first = "encoders.1.enc2.0.residual.0.0.weight"
    assert first not in changed
    assert before[first].shape == (240, 1, 3, 3)


def test_a_classifier_of_other_classes_leaves_the_attention_alone() -> None:
    net = build("dfanet-b", num_classes=3)
    before = net.attentions[0].fc.weight.clone()
    net.start_from(build("xception-b", num_classes=7).state_dict())
    assert torch.equal(net.attentions[0].fc.weight, before)
