"""The training loop, for every task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from livevision.errors import LivevisionError, UsageError
from livevision.training.ahead import batches_ahead
from livevision.training.batches import batch_number, seed_step
from livevision.training.compiling import begin_step
from livevision.training.jobs import Job
from livevision.training.meter import Meter
from livevision.training.norms import (
    enter_training,
    folded_norms,
    measure_norms,
    prepare_norms,
)
from livevision.training.optimizers import make_optimizer, set_rate
from livevision.training.outputs import RunFolder
from livevision.training.precision import autocast, keep_slow_depthwise_in_float32
from livevision.training.processes import Group
from livevision.training.progress import Progress
from livevision.training.recipe import Recipe
from livevision.training.scores import Scores
from livevision.training.shipping import ship
from livevision.training.starting import build_net, start_from
from livevision.training.state import State, load_state, save_state
from livevision.training.stopping import BrokenOff, Stop, stop_asked
from livevision.training.threads import Threads
from livevision.training.weights import AveragedNet, move

_MEASURED_BATCHES = 12


@dataclass(frozen=True)
class Step:
    """The result of a step.

    Attributes:
        rate: its learning rate.
        gradient: norm of the gradient before clipping; reading it waits for a GPU.
        stopping: whether any process was asked to stop.
    """

    rate: float
    gradient: Tensor
    stopping: bool


class Trainer:
    """A net in training: its weights, optimiser and progress.

    Args:
        recipe: of the run.
        job: its task-specific half.
        out: folder of the results.
        group: the training processes; the leading one logs, evaluates and saves for all.
        resume: continue from `last.pt` in `out`.

    Attributes:
        done: steps taken.
        unevaluated: whether an interrupted evaluation is due.
        best: the figures of the best evaluation, and its "step".

    Raises:
        LivevisionError: the recipe is invalid, or the checkpoint is of another run.
    """

    def __init__(
        self, recipe: Recipe, job: Job, out: Path, group: Group, resume: bool = False
    ) -> None:
        self.given, self.recipe = recipe, recipe.over(job.pictures_per_epoch(), group.count)
        self.job, self.out, self.group = job, out, group
        self.checkpoint = out / "last.pt"
        self.done, self.seconds, self.unevaluated = 0, 0.0, False
        self.best: dict[str, float] = {}
        self.best_value = -math.inf

        torch.manual_seed(self.recipe.seed)
        net = build_net(self.recipe, len(job.labels))
        self.remarks = [] if resume else start_from(self.recipe, net)
        self.net = move(net, group.device)
        if self.recipe.measure_norms and not resume:
            self.remarks.append(self._measure_norms())
        self.average = AveragedNet(self.net, self.recipe.ema_decay)
        prepare_norms(self.net, self.recipe.norm)
        if group.device.type == "cpu" and self.recipe.precision != "fp32":
            keep_slow_depthwise_in_float32(self.net)
        self.optimizer = make_optimizer(self.recipe, self.net)
        folded = [] if resume else folded_norms(self.net)
        if folded:
            self.remarks.append(
                f"warning: {len(folded)} norms that will be trained are folded into their "
                f"convolutions ({folded[0]}, …), so the net begins as another than its initial "
                f"weights; measure_norms: [{folded[0].partition('.')[0]}.] undoes that"
            )
        scaled = self.recipe.precision == "fp16"
        self.scaler = torch.amp.GradScaler(group.device.type, enabled=scaled)

        if resume:
            self.restore()
        elif self.checkpoint.exists():
            raise UsageError(
                f"{str(out)!r} contains a run already: --resume it, or use another --out"
            )

    def restore(self) -> None:
        """Restore the state of the checkpoint."""
        state = load_state(self.checkpoint, self.given, self.group.count)
        self.net.load_state_dict(state["net"])
        self.average.net.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.done, self.seconds = state["step"], state["seconds"]
        self.unevaluated = state["unevaluated"]
        self.best, self.best_value = state["best"], state["best_value"]

    def run(self, remarks: Sequence[str] = ()) -> dict[str, float]:
        """Take the remaining steps; see `livevision.training.train_recipe`.

        Args:
            remarks: lines that explain the choices.

        Returns:
            The figures of the best evaluation, and its "step"; nothing if another process leads.

        Raises:
            KeyboardInterrupt, SystemExit: Ctrl-C or SIGTERM ended the run; `last.pt` was written.
            LivevisionError: the loss is no longer finite.
        """
        steps, leads = self.recipe.steps, self.group.leads
        if self.done >= steps and not self.unevaluated:
            progress = Progress(self.recipe.name, 0, 0, leads)
            progress.say(f"{self.out}: finished, all {self.done} steps")
            return self.best if leads else {}

        self._begin(remarks)
        with (
            stop_asked() as self.stop,
            batches_ahead(self.job.batch, steps, self.recipe.workers) as batch_of,
        ):
            if leads and self.unevaluated:
                self._evaluate_at_last()
            while self.done < steps:
                taken = self.step(batch_of(self.done))
                stopping = self._look_after(taken) if leads else taken.stopping
                if self.threads is not None and (line := self.threads.look()):
                    self.progress.say(line)
                if stopping:
                    self._stop_here()
        self.progress.close()
        if self.folder is not None:
            self.folder.close()
        return self.best if leads else {}

    def step(self, batch: Any) -> Step:
        """Train on a batch, each process on its own."""
        number = self.done
        rate = set_rate(self.optimizer, self.recipe, number)
        enter_training(self.net)
        seed_step(self.recipe.seed, batch_number(number, self.group))
        if self.recipe.compile:
            begin_step(self.group.device)
        with autocast(self.recipe.precision, self.group.device):
            parts = self.job.loss(self.step_net, batch)
        loss = torch.stack(list(parts.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        stopping = self.group.share(self.net, bool(self.stop))
        self.scaler.unscale_(self.optimizer)
        longest = self.recipe.clip_norm or math.inf
        gradient = nn.utils.clip_grad_norm_(self.net.parameters(), longest)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.done += 1
        self.meter.add(number, parts, loss)
        if self.group.leads:
            self.average.update(self.net, number)
        return Step(rate, gradient, stopping)

    def evaluate(self) -> bool:
        """Score the averaged weights and write them if they are the best; False if interrupted."""
        try:
            with self.stop.at_once():
                scores = self.job.evaluate(self.average.net)
        except BrokenOff:
            return False
        folder = self._folder()
        folder.record({"step": self.done, **scores.row(self.job.labels)})
        self.progress.say(_line(self.done, scores))
        if scores.value > self.best_value:
            self.best, self.best_value = {**scores.figures, "step": self.done}, scores.value
            self._ship(scores)
        folder.plot(scores, last=self.done == self.recipe.steps)
        return True

    def save(self) -> None:
        """Write the checkpoint, unless weights are not finite.

        Raises:
            LivevisionError: a weight is no longer finite.
        """
        if not all(bool(p.isfinite().all()) for p in self.net.parameters()):
            raise LivevisionError(self._broken(self.done))
        state: State = {
            "net": self.net.state_dict(),
            "average": self.average.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "step": self.done,
            "seconds": self.meter.seconds,
            "unevaluated": self.unevaluated,
            "best": self.best,
            "best_value": self.best_value,
            "recipe": self.given.model_dump(mode="json"),
            "processes": self.group.count,
        }
        save_state(self.checkpoint, state)
        self.meter.saved()

    def _begin(self, remarks: Sequence[str]) -> None:
        """Set up the outputs of a run, and print what it does."""
        recipe, group = self.recipe, self.group
        self.first = self.done + 1
        self.folder = (
            RunFolder(self.out, self.given, self.job.labels, self.done) if group.leads else None
        )
        self.progress = Progress(recipe.name, self.done, recipe.steps, group.leads)
        self.threads = Threads(group.count) if group.device.type == "cpu" else None
        chosen = self.threads.begin() if self.threads is not None else ""
        for line in (*remarks, *self.remarks, *([chosen] if chosen else []), *self.job.about()):
            self.progress.say(line)
        self.step_net = self.job.compiled(self.net) if recipe.compile else self.net
        self.meter = Meter(self.seconds, group, recipe)
        self.stop = Stop()

    def _look_after(self, taken: Step) -> bool:
        """Log, evaluate and save if due; returns whether the run stops here."""
        recipe, done, stopping = self.recipe, self.done, taken.stopping
        due = done == recipe.steps or done % recipe.evaluate_every == 0
        if due or stopping or done % recipe.log_every == 0 or done == self.first:
            self._log(taken)
        self.unevaluated = due and (stopping or not self.evaluate())
        if due or stopping or self.meter.save_due():
            self.save()
        if self.unevaluated and not stopping:
            stopping = self.group.share(self.net, True)  # the others wait for gradients
        self.meter.resume()
        return stopping

    def _log(self, taken: Step) -> None:
        """Write and show a row of the log.

        Raises:
            LivevisionError: the loss is no longer finite.
        """
        if self.meter.bad_step is not None:
            raise LivevisionError(self._broken(self.meter.bad_step))
        figures = {"rate": taken.rate, "gradient": float(taken.gradient), **self.meter.row()}
        self._folder().record({"step": self.done, **figures})
        shown = {name: figures[name] for name in ("loss", "rate", "images_per_second")}
        self.progress.tell(self.done, shown, self.meter.seconds_left(self.done))

    def _evaluate_at_last(self) -> None:
        """Repeat an interrupted evaluation."""
        self.unevaluated = not self.evaluate()
        self.save()
        if self.unevaluated:
            self.stop.end_run()

    def _stop_here(self) -> None:
        """End the run as requested."""
        self.progress.say(
            f"stopped after step {self.done}; --resume continues from {self.checkpoint}"
        )
        self.progress.close()
        self.stop.end_run()

    def _ship(self, scores: Scores) -> None:
        """Write the averaged weights with a card, and pictures with predictions."""
        path, hours = self.out / "best.safetensors", self.meter.seconds / 3600
        net, labels = self.average.net, self.job.labels
        ship(path, net, self.recipe, labels, scores, self.done, hours, self.group)
        self.job.draw(net, self.out / "samples")

    def _folder(self) -> RunFolder:
        assert self.folder is not None, "only the process that leads writes"
        return self.folder

    def _measure_norms(self) -> str:
        """Measure the recipe's `measure_norms` on the first batches; returns a line about it.

        Raises:
            UsageError: no norm has such a prefix.
        """
        beginnings = self.recipe.measure_norms

        def run() -> None:
            for step in range(_MEASURED_BATCHES):
                self.job.loss(self.net, self.job.batch(step))

        count = measure_norms(self.net, beginnings, run)
        if not count:
            raise UsageError(
                f"measure_norms: no norm of {self.recipe.net} begins with {', '.join(beginnings)}"
            )
        return f"measured {count} norms on {_MEASURED_BATCHES} batches"

    def _broken(self, step: int) -> str:
        recipe, kept = self.recipe, self.checkpoint
        hint = f"; {kept} is the last good checkpoint" if kept.exists() else ""
        return (
            f"the loss or a weight is no longer a finite number at step {step} (learning rate "
            f"{recipe.learning_rate:g}, {recipe.precision}){hint}; a lower learning_rate, "
            "clip_norm or a longer warmup may help"
        )


def _line(step: int, scores: Scores) -> str:
    figures = " ".join(f"{k} {v:.4f}" for k, v in scores.figures.items())
    return f"step {step} on {scores.data}: {figures}"
