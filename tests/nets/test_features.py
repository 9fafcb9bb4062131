"""Backbones by name give maps of the strides and channels that they promise."""

from __future__ import annotations

import math

import pytest
import torch

from livevision.nets import build, features

ALL_STRIDES = {"mobilenetv2": (2, 4, 8, 16, 32), "xception39": (8, 16, 32)}
ALL_STRIDES |= dict.fromkeys(("snet49", "snet146", "snet535", "xception-star"), (16, 32))
DILATED = [n for n in features.names() if not n.startswith("stdc") and n != "xception39"]


@pytest.mark.parametrize("name", features.names())
def test_strides_and_channels(name: str) -> None:
    strides = ALL_STRIDES.get(name, (4, 8, 16, 32))
    with torch.device("meta"):
        net = features.features(name, strides).eval()
    maps = net(torch.zeros(1, 3, 203, 321, device="meta"))
    assert len(maps) == len(net.channels) == len(strides)
    for x, channels, stride in zip(maps, net.channels, strides, strict=True):
        assert x.shape == (1, channels, math.ceil(203 / stride), math.ceil(321 / stride))


@pytest.mark.parametrize("name", DILATED)
def test_dilated_the_last_map_stays_at_16_with_the_same_weights(name: str) -> None:
    with torch.device("meta"):
        plain = features.features(name, (16, 32))
        dilated = features.features(name, (16, 32), dilated=True).eval()
    assert dilated.channels == plain.channels
    sizes = {key: x.shape for key, x in dilated.state_dict().items()}
    assert sizes == {key: x.shape for key, x in plain.state_dict().items()}
    maps = dilated(torch.zeros(1, 3, 203, 321, device="meta"))
    assert [tuple(x.shape[2:]) for x in maps] == [(13, 21), (13, 21)]


def test_some_maps_alone() -> None:
    net = features.features("mobilenetv2", (8, 32), width=0.5)
    assert net.channels == (16, 160)
    assert [x.shape[1] for x in net(torch.zeros(2, 3, 64, 64))] == [16, 160]


@pytest.mark.parametrize(
    ("name", "classifier"),
    [
        ("bisenet-resnet18", "resnet18"),
        ("bisenet-mobilenetv2", "mobilenetv2"),
        ("thundernet-mobilenetv2", "mobilenetv2"),
        ("thundernet-shufflenetv2", "shufflenetv2-1.0"),
        ("light-head-s", "xception-star"),
        ("light-head-l", "resnet101"),
        ("light-head-mobilenetv2", "mobilenetv2"),
        ("light-head-shufflenetv2", "shufflenetv2-1.0"),
        ("bisenet-shufflenetv2", "shufflenetv2-1.0"),
        ("bisenet-xception39", "xception39"),
        ("thundernet-snet49", "snet49"),
        ("stdc1-seg", "stdc1"),
    ],
)
def test_weights_are_called_as_in_the_classifier(name: str, classifier: str) -> None:
    with torch.device("meta"):
        net, trained = build(name).state_dict(), build(classifier).state_dict()
    ours = {key: x.shape for key, x in net.items() if key.startswith("backbone.")}
    theirs = {key: x.shape for key, x in trained.items()}
    assert ours
    assert ours.items() <= theirs.items()


def test_what_cannot_be_had_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'resnet50'.*resnet18"):
        features.features("resnet50")
    with pytest.raises(ValueError, match=r"snet49 has maps at strides \(16, 32\)"):
        features.features("snet49", (8, 16))
    with pytest.raises(ValueError, match=r"stdc1 cannot be built.*dilated"):
        features.features("stdc1", (16, 32), dilated=True)
