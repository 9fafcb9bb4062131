"""Losses and speed of a run; read rarely, since each read waits for a GPU."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from livevision.training.processes import Group
from livevision.training.recipe import Recipe


class Meter:
    """The losses and the speed since the last row of the log.

    Args:
        seconds: duration of the run before it was resumed.
        group, recipe: of the run.
    """

    def __init__(self, seconds: float, group: Group, recipe: Recipe) -> None:
        self.seconds = seconds
        self._recipe, self._pictures = recipe, recipe.batch_size * group.count
        self._steps = self._steps_here = 0
        self._since, self._spent, self._spent_here = time.monotonic(), 0.0, 0.0
        self._saved = time.monotonic()
        self._sums: dict[str, Tensor] = {}
        self._bad = torch.full((), -1, device=group.device)

    def add(self, step: int, parts: dict[str, Tensor], loss: Tensor) -> None:
        """Add the losses of a step; their values are only read when a row is requested."""
        named = {"loss": loss, **{f"loss/{name}": part for name, part in parts.items()}}
        for name, part in named.items():
            self._sums[name] = self._sums.get(name, 0.0) + part.detach()
        first_bad = (self._bad < 0) & ~loss.detach().isfinite()
        self._bad = torch.where(first_bad, step, self._bad)
        self._steps += 1

    @property
    def bad_step(self) -> int | None:
        """The first step whose loss was not finite."""
        step = int(self._bad)
        return step if step >= 0 else None

    def row(self) -> dict[str, float]:
        """Mean losses and speed since the last row; resets them."""
        means = {name: float(total) / self._steps for name, total in self._sums.items()}
        self._pause()
        speed = self._steps * self._pictures / max(self._spent, 1e-9)
        self._steps_here += self._steps
        self._spent_here += self._spent
        self._sums, self._steps, self._spent = {}, 0, 0.0
        return means | {"images_per_second": speed, "minutes": self.seconds / 60}

    def seconds_left(self, done: int) -> float:
        """Estimated time of the remaining steps, without evaluations."""
        return self._spent_here / self._steps_here * (self._recipe.steps - done)

    def save_due(self) -> bool:
        """Whether it is time for another checkpoint."""
        return time.monotonic() - self._saved > 60 * self._recipe.save_every_minutes

    def saved(self) -> None:
        """A checkpoint was written."""
        self._saved = time.monotonic()

    def resume(self) -> None:
        """Continue timing after work that is not part of a step."""
        now = time.monotonic()
        if self._steps == 0:
            self.seconds += now - self._since  # evaluations count for the hours on the card
            self._since = now

    def _pause(self) -> None:
        now = time.monotonic()
        self._spent += now - self._since
        self.seconds += now - self._since
        self._since = now
