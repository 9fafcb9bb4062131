"""A training run's settings, read from YAML."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Recipe:
    """What a training run does. Every field can be set with `--set name=value`.

    Attributes:
        task: "segment", "detect" or "classify".
        net: a name that `livevision.nets.build` knows.
        net_options: passed to `build`.
        task_options: what only this task reads: data folders, crop size, augmentation, losses.
        steps: optimiser steps.
        batch_size: images a step and process.
        optimizer: "sgd" (momentum 0.9) or "adamw".
        learning_rate: the largest one.
        schedule: after the warm-up "poly" (power 0.9 to zero) or "cosine" (to zero).
        warmup_steps: steps over which the rate grows linearly.
        weight_decay: applied to tensors of two or more dimensions only.
        clip_norm: largest norm of the gradient; 0 leaves it as it is.
        ema_decay: decay of the averaged weights, which are the ones evaluated and shipped.
        evaluate_every: steps between evaluations; the last step is always evaluated.
        initial_weights: a safetensors file to begin from; tensors that fit by name and shape.
        seed: of the weights and of every batch.
        compile: use torch.compile.
        bf16: compute the net in bfloat16 where autocast does.
    """

    task: str
    net: str
    net_options: dict[str, Any] = field(default_factory=dict)
    task_options: dict[str, Any] = field(default_factory=dict)
    steps: int = 1000
    batch_size: int = 16
    optimizer: str = "sgd"
    learning_rate: float = 0.01
    schedule: str = "poly"
    warmup_steps: int = 100
    weight_decay: float = 5e-4
    clip_norm: float = 0.0
    ema_decay: float = 0.998
    evaluate_every: int = 500
    initial_weights: str = ""
    seed: int = 0
    compile: bool = True
    bf16: bool = False


def read_recipe(path: Path, settings: list[str] | None = None) -> Recipe:
    """Read a recipe and apply `name=value` settings; a dot reaches into the option groups.

    Raises:
        ValueError: a name is unknown or a setting has no "=".
    """
    values: dict[str, Any] = yaml.safe_load(path.read_text())
    for setting in settings or []:
        name, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"--set takes name=value, got {setting!r}")
        target = values
        *groups, last = name.split(".")
        for group in groups:
            target = target.setdefault(group, {})
        target[last] = yaml.safe_load(text)
    return recipe_from(values)


def recipe_from(values: dict[str, Any]) -> Recipe:
    """Make a recipe of a mapping, telling which names it may hold."""
    known = {f.name: f.type for f in fields(Recipe)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"unknown recipe settings {unknown}; the settings are: {sorted(known)}")
    # YAML reads 1e-4 (no point) as a string: every number field is converted.
    numbers = {"int": int, "float": float}
    return Recipe(
        **{k: numbers[str(known[k])](v) if known[k] in numbers else v for k, v in values.items()}
    )
