"""The training loop learns, stops and goes on, on a tiny problem."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from livevision.nets import build
from livevision.training.loop import rate_factor, train
from livevision.training.recipe import Recipe, read_recipe, recipe_from
from livevision.training.weights import AveragedNet, load_fitting, save_weights

RECIPE = Recipe(
    task="classify", net="snet49", net_options={"num_classes": 2}, steps=4, batch_size=4,
    warmup_steps=1, evaluate_every=2, compile=False,
)  # fmt: skip


class BrightOrDark:
    """Tells bright images from dark ones."""

    def batch(self, step: int) -> Any:
        random = torch.Generator().manual_seed(step)
        labels = torch.arange(4) % 2
        images = torch.randn(4, 3, 64, 64, generator=random) + labels.view(4, 1, 1, 1)
        return images, labels

    def compiled(self, net: nn.Module) -> nn.Module:
        return net

    def loss(self, net: nn.Module, batch: Any) -> dict[str, Tensor]:
        images, labels = batch
        return {"main": F.cross_entropy(net(images), labels)}

    def evaluate(self, net: nn.Module) -> dict[str, float]:
        return {"score": 0.5}


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path: Path) -> None:
    train(RECIPE, BrightOrDark(), tmp_path / "whole")

    class Interrupted(BrightOrDark):
        def batch(self, step: int) -> Any:
            if step == 3:
                raise KeyboardInterrupt
            return super().batch(step)

    with pytest.raises(KeyboardInterrupt):
        train(RECIPE, Interrupted(), tmp_path / "halves")
    train(RECIPE, BrightOrDark(), tmp_path / "halves", resume=True)

    whole, halves = (
        torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "halves")
    )
    assert whole["step"] == halves["step"] == 4
    for part in ("net", "average"):
        for name, tensor in whole[part].items():
            torch.testing.assert_close(halves[part][name], tensor, msg=f"{part} {name}")


def test_the_recipe_file_takes_settings_and_refuses_unknown_ones(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("task: segment\nnet: bisenet-xception39\nlearning_rate: 1e-3\n")
    recipe = read_recipe(path, ["steps=7", "task_options.crop=[32, 64]"])
    assert (recipe.steps, recipe.learning_rate) == (7, 0.001)
    assert recipe.task_options == {"crop": [32, 64]}
    with pytest.raises(ValueError, match="stepps"):
        read_recipe(path, ["stepps=7"])
    with pytest.raises(ValueError, match="name=value"):
        read_recipe(path, ["steps"])


@pytest.mark.parametrize("schedule", ["poly", "cosine"])
def test_the_rate_warms_up_and_falls_to_zero(schedule: str) -> None:
    recipe = recipe_from(
        {"task": "", "net": "", "steps": 100, "warmup_steps": 10, "schedule": schedule}
    )
    rates = [rate_factor(recipe, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == 1
    assert rates[100] == pytest.approx(0)
    assert rates[10:] == sorted(rates[10:], reverse=True)


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
    assert load_fitting(detector, tmp_path / "w.safetensors") == []
    weight = "backbone.stem.0.0.weight"
    torch.testing.assert_close(detector.state_dict()[weight].half(), stored[weight])


def test_weights_beyond_half_precision_are_refused(tmp_path: Path) -> None:
    net = build("snet49", num_classes=2)
    net.fc.weight.data[0, 0] = 1e6
    with pytest.raises(ValueError, match=r"fc\.weight"):
        save_weights(net, tmp_path / "w.safetensors")
