"""Optimisers with the papers' exclusions, and learning-rate schedules."""

from __future__ import annotations

import math
from collections import defaultdict

import torch
from torch import nn

from livevision.errors import UsageError
from livevision.training.recipe import Recipe


def make_optimizer(recipe: Recipe, net: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimiser for the trainable weights.

    Each parameter group has its learning-rate factor as "factor", used by `set_rate`.

    Raises:
        UsageError: no weight has a prefix in the recipe's `rates` or `freeze`, or all are frozen.
    """
    for prefix in (*recipe.rates, *recipe.freeze):
        if not any(name.startswith(prefix) for name, _ in net.named_parameters()):
            parts = sorted({name.split(".")[0] for name, _ in net.named_parameters()})
            raise UsageError(
                f"no weight of {recipe.net} begins with {prefix!r}; its parts: {', '.join(parts)}"
            )
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in net.named_parameters():
        if name.startswith(tuple(recipe.freeze)):
            parameter.requires_grad_(False)
        if parameter.requires_grad:
            decays = recipe.decay_all or parameter.ndim > 1
            decay = recipe.weight_decay if decays else 0.0
            groups[_factor(recipe, name), decay].append(parameter)
    if not groups:
        raise UsageError(f"freeze: {', '.join(recipe.freeze)} leaves no weight of {recipe.net}")
    settings = [
        {"params": parameters, "factor": factor, "weight_decay": decay}
        for (factor, decay), parameters in groups.items()
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(settings, lr=recipe.learning_rate, momentum=0.9)
    return torch.optim.AdamW(settings, lr=recipe.learning_rate)


def _factor(recipe: Recipe, name: str) -> float:
    """The learning-rate factor of a weight."""
    fitting = [prefix for prefix in recipe.rates if name.startswith(prefix)]
    return recipe.rates[max(fitting, key=len)] if fitting else 1.0


def set_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, step: int) -> float:
    """Set the learning rate of a step; returns it, without the groups' factors."""
    rate = recipe.learning_rate * rate_factor(recipe, step)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    return rate


def rate_factor(recipe: Recipe, step: int) -> float:
    """The learning rate at a step as a share of its maximum."""
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    if recipe.schedule == "step":
        return float(0.1 ** sum(step >= share * recipe.steps for share in recipe.milestones))
    done = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    if recipe.schedule == "poly":
        return float((1 - done) ** 0.9)
    return 0.5 * (1 + math.cos(math.pi * done))
