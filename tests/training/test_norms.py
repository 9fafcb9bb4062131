"""Norms are measured before training, so that it begins from what the weights compute."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from livevision.errors import UsageError
from livevision.nets import build
from livevision.training import train_recipe
from livevision.training.norms import folded_norms, measure_norms
from tests.training import small_data


def folded() -> nn.Sequential:
    """Convolutions with norms that only add a bias, as files for use have them, and a plain one."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2)
    )
    nn.init.normal_(net[1].bias)
    nn.init.normal_(net[4].bias)
    return net.eval()


def images() -> Tensor:
    return torch.randn(6, 3, 12, 12, generator=torch.Generator().manual_seed(1)) * 3 + 2


@torch.no_grad()
def test_measured_norms_change_nothing_in_use_and_little_in_training() -> None:
    net, x = folded(), images()
    before = net(x)
    astray = folded().train()(x)

    assert measure_norms(net, ["1", "4"], lambda: net(x)) == 2

    assert not net.training
    torch.testing.assert_close(net(x), before, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(net.train()(x), before, rtol=1e-4, atol=1e-4)
    assert (astray - before).abs().max() > 1


@torch.no_grad()
def test_only_norms_so_named_are_measured_over_all_that_is_run() -> None:
    net, x = folded(), images()
    plain = {k: v.clone() for k, v in net[4].state_dict().items()}

    def run() -> None:
        net(x[:2])
        net(x[2:])

    measure_norms(net, ["1"], run)
    torch.testing.assert_close(net[1].running_mean, net[0](x).mean((0, 2, 3)))
    torch.testing.assert_close(net[1].running_var, net[0](x).var((0, 2, 3), unbiased=False))
    assert all(torch.equal(value, plain[name]) for name, value in net[4].state_dict().items())


@torch.no_grad()
def test_a_channel_that_never_varies_stays_finite() -> None:
    net = nn.Sequential(nn.BatchNorm2d(1)).eval()
    x = torch.full((2, 1, 3, 3), 5.0)
    measure_norms(net, [""], lambda: net(x))
    torch.testing.assert_close(net(x), x, rtol=1e-4, atol=1e-4)
    assert net.train()(x).isfinite().all()


@pytest.mark.parametrize("kind", [small_data.SEGMENT, small_data.DETECT, small_data.CLASSIFY])
def test_a_run_measures_the_norms_that_its_recipe_names(
    kind: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = small_data.all_kinds(tmp_path / "data")
    net = build(str(kind["net"]), num_classes=3)
    first = next(n for n, m in net.named_modules() if isinstance(m, nn.BatchNorm2d))
    weights = {k: v.clone() for k, v in net.state_dict().items() if v.is_floating_point()}
    save_file(weights, tmp_path / "w.safetensors")
    recipe = small_data.recipe(
        kind, initial_weights=str(tmp_path / "w.safetensors"), measure_norms=[first],
        learning_rate=1e-9,
    )  # fmt: skip

    train_recipe(recipe, data, tmp_path / "run")

    assert "measured 1 norms on 12 batches" in capsys.readouterr().err
    after = load_file(tmp_path / "run" / "best.safetensors")
    # Scale and shift did not learn at such a rate: they are what undoes the statistics.
    scale = after[f"{first}.weight"].float() / after[f"{first}.running_var"].float().sqrt()
    torch.testing.assert_close(scale, torch.ones_like(scale), rtol=0.3, atol=0)
    assert not torch.equal(after[f"{first}.weight"].float(), weights[f"{first}.weight"])


def test_folded_norms_that_would_be_trained_are_told() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), *(nn.BatchNorm2d(4) for _ in range(5)))
    assert not folded_norms(net), "norms that are new only look folded"
    for norm in net[1:]:
        nn.init.normal_(norm.bias)
        norm.running_var -= 1e-5
    net[2].running_mean += 0.1
    net[3].running_var *= 2
    net[4].weight.requires_grad_(False)
    net[5].weight.data *= 3
    assert folded_norms(net) == ["1", "5"]


@pytest.mark.parametrize("measured", [True, False])
def test_a_run_tells_of_folded_norms(
    measured: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = build("bisenet-xception39", num_classes=3)
    first = next(n for n, m in net.named_modules() if isinstance(m, nn.BatchNorm2d))
    weights = {k: v.clone() for k, v in net.state_dict().items() if v.is_floating_point()}
    weights[f"{first}.bias"] += 0.5
    save_file(weights, tmp_path / "w.safetensors")
    recipe = small_data.recipe(
        small_data.SEGMENT,
        initial_weights=str(tmp_path / "w.safetensors"),
        measure_norms=[first] if measured else [],
    )
    train_recipe(recipe, small_data.all_kinds(tmp_path / "data"), tmp_path / "run")
    told = f"1 norms that will be trained are folded into their convolutions ({first}, …)"
    assert (told in capsys.readouterr().err) is not measured


def test_a_name_that_no_norm_has_is_told(tmp_path: Path) -> None:
    data = small_data.all_kinds(tmp_path / "data")
    recipe = small_data.recipe(small_data.SEGMENT, measure_norms=["backbones."])
    with pytest.raises(UsageError, match="no norm of bisenet-xception39 begins with backbones"):
        train_recipe(recipe, data, tmp_path / "run")
