"""The training loop: one for every task."""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from livevision.nets import build
from livevision.training.precision import keep_depthwise_in_float32
from livevision.training.processes import average_gradients, join
from livevision.training.recipe import Recipe
from livevision.training.weights import AveragedNet, load_fitting, save_weights


class Job(Protocol):
    """What the loop needs of a task."""

    def batch(self, step: int) -> Any:
        """The batch of a step, always the same for the same step."""

    def compiled(self, net: nn.Module) -> nn.Module:
        """The net, with what this task's loss calls of it compiled."""

    def loss(self, net: nn.Module, batch: Any) -> dict[str, Tensor]:
        """The parts of the loss, which are added up."""

    def evaluate(self, net: nn.Module) -> dict[str, float]:
        """Scores on the validation split; the one named "score" chooses the best weights."""


def train(recipe: Recipe, job: Job, out: Path, resume: bool = False) -> dict[str, float]:
    """Train a net as a recipe says.

    Leaves in `out`: `last.pt` to resume from, `best.safetensors` with the averaged weights of the
    best evaluation, ready to ship (without auxiliary heads), `log.jsonl` with a line for every
    evaluation.

    Returns:
        The scores of the best evaluation.
    """
    out.mkdir(parents=True, exist_ok=True)
    rank, processes = join()
    torch.manual_seed(recipe.seed)
    net = build(recipe.net, **recipe.net_options).to(memory_format=torch.channels_last)
    if recipe.initial_weights and not resume:
        unused = load_fitting(net, Path(recipe.initial_weights))
        report(f"began from {recipe.initial_weights}; not used of it: {unused}")
    average = AveragedNet(net, recipe.ema_decay)
    if recipe.bf16:
        keep_depthwise_in_float32(net)
    optimizer = make_optimizer(recipe, net)
    first_step, best = 0, {"score": -1.0}
    if resume:
        state = torch.load(out / "last.pt", weights_only=True)
        net.load_state_dict(state["net"])
        average.net.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        first_step, best = state["step"], state["best"]

    step_net = job.compiled(net) if recipe.compile else net
    begin = time.perf_counter()
    for step in range(first_step, recipe.steps):
        rate = recipe.learning_rate * rate_factor(recipe, step)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["rate"]

        net.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
            parts = job.loss(step_net, job.batch(step * processes + rank))
        loss = torch.stack(list(parts.values())).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(net, processes)
        if recipe.clip_norm:
            nn.utils.clip_grad_norm_(net.parameters(), recipe.clip_norm)
        optimizer.step()
        if rank != 0:
            continue  # the first process watches, evaluates and saves for all

        average.update(net, step)
        minutes = (time.perf_counter() - begin) / 60
        if step % 20 == 0 or step == first_step + 3:
            shown = " ".join(f"{k} {v.item():.3f}" for k, v in parts.items())
            speed = (step + 1 - first_step) * recipe.batch_size * processes / minutes / 60
            report(f"step {step} {shown} rate {rate:.2g} {minutes:.1f} min {speed:.1f} images/s")
        if (step + 1) % recipe.evaluate_every == 0 or step + 1 == recipe.steps:
            scores = job.evaluate(average.net)
            report(f"step {step} " + " ".join(f"{k} {v:.3f}" for k, v in scores.items()))
            if scores["score"] > best["score"]:
                best = scores | {"step": step + 1}
                save_weights(average.net, out / "best.safetensors", drop=("aux_heads.",))
            save_state(out / "last.pt", net, average.net, optimizer, step + 1, best)
            with (out / "log.jsonl").open("a") as log:
                log.write(json.dumps(scores | {"step": step + 1, "minutes": minutes}) + "\n")
            (out / "recipe.json").write_text(json.dumps(asdict(recipe), indent=1))
    return best


def make_optimizer(recipe: Recipe, net: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimiser; weight decay spares norms and biases.

    Raises:
        ValueError: the recipe names another optimiser than sgd and adamw.
    """
    parameters = list(net.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "rate": 1.0},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0, "rate": 1.0},
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=0.1, momentum=0.9, weight_decay=recipe.weight_decay)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
    raise ValueError(f"optimizer {recipe.optimizer!r} is not one of: sgd, adamw")


def rate_factor(recipe: Recipe, step: int) -> float:
    """The learning rate at a step as a share of its largest value.

    Raises:
        ValueError: the recipe names another schedule than poly and cosine.
    """
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    if recipe.schedule == "poly":
        return float((1 - done) ** 0.9)
    if recipe.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    raise ValueError(f"schedule {recipe.schedule!r} is not one of: poly, cosine")


def save_state(
    path: Path,
    net: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    best: dict[str, float],
) -> None:
    """Write what a resumed run needs; an interruption leaves the old file whole."""
    state = {
        "net": net.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "best": best,
    }
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def report(line: str) -> None:
    """One line of progress, on stderr."""
    print(line, file=sys.stderr, flush=True)
