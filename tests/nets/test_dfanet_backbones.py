"""DFANet's joined encoders on MobileNetV2's and ShuffleNetV2's stages."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from livevision.nets import build

NETS = {
    "dfanet-mobilenetv2": ("mobilenetv2", {}, (16, 24, 32, 96)),
    "dfanet-shufflenetv2": ("shufflenetv2-0.5", {}, (24, 48, 96, 192)),
}


@pytest.mark.parametrize("name", NETS)
def test_stages_join_the_encoder_before_at_the_papers_sizes(name: str) -> None:
    stem, enc2, enc3, enc4 = NETS[name][2]
    net = build(name).eval()
    shapes: list[tuple[int, ...]] = []

    def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        shapes.append(tuple(inputs[0].shape[1:]))

    for encoder in net.encoders:
        for stage in (encoder.enc2, encoder.enc3, encoder.enc4):
            stage.register_forward_pre_hook(note)
    with torch.no_grad():
        net(torch.randn(1, 3, 128, 192))
    joined = [enc4 + enc2, enc2 + enc3, enc3 + enc4]
    assert shapes == [
        (stem, 64, 96), (enc2, 32, 48), (enc3, 16, 24),
        (joined[0], 32, 48), (joined[1], 16, 24), (joined[2], 8, 12),
        (joined[0], 16, 24), (joined[1], 8, 12), (joined[2], 4, 6),
    ]  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_encoders_start_from_the_classifier(name: str) -> None:
    classifier, options, _ = NETS[name]
    net, trained = build(name, num_classes=3), build(classifier, **options)
    before = {key: x.clone() for key, x in net.state_dict().items()}
    net.start_from(trained.state_dict())
    after = net.state_dict()
    theirs = [x for x in trained.state_dict().values() if x.dim() == 4]

    def taken(start: str) -> list[bool]:
        return [
            any(x.shape == y.shape and torch.equal(x, y) for y in theirs)
            for key, x in after.items()
            if key.startswith(start) and x.dim() == 4
        ]

    assert all(taken("stem."))
    assert all(taken("encoders.0."))
    # Of later encoders all but what takes the joined maps.
    for encoder in ("encoders.1.", "encoders.2."):
        assert sum(taken(encoder)) >= 0.8 * len(taken(encoder))
        assert not all(taken(encoder))
    assert all(x.equal(before[k]) for k, x in after.items() if k.startswith("decoder."))


def test_the_block_that_joins_does_not_expand() -> None:
    net = build("dfanet-mobilenetv2")
    assert net.encoders[0].enc2[0].expand[0].out_channels == 6 * 16
    for encoder in (net.encoders[1], net.encoders[2]):
        for stage in (encoder.enc2, encoder.enc3, encoder.enc4):
            assert isinstance(stage[0].expand, nn.Identity)
            assert stage[1].expand[0].out_channels == 6 * stage[1].expand[0].in_channels


def test_width_multiplies_the_encoders() -> None:
    assert build("dfanet-shufflenetv2", width=1.0).encoders[0].enc4[0].half_channels == 232
    narrow = build("dfanet-mobilenetv2", width=0.5).encoders[0]
    assert narrow.enc4[-1].project[0].out_channels == 48
