"""The checkpoint that a run resumes from, with a check that it belongs to the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import torch

from livevision.errors import ModelError, UsageError
from livevision.files import whole
from livevision.training.recipe import Recipe
from livevision.training.recipe_file import recipe_from

# Settings that do not affect the results.
_FREE = {
    "name", "licence", "device", "memory_gb", "workers", "evaluate_every", "save_every_minutes",
    "log_every", "samples", "tensorboard",
}  # fmt: skip


class State(TypedDict):
    """Contents of a checkpoint.

    Attributes:
        net, average, optimizer, scaler: their PyTorch state dictionaries.
        step: steps taken.
        seconds: their duration.
        unevaluated: whether an evaluation was due and interrupted.
        best: the figures of the best evaluation, and its "step".
        best_value: its main figure.
        recipe: as given.
        processes: number of training processes.
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
    """Write a checkpoint atomically."""
    with whole(path, durable=True) as unfinished:
        torch.save(state, unfinished)


def load_state(path: Path, recipe: Recipe, processes: int) -> State:
    """Read the checkpoint of a run with this recipe.

    Args:
        path: the file.
        recipe: of the resumed run.
        processes: number of training processes.

    Returns:
        The value given to `save_state`.

    Raises:
        UsageError: there is no checkpoint, or it has another recipe or number of processes.
        ModelError: the file is not a checkpoint.
    """
    if not path.is_file():
        raise UsageError(f"--resume: there is no checkpoint {str(path)!r} to resume from")
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
        theirs, count = _flat(_with_defaults(state["recipe"])), state["processes"]
    except Exception as error:
        raise ModelError(f"{str(path)!r} is not a checkpoint of a training run: {error}") from error
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
            "the original settings, or start anew with another --out"
        )
    return state


def _with_defaults(values: dict[str, Any]) -> dict[str, Any]:
    """A stored recipe, with defaults for settings added since."""
    try:
        return recipe_from(values).model_dump(mode="json")
    except UsageError:  # it has settings that were removed since
        return values


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Groups of settings flattened to dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat
