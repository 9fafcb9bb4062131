"""The training loop: one for every task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from livevision.errors import LivevisionError, UsageError
from livevision.training.ahead import batches_ahead
from livevision.training.batches import batch_number, seed_step
from livevision.training.meter import Meter
from livevision.training.norms import enter_training, measure_norms, prepare_norms
from livevision.training.optimizers import make_optimizer, set_rate
from livevision.training.outputs import RunFolder
from livevision.training.precision import autocast, keep_slow_depthwise_in_float32
from livevision.training.processes import Group
from livevision.training.progress import Progress
from livevision.training.recipe import Recipe
from livevision.training.scores import Scores
from livevision.training.shipping import ship
from livevision.training.starting import build_net, start_from
from livevision.training.state import load_state, save_state
from livevision.training.stopping import BrokenOff, stop_asked
from livevision.training.threads import Threads
from livevision.training.weights import AveragedNet

_MEASURED_BATCHES = 12


class Job(Protocol):
    """What the loop needs of a task."""

    labels: list[str]

    def about(self) -> list[str]:
        """Lines that say what is trained on; pictures are read to memory now."""

    def pictures_per_epoch(self) -> int:
        """How many pictures an epoch looks at, those that come repeatedly counted so."""

    def batch(self, step: int) -> Any:
        """This process's batch of a step, always the same for the same step."""

    def compiled(self, net: nn.Module) -> nn.Module:
        """The net, with what this task's loss calls of it compiled."""

    def loss(self, net: nn.Module, batch: Any) -> dict[str, Tensor]:
        """The parts of the loss, which are added up."""

    def evaluate(self, net: nn.Module) -> Scores:
        """Scores on the validation split."""

    def draw(self, net: nn.Module, folder: Path) -> None:
        """Draw the net's answers on pictures of the validation split."""


def train(
    recipe: Recipe,
    job: Job,
    out: Path,
    group: Group,
    resume: bool = False,
    remarks: Sequence[str] = (),
) -> dict[str, float]:
    """Train a net as a recipe says; see `livevision.training.train_recipe`.

    Returns:
        The figures of the best evaluation, and its "step".

    Raises:
        KeyboardInterrupt, SystemExit: Ctrl-C or SIGTERM ended the run; `last.pt` was written.
        LivevisionError: the recipe does not fit, or the loss is not a number any more.
    """
    given, recipe = recipe, recipe.over(job.pictures_per_epoch(), group.count)
    torch.manual_seed(recipe.seed)
    net = build_net(recipe, len(job.labels))
    told = [*remarks, *([] if resume else start_from(recipe, net))]
    net = net.to(group.device, memory_format=torch.channels_last)
    if recipe.measure_norms and not resume:
        told.append(_measure(recipe, job, net))
    average = AveragedNet(net, recipe.ema_decay)
    prepare_norms(net, recipe.norm)
    if group.device.type == "cpu" and recipe.precision != "fp32":
        keep_slow_depthwise_in_float32(net)
    optimizer = make_optimizer(recipe, net)
    scaler = torch.amp.GradScaler(group.device.type, enabled=recipe.precision == "fp16")

    first_step, seconds, best, best_value, unevaluated = 0, 0.0, {}, -math.inf, False
    if resume:
        state = load_state(out / "last.pt", given, group.count)
        net.load_state_dict(state["net"])
        average.net.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        scaler.load_state_dict(state["scaler"])
        first_step, seconds, unevaluated = state["step"], state["seconds"], state["unevaluated"]
        best, best_value = state["best"], state["best_value"]
    elif (out / "last.pt").exists():
        raise UsageError(f"{str(out)!r} holds a run already: --resume it, or take another --out")
    if first_step >= recipe.steps and not unevaluated:
        Progress(recipe.name, 0, 0, group.leads).say(f"{out}: finished, all {first_step} steps")
        return best if group.leads else {}

    # The first process watches, evaluates and saves for all.
    folder = RunFolder(out, given, job.labels, first_step) if group.leads else None
    progress = Progress(recipe.name, first_step, recipe.steps, group.leads)
    threads = Threads(group.count) if group.device.type == "cpu" else None
    if threads is not None and (line := threads.begin()):
        told.append(line)
    for line in (*told, *job.about()):
        progress.say(line)
    step_net = job.compiled(net) if recipe.compile else net
    meter = Meter(seconds, group, recipe)

    def save(step: int, unevaluated: bool) -> None:
        """Write the checkpoint after so many steps, unless the weights have broken."""
        if not all(bool(p.isfinite().all()) for p in net.parameters()):
            raise LivevisionError(_broken(step, out, recipe))
        parts = {"net": net, "average": average.net, "optimizer": optimizer, "scaler": scaler}
        state = {name: part.state_dict() for name, part in parts.items()}
        state |= {"step": step, "seconds": meter.seconds, "unevaluated": unevaluated}
        state |= {"best": best, "best_value": best_value}
        state |= {"recipe": given.model_dump(mode="json"), "processes": group.count}
        save_state(out / "last.pt", state)
        meter.saved()

    def evaluate(step: int) -> bool:
        """Score the averaged weights and ship them if they are the best; False if broken off."""
        nonlocal best, best_value
        try:
            with stop.at_once():
                scores = job.evaluate(average.net)
        except BrokenOff:
            return False
        folder.record({"step": step, **scores.row(job.labels)})
        progress.say(_line(step, scores))
        if scores.value > best_value:
            best, best_value = {**scores.figures, "step": step}, scores.value
            path, hours = out / "best.safetensors", meter.seconds / 3600
            ship(path, average.net, recipe, job.labels, scores, step, hours, group)
            job.draw(average.net, out / "samples")
        folder.plot(scores, last=step == recipe.steps)
        return True

    with stop_asked() as stop, batches_ahead(job.batch, recipe.steps, recipe.workers) as batch_of:
        if folder is not None and unevaluated:
            unevaluated = not evaluate(first_step)
            save(first_step, unevaluated)
            if unevaluated:
                stop.end_run()

        for step in range(first_step, recipe.steps):
            rate = set_rate(optimizer, recipe, step)
            enter_training(net)
            batch = batch_of(step)
            seed_step(recipe.seed, batch_number(step, group))
            with autocast(recipe.precision, group.device):
                parts = job.loss(step_net, batch)
            loss = torch.stack(list(parts.values())).sum()
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            stopping = group.share(net, bool(stop))
            scaler.unscale_(optimizer)
            norm = nn.utils.clip_grad_norm_(net.parameters(), recipe.clip_norm or math.inf)
            scaler.step(optimizer)
            scaler.update()

            done = step + 1
            meter.add(step, parts, loss)
            if folder is not None:
                average.update(net, step)
                due = done == recipe.steps or done % recipe.evaluate_every == 0
                if due or stopping or done % recipe.log_every == 0 or step == first_step:
                    if meter.bad_step is not None:
                        raise LivevisionError(_broken(meter.bad_step, out, recipe))
                    row = {"step": done, "rate": rate, "gradient": float(norm), **meter.row()}
                    folder.record(row)
                    shown = {k: row[k] for k in ("loss", "rate", "images_per_second")}
                    progress.tell(done, shown, meter.seconds_left(done))
                unevaluated = due and (stopping or not evaluate(done))
                if due or stopping or meter.save_due():
                    save(done, unevaluated)
                if unevaluated and not stopping:
                    stopping = group.share(net, True)  # the others wait for gradients
                meter.resume()
            if threads is not None and (line := threads.look()):
                progress.say(line)
            if stopping:
                progress.say(f"stopped after step {done}; --resume goes on from {out / 'last.pt'}")
                progress.close()
                stop.end_run()
    progress.close()
    if folder is not None:
        folder.close()
    return best if group.leads else {}


def _measure(recipe: Recipe, job: Job, net: nn.Module) -> str:
    """Measure the recipe's `measure_norms` on the first batches; returns a line about it.

    Raises:
        UsageError: no norm's name begins so.
    """

    def run() -> None:
        for step in range(_MEASURED_BATCHES):
            job.loss(net, job.batch(step))

    count = measure_norms(net, recipe.measure_norms, run)
    if not count:
        raise UsageError(
            f"measure_norms: no norm of {recipe.net} begins with {', '.join(recipe.measure_norms)}"
        )
    return f"measured {count} norms on {_MEASURED_BATCHES} batches"


def _line(step: int, scores: Scores) -> str:
    figures = " ".join(f"{k} {v:.4f}" for k, v in scores.figures.items())
    return f"step {step} on {scores.data}: {figures}"


def _broken(step: int, out: Path, recipe: Recipe) -> str:
    kept = out / "last.pt"
    told = f"; {kept} is the last good checkpoint" if kept.exists() else ""
    return (
        f"the loss or a weight is no longer a finite number at step {step} (learning rate "
        f"{recipe.learning_rate:g}, {recipe.precision}){told}; a lower learning_rate, clip_norm or "
        "a longer warmup may help"
    )
