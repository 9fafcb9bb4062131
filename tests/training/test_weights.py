"""Averages of weights, and weights on their way to files and other nets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from livevision.errors import OutputError
from livevision.nets import build
from livevision.training.starting import start_from
from livevision.training.weights import AveragedNet, put_fitting, save_weights
from tests.nets.worn_norms import wear_norms
from tests.training import small_data


def _begun(kind: dict[str, Any], name: str, net: nn.Module, path: Path) -> str:
    """Put a file's weights into a net, as a recipe for it would; returns the line that tells."""
    recipe = small_data.recipe(kind, net=name, initial_weights=str(path))
    (line,) = start_from(recipe, net)
    return line


def test_the_average_forgets_the_start_and_follows_norm_statistics() -> None:
    net = nn.BatchNorm1d(1)
    average = AveragedNet(net, 0.9)
    net.weight.data.fill_(5)
    net.running_mean.fill_(3)
    for step in range(200):
        average.update(net, step)
    assert average.net.weight.item() == pytest.approx(5, abs=1e-3)
    assert average.net.running_mean.item() == pytest.approx(3, abs=1e-3)


def test_weights_are_stored_in_half_precision_and_fit_another_head(tmp_path: Path) -> None:
    net = build("snet49", num_classes=2)
    save_weights(net, tmp_path / "w.safetensors", drop=("fc.",))
    stored = load_file(tmp_path / "w.safetensors")
    assert {t.dtype for t in stored.values()} == {torch.float16}
    assert not any(n.startswith("fc.") or n.endswith("num_batches_tracked") for n in stored)

    detector = build("thundernet-snet49")
    assert put_fitting(detector, stored) == []
    weight = "backbone.stem.0.0.weight"
    torch.testing.assert_close(detector.state_dict()[weight].half(), stored[weight])


def test_weights_beyond_half_precision_are_refused(tmp_path: Path) -> None:
    net = build("snet49", num_classes=2)
    net.fc.weight.data[0, 0] = 1e6
    with pytest.raises(OutputError, match=r"fc\.weight"):
        save_weights(net, tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


def test_dfanet_begins_all_its_encoders_from_a_classifier(tmp_path: Path) -> None:
    torch.manual_seed(0)
    classifier = build("xception-a", num_classes=1000)
    path = tmp_path / "w.safetensors"
    save_weights(classifier, path)
    net = build("dfanet-a", num_classes=2)
    line = _begun(small_data.SEGMENT, "dfanet-a", net, path)
    assert "began from the classifier" in line
    stored = load_file(path)
    ours = net.state_dict()
    for encoder in range(3):
        name = f"encoders.{encoder}.enc3.1.residual.0.0.weight"
        expected = stored["backbone.encoder.enc3.1.residual.0.0.weight"].float()
        assert torch.equal(ours[name], expected)
        assert torch.equal(ours[f"attentions.{encoder}.fc.weight"], stored["fc.weight"].float())


def test_a_detector_begins_from_a_backbone(tmp_path: Path) -> None:
    save_weights(build("mobilenetv2", num_classes=5), tmp_path / "w.safetensors")
    net = build("thundernet-mobilenetv2", num_classes=1)
    line = _begun(small_data.DETECT, "thundernet-mobilenetv2", net, tmp_path / "w.safetensors")
    stored = load_file(tmp_path / "w.safetensors")
    ours = net.state_dict()
    fitting = [k for k, v in stored.items() if k in ours and ours[k].shape == v.shape]
    assert f"{len(fitting)} tensors" in line
    assert len(fitting) > 250


def test_a_wide_detector_begins_as_the_narrow_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    narrow = build("thundernet-snet146", num_classes=2).eval()
    wear_norms(narrow)
    save_weights(narrow, tmp_path / "w.safetensors")
    put_fitting(narrow, load_file(tmp_path / "w.safetensors"))  # rounded as in the file
    wide = build("thundernet-snet535", num_classes=2).eval()
    line = _begun(small_data.DETECT, "thundernet-snet535", wide, tmp_path / "w.safetensors")
    stored = load_file(tmp_path / "w.safetensors")
    # All of the backbone, and CEM's three weights, whose biases fit as they are.
    wider = sum(name.startswith("backbone.") for name in stored) + 3
    assert line.endswith(f": {len(stored)} tensors, {wider} of them widened")
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        for before, after in zip(narrow.features(images), wide.features(images), strict=True):
            torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


def test_what_the_wide_net_has_nothing_for_is_told(tmp_path: Path) -> None:
    narrow = build("thundernet-snet49", num_classes=2)
    save_weights(narrow, tmp_path / "w.safetensors")
    wide = build("thundernet-snet146", num_classes=2)
    before = wide.context.c5.weight.clone()
    line = _begun(small_data.DETECT, "thundernet-snet146", wide, tmp_path / "w.safetensors")
    assert line.endswith("not used: 7 of backbone, context")  # conv5, and what stands on it
    assert torch.equal(wide.context.c5.weight, before)


def test_a_wide_backbone_s_weights_do_not_go_into_a_narrow_one(tmp_path: Path) -> None:
    save_weights(build("snet146", num_classes=2), tmp_path / "w.safetensors")
    narrow = build("snet49", num_classes=2)
    line = _begun(small_data.CLASSIFY, "snet49", narrow, tmp_path / "w.safetensors")
    assert "widened" not in line


def test_a_shufflenet_s_last_convolution_has_no_room_in_an_snet(tmp_path: Path) -> None:
    save_weights(build("shufflenetv2-0.5", num_classes=2), tmp_path / "w.safetensors")
    line = _begun(
        small_data.CLASSIFY, "snet49", build("snet49", num_classes=2), tmp_path / "w.safetensors"
    )
    assert "275 of them widened" in line
    assert line.endswith("not used: 7 of backbone, fc")  # 5 of conv5, 2 of the classifier


def test_what_only_looks_like_a_shufflenet_is_not_widened(tmp_path: Path) -> None:
    net = build("shufflenetv2-0.5", num_classes=2, star=True)  # one convolution more in each unit
    save_weights(net, tmp_path / "w.safetensors")
    line = _begun(
        small_data.CLASSIFY, "snet146", build("snet146", num_classes=2), tmp_path / "w.safetensors"
    )
    assert "widened" not in line
