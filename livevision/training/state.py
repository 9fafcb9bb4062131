"""The checkpoint that a run resumes from, and whether it belongs to the run that asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import torch

from livevision.errors import ModelError, UsageError
from livevision.files import whole
from livevision.training.recipe import Recipe
from livevision.training.recipe_file import recipe_from

# Settings that change neither what is computed nor with what.
_FREE = {
    "name", "licence", "device", "memory_gb", "workers", "evaluate_every", "save_every_minutes",
    "log_every", "samples", "tensorboard",
}  # fmt: skip


class State(TypedDict):
    """What a checkpoint holds.

    Attributes:
        net, average, optimizer, scaler: the state of each, as PyTorch gives it.
        step: how many steps were taken.
        seconds: how long they took.
        unevaluated: whether an evaluation was due and broken off.
        best: the figures of the best evaluation, and its "step".
        best_value: the one that evaluations are compared by.
        recipe: as given.
        processes: how many train side by side.
    """

    net: dict[str, Any]
    average: dict[str, Any]
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    step: int
    seconds: float
    unevaluated: bool
    best: dict[str, float]
    best_value: float
    recipe: dict[str, Any]
    processes: int


def save_state(path: Path, state: State) -> None:
    """Write a checkpoint; whatever interrupts it, the old file or the new one stands there."""
    with whole(path, durable=True) as unfinished:
        torch.save(state, unfinished)


def load_state(path: Path, recipe: Recipe, processes: int) -> State:
    """Read the checkpoint of a run with this recipe.

    Args:
        path: the file.
        recipe: of the run that goes on.
        processes: that train side by side.

    Returns:
        What `save_state` was given.

    Raises:
        UsageError: there is no checkpoint, or one of another recipe or number of processes.
        ModelError: the file is none.
    """
    if not path.is_file():
        raise UsageError(f"--resume: there is no checkpoint {str(path)!r} to go on from")
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
        theirs, count = _flat(_with_defaults(state["recipe"])), state["processes"]
    except Exception as error:
        raise ModelError(f"{str(path)!r} is no checkpoint of a training run: {error}") from error
    ours = _flat(recipe.model_dump(mode="json"))
    names = sorted(
        name
        for name in ours.keys() | theirs.keys()
        if name.split(".")[0] not in _FREE and ours.get(name) != theirs.get(name)
    )
    differences = [f"{n} was {theirs.get(n)!r} and is {ours.get(n)!r}" for n in names]
    if count != processes:
        differences.append(f"processes were {count} and are {processes}")
    if differences:
        raise UsageError(
            f"--resume: {str(path)!r} is of another recipe: {'; '.join(differences)}. Resume with "
            "the settings it began with, or begin anew with another --out"
        )
    return state


def _with_defaults(values: dict[str, Any]) -> dict[str, Any]:
    """A stored recipe, with the defaults of settings that there were not yet when it was stored."""
    try:
        return recipe_from(values).model_dump(mode="json")
    except UsageError:  # it has settings that there are no longer
        return values


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Groups of settings as one, with dots in their names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat
