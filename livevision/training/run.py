"""Training by recipe or of a folder: the entry points of `livevision train` and Python."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livevision.errors import DataError
from livevision.training.folder import Wishes, epochs_for, recipe_for, settings_over
from livevision.training.jobs import Job, make_job
from livevision.training.outside import Outside
from livevision.training.processes import Group, join, leave
from livevision.training.recipe import Recipe
from livevision.training.recipe_file import read_recipe, recipe_from, with_settings
from livevision.training.trainer import Trainer


@dataclass(frozen=True)
class Run:
    """A training run with checked data and recipe, before its first step.

    Attributes:
        recipe: of the run.
        job: its task-specific half.
        group: the training processes.
        out: folder of the results.
        remarks: lines that explain the choices.
        outside: pictures of another source, scored at the end; None without any.
    """

    recipe: Recipe
    job: Job
    group: Group
    out: Path
    remarks: Sequence[str] = ()
    outside: Outside | None = None

    def train(self, resume: bool = False) -> dict[str, float]:
        """Train; returns and raises like `train_recipe`."""
        trainer = Trainer(self.recipe, self.job, self.out, self.group, resume)
        best = trainer.run(self.remarks)
        if self.outside is not None and self.group.leads:
            best = best | self.outside.tell(self.out)
        leave()
        return best


def train_recipe(
    recipe: Recipe | Mapping[str, Any] | Path | str,
    data: Path | str = ".",
    out: Path | str | None = None,
    resume: bool = False,
    settings: Sequence[str] = (),
) -> dict[str, float]:
    """Train a net by a recipe.

    Writes to `out`: `best.safetensors`, the averaged weights of the best evaluation, and their card
    `best.md`, which livevision runs; `last.pt` to resume from; `recipe.yaml`, the resolved recipe;
    `log.csv`, plots as PNG files and, in `samples`, predictions drawn on pictures.

    Args:
        recipe: a YAML file, the name of a shipped recipe, or the settings themselves, see
            `Recipe`. Or a folder of labelled pictures, see `train_folder`.
        data: base folder of the relative paths of data sets.
        out: folder of the results; default: `runs/NAME`.
        resume: continue from `last.pt` in `out`, with the batches of an uninterrupted run.
        settings: `name=value`, overriding the recipe; for a recipe that is a file.

    Returns:
        The figures of the best evaluation, and "step", its number of steps; only in the first of
        several processes, nothing in the others.

    Raises:
        UsageError, DataError, ModelError: the recipe, the data or a weights file is invalid; before
            the first step.
        LivevisionError: the loss is no longer finite.
        KeyboardInterrupt: Ctrl-C ended the run; it can be resumed.
    """
    if isinstance(recipe, str | Path) and Path(recipe).is_dir():
        return run_of_folder(recipe, None, out, settings).train(resume)
    return run_of_recipe(recipe, data, out, settings).train(resume)


def train_folder(
    data: Path | str,
    wishes: Wishes | None = None,
    out: Path | str | None = None,
    resume: bool = False,
    settings: Sequence[str] = (),
) -> dict[str, float]:
    """Train a net on labelled pictures with a chosen recipe, which is written to `out`.

    Args:
        data: a folder of labelled pictures, a data.yaml, a COCO file or a zip of class folders.
        wishes: settings that are not to be chosen.
        out, resume, settings: see `train_recipe`.

    Returns and raises like `train_recipe`.
    """
    return run_of_folder(data, wishes, out, settings).train(resume)


def run_of_recipe(
    recipe: Recipe | Mapping[str, Any] | Path | str,
    data: Path | str = ".",
    out: Path | str | None = None,
    settings: Sequence[str] = (),
) -> Run:
    """The run of a recipe; for arguments and errors see `train_recipe`."""
    if isinstance(recipe, str | Path):
        recipe = read_recipe(recipe, settings)
    elif not isinstance(recipe, Recipe):
        recipe = recipe_from(recipe)
    group = join(recipe.device)
    job = make_job(recipe, Path(data), group)
    return Run(
        *(recipe, job, group, _folder(recipe, out)),
        outside=_outside(recipe, job, Path(data), group),
    )


def run_of_folder(
    data: Path | str,
    wishes: Wishes | None = None,
    out: Path | str | None = None,
    settings: Sequence[str] = (),
) -> Run:
    """The run of labelled pictures; for arguments and errors see `train_folder`."""
    values, lines = recipe_for(Path(data), wishes or Wishes())
    set_here = with_settings(values, settings)
    chosen = not (values["epochs"] or values.get("steps"))
    recipe = recipe_from({**values, "epochs": 1.0} if chosen else values)
    group = join(recipe.device)
    job = make_job(recipe, Path(), group)
    if recipe.task == "classify" and len(job.labels) < 2:
        raise DataError(
            f"{data}: all pictures are in one folder, {job.labels[0]}, and no other labels were "
            "found; a classifier takes a folder for each of two classes or more"
        )
    pictures = job.pictures_per_epoch()
    if chosen:
        recipe = recipe_from({**values, "epochs": epochs_for(recipe.task, pictures)})
    epoch = math.ceil(pictures / (recipe.batch_size * group.count))
    more = settings_over(recipe.over(pictures, group.count).steps, epoch)
    recipe = recipe.model_copy(update={k: v for k, v in more.items() if k not in set_here})
    whole, folder = recipe.over(pictures, group.count), _folder(recipe, out)
    epochs = f"{recipe.epochs:g} epochs, " if recipe.epochs else ""
    lines += [
        f"length: {epochs}{whole.steps} steps of {recipe.batch_size} pictures, scored every "
        f"{whole.evaluate_every} steps (--epochs N, --batch N)",
        f"results: {folder}, including the recipe (--out FOLDER; --set KEY=VALUE overrides it)",
    ]
    return Run(recipe, job, group, folder, lines, _outside(recipe, job, Path(), group))


def _outside(recipe: Recipe, job: Job, data: Path, group: Group) -> Outside | None:
    return Outside(recipe, job, data, group) if recipe.data.outside else None


def _folder(recipe: Recipe, out: Path | str | None) -> Path:
    return Path(out) if out else Path("runs") / (recipe.name or recipe.net)
