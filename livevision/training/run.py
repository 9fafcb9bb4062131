"""Training by recipe: what `livevision train` and Python users call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from livevision.training.jobs import make_job
from livevision.training.loop import train
from livevision.training.processes import join, leave
from livevision.training.recipe import Recipe
from livevision.training.recipe_file import read_recipe, recipe_from


def train_recipe(
    recipe: Recipe | Mapping[str, Any] | Path | str,
    data: Path | str = ".",
    out: Path | str | None = None,
    resume: bool = False,
    settings: Sequence[str] = (),
) -> dict[str, float]:
    """Train a net as a recipe says.

    Leaves in `out`: `best.safetensors`, the averaged weights of the best evaluation, and their card
    `best.md`, which livevision runs; `last.pt` to resume from; `recipe.yaml`, the recipe as
    resolved; `log.csv`, plots as PNG files and, in `samples`, answers drawn on pictures.

    Args:
        recipe: a YAML file, or the settings themselves; see `Recipe` for what they are.
        data: folder that the relative paths of data sets are counted from.
        out: folder of the results; `runs/NAME` by default.
        resume: go on from `last.pt` in `out`, with the very batches of an unbroken run.
        settings: `name=value`, each over the recipe's own; for a recipe that is a file.

    Returns:
        The figures of the best evaluation, and "step", after how many steps it was; of several
        processes, the first returns them and the others nothing.

    Raises:
        UsageError, DataError, ModelError: the recipe, the data or a weights file is wrong; before
            the first step.
        LivevisionError: the loss is no number any more.
        KeyboardInterrupt: Ctrl-C ended the run; it can be resumed.
    """
    if isinstance(recipe, str | Path):
        recipe = read_recipe(Path(recipe), list(settings))
    elif not isinstance(recipe, Recipe):
        recipe = recipe_from(recipe)
    group = join(recipe.device)
    job = make_job(recipe, Path(data), group)
    folder = Path(out) if out else Path("runs") / (recipe.name or recipe.net)
    best = train(recipe, job, folder, group, resume)
    leave()
    return best
