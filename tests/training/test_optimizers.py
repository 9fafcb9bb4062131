"""Which weights decay and how fast they learn, and learning rates over time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from livevision.errors import UsageError
from livevision.training.optimizers import make_optimizer, rate_factor, set_rate
from livevision.training.recipe import Recipe
from tests.training import small_data


def recipe(**changes: Any) -> Recipe:
    return small_data.recipe(small_data.CLASSIFY, **{"steps": 100, "warmup_steps": 10, **changes})


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
        self.head = nn.Linear(2, 2)


@pytest.mark.parametrize("schedule", ["poly", "cosine"])
def test_the_rate_warms_up_and_falls_to_zero(schedule: str) -> None:
    rates = [rate_factor(recipe(schedule=schedule), step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == 1
    assert rates[100] == pytest.approx(0)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_the_rate_falls_in_steps() -> None:
    steps = recipe(schedule="step", milestones=[0.5, 0.75])
    assert [rate_factor(steps, s) for s in (10, 49, 50, 74, 75, 99)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01]
    )


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_norms_and_biases_do_not_decay_and_parts_learn_at_their_rates(optimizer: str) -> None:
    net, settings = Net(), recipe(
        optimizer=optimizer, weight_decay=0.5, rates={"backbone.": 0.3, "backbone.1.": 2.0},
        schedule="step", warmup_steps=0, learning_rate=0.1,
    )  # fmt: skip
    chosen = make_optimizer(settings, net)
    assert set_rate(chosen, settings, 60) == pytest.approx(0.01)
    found = {id(p): (g["lr"], g["weight_decay"]) for g in chosen.param_groups for p in g["params"]}
    by_name = {name: found[id(p)] for name, p in net.named_parameters()}
    assert by_name["backbone.0.weight"] == pytest.approx((0.003, 0.5))
    assert by_name["backbone.0.bias"] == pytest.approx((0.003, 0))
    assert by_name["backbone.1.weight"] == pytest.approx((0.02, 0))
    assert by_name["head.weight"] == pytest.approx((0.01, 0.5))
    assert by_name["head.bias"] == pytest.approx((0.01, 0))
    if optimizer == "sgd":
        assert not any(g["nesterov"] for g in chosen.param_groups)


def test_what_is_frozen_does_not_learn() -> None:
    net = Net()
    optimizer = make_optimizer(recipe(freeze=["backbone.0"], weight_decay=0.1), net)
    learning = {id(p) for g in optimizer.param_groups for p in g["params"]}
    assert not net.backbone[0].weight.requires_grad
    assert id(net.backbone[0].weight) not in learning
    assert id(net.backbone[1].weight) in learning


def test_a_net_that_is_frozen_as_a_whole_is_told() -> None:
    with pytest.raises(UsageError, match="freeze: backbone, head leaves no weight of"):
        make_optimizer(recipe(freeze=["backbone", "head"]), Net())


def test_decay_of_all_weights_on_request() -> None:
    optimizer = make_optimizer(recipe(decay_all=True, weight_decay=0.1), Net())
    assert {g["weight_decay"] for g in optimizer.param_groups} == {0.1}
    assert isinstance(optimizer, torch.optim.AdamW)
