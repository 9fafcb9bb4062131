"""Detectors on SNets that begin with the backbones of other detectors, made-up weights in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from livevision.checkpoints.importing import import_checkpoint
from livevision.errors import UsageError
from livevision.models import catalog
from livevision.nets import IMAGE_MEAN, IMAGE_STD, build
from livevision.nets.shufflenetv2 import Unit
from livevision.training.norms import measure_norms
from livevision.training.starting import build_net, start_from
from livevision.training.weights import save_weights
from tests.checkpoints import classifiers
from tests.checkpoints.standins import Standin
from tests.training import small_data

MEAN, STD = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGE_MEAN, IMAGE_STD))


def _pictures() -> Tensor:
    """Two pictures, red first, 0 to 1."""
    return torch.rand(2, 3, 96, 128, generator=torch.Generator().manual_seed(1))


def _written(standin: Standin, folder: Path) -> str:
    """The file that `livevision import` makes of a checkpoint."""
    torch.save(standin.tensors, folder / "theirs.pth")
    return str(import_checkpoint(folder / "theirs.pth", "a", folder / "a.safetensors").weights)


def _begun(net: str, weights: str, **options: Any) -> tuple[Any, str]:
    """A net that began with weights, and the line that tells."""
    recipe = small_data.recipe(
        small_data.DETECT, net=net, initial_weights=weights, net_options=options
    )
    torch.manual_seed(0)
    started = build_net(recipe, 1).eval()
    (line,) = start_from(recipe, started)
    return started, line


def _same_channels(ours: Tensor, theirs: Tensor) -> None:
    """That every channel of theirs is one of ours, to 1e-5 of the largest number."""
    assert theirs.std() > 0.05 * theirs.abs().max()
    few, many = theirs.transpose(0, 1).flatten(1), ours.transpose(0, 1).flatten(1)
    distance = (few[:, None] - many[None]).abs().amax(2)
    assert distance.amin(1).max() <= 1e-5 * theirs.abs().max()
    alive = few.std(1) > 0  # a channel that is always zero may be any such
    assert len(set(distance.argmin(1)[alive].tolist())) == alive.sum() > 0.8 * len(few)


@pytest.mark.parametrize("net", ["thundernet-snet49", "thundernet-snet146", "thundernet-snet535"])
@torch.no_grad()
def test_fastestdet_s_backbone_computes_the_same_in_an_snet(net: str, tmp_path: Path) -> None:
    pictures, standin = _pictures(), Standin()
    grey = MEAN.flip(1).expand(1, 3, 1, 1)
    c4, c5 = classifiers.fastestdet_backbone(standin, pictures.flip(1), grey)
    assert len(standin.tensors) == 275 + 55  # the real file's, and counts of batches

    begun, line = _begun(net, _written(standin, tmp_path), downsample_style="megvii")

    assert line.endswith("275 tensors, 275 of them widened")
    ours = begun.backbone((pictures - MEAN) / STD)
    _same_channels(ours[0], c4)
    if net != "thundernet-snet49":  # which ends with a convolution of its own
        _same_channels(ours[1], c5)


@pytest.mark.parametrize(
    ("net", "width"),
    [("thundernet-snet49", 0.5), ("thundernet-snet146", 1.0), ("thundernet-snet535", 1.0)],
)
@torch.no_grad()
def test_nanodet_s_backbone_computes_the_same_in_an_snet(
    net: str, width: float, tmp_path: Path
) -> None:
    pictures, standin = _pictures(), Standin()
    pixels = (pictures - MEAN) / STD
    c4, c5 = classifiers.nanodet_backbone(standin, pixels.flip(1), width)
    assert len(standin.tensors) == 110  # as in the real file

    begun, line = _begun(net, _written(standin, tmp_path), activation="leaky_relu")

    assert line.endswith("275 tensors, 275 of them widened")
    _same_channels(begun.backbone(pixels)[0], c4)
    # And after its norms are unfolded, measured on these pictures.
    assert measure_norms(begun, ["backbone."], lambda: begun.backbone(pixels)) > 50
    ours = begun.backbone(pixels)
    _same_channels(ours[0], c4)
    if net != "thundernet-snet49":
        _same_channels(ours[1], c5)


@torch.no_grad()
def test_a_shufflenet_s_maps_are_those_of_the_imported_backbone(tmp_path: Path) -> None:
    pictures, standin = _pictures(), Standin()
    pixels = (pictures - MEAN) / STD
    c4, c5 = classifiers.nanodet_backbone(standin, pixels.flip(1))
    weights = _written(standin, tmp_path)
    begun, line = _begun("thundernet-shufflenetv2", weights, activation="leaky_relu")
    assert line.endswith("275 tensors")
    for ours, theirs in zip(begun.backbone(pixels), (c4, c5), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=float(1e-5 * theirs.abs().max()))


@torch.no_grad()
def test_kernels_grow_at_the_same_width(tmp_path: Path) -> None:
    small = build("snet146", num_classes=3, kernel_size=3).eval()
    save_weights(small, tmp_path / "w.safetensors")
    small.load_state_dict(load_file(tmp_path / "w.safetensors"), strict=False)
    begun, line = _begun("thundernet-snet146", str(tmp_path / "w.safetensors"))
    assert ", 19 of them widened" in line  # a kernel in each of 16 right and 3 left branches
    pixels = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    for ours, theirs in zip(begun.backbone(pixels), small.backbone(pixels), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_units_of_another_style_are_refused(tmp_path: Path) -> None:
    standin = Standin()
    with torch.no_grad():
        classifiers.fastestdet_backbone(standin, torch.zeros(1, 3, 64, 64))
    weights = _written(standin, tmp_path)
    with pytest.raises(UsageError, match=r"net_options: \{downsample_style: megvii\}"):
        _begun("thundernet-snet49", weights)


def test_another_activation_is_told(tmp_path: Path) -> None:
    standin = Standin()
    with torch.no_grad():
        classifiers.nanodet_backbone(standin, torch.zeros(1, 3, 64, 64))
    weights = _written(standin, tmp_path)
    _, line = _begun("thundernet-snet146", weights)
    assert "net_options: {activation: leaky_relu} keeps what it computes" in line
    _, line = _begun("thundernet-snet146", weights, activation="leaky_relu")
    assert "keeps what it computes" not in line


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of that of the shipped models, with one of them."""
    folder = tmp_path / "weights"
    net = build("thundernet-snet49", num_classes=3, downsample_style="megvii")
    save_weights(net, folder / "thundernet-snet49.safetensors")
    card = "name: thundernet-snet49\ntask: detect\nnet: thundernet-snet49\n"
    card += "net_options: {downsample_style: megvii}\n"
    card += "input_size: [320, 320]\nlabels: [a, b, c]"
    (folder / "thundernet-snet49.md").write_text(f"---\n{card}\n---\n")
    monkeypatch.setattr(catalog, "weights_folder", lambda: folder)
    return folder


def test_a_shipped_model_is_named(shipped: Path) -> None:
    begun, line = _begun("thundernet-snet49", "thundernet-snet49")
    stored = load_file(shipped / "thundernet-snet49.safetensors")
    assert line.startswith(f"began from {shipped / 'thundernet-snet49.safetensors'}: ")
    name = "backbone.stem.0.0.weight"
    torch.testing.assert_close(begun.state_dict()[name], stored[name].float())
    units = [module for module in begun.modules() if isinstance(module, Unit)]
    assert units
    assert not any(unit.shuffles_last for unit in units)  # as the card says
    with pytest.raises(UsageError, match="downsample_style megvii, and"):
        _begun("thundernet-snet49", "thundernet-snet49", downsample_style="torchvision")


def test_a_file_goes_before_a_shipped_model(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("thundernet-snet49").write_bytes((shipped / "thundernet-snet49.safetensors").read_bytes())
    _, line = _begun("thundernet-snet49", "thundernet-snet49")
    assert line.startswith("began from thundernet-snet49: ")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("thundernet-snet94", "Did you mean 'thundernet-snet49'"),
        ("mine/best.safetensors", "'mine/best.safetensors' is not a file; train or import"),
        ("best.safetensors", "'best.safetensors' is not a file; train or import"),
    ],
)
def test_nothing_to_begin_from(shipped: Path, given: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        _begun("thundernet-snet49", given)


def test_a_shipped_model_without_weights_to_train_from(shipped: Path) -> None:
    (shipped / "thundernet-snet49.safetensors").unlink()
    with pytest.raises(UsageError, match=r"no thundernet-snet49\.safetensors"):
        _begun("thundernet-snet49", "thundernet-snet49")


@pytest.mark.parametrize("name", ["snet49", "snet146", "shufflenetv2-1.0"])
def test_the_activation_is_an_option(name: str) -> None:
    def kinds(**options: Any) -> set[type[nn.Module]]:
        net = build(name, num_classes=2, **options)
        found = {type(m) for m in net.modules() if "ReLU" in type(m).__name__}
        slopes = {m.negative_slope for m in net.modules() if isinstance(m, nn.LeakyReLU)}
        assert slopes <= {0.1}
        return found

    assert kinds() == {nn.ReLU}
    assert kinds(activation="leaky_relu") == {nn.LeakyReLU}
    with pytest.raises(ValueError, match=r"'elu' is not one of \('relu', 'leaky_relu'\)"):
        kinds(activation="elu")
