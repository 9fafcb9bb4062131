"""`livevision train`: a net trained as a recipe says, to a file that runs live."""

from __future__ import annotations

from pathlib import Path

import click

from livevision.cli import messages
from livevision.config.yaml_file import shipped
from livevision.errors import UsageError, unknown


@click.command("train")
@click.argument("recipe")
@click.option(
    "--data",
    default=".",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Where relative paths of the recipe's data are counted from; this folder by default.",
)
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="Overrule a setting of the recipe, such as steps=500; a dot reaches into a group. May be "
    "repeated.",
)
@click.option(
    "--out",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Where the results go; runs/NAME by default.",
)
@click.option("--resume", is_flag=True, help="Go on where a stopped run of the same folder was.")
def command(
    recipe: str, data: Path, settings: tuple[str, ...], out: Path | None, resume: bool
) -> None:
    """Train a net as RECIPE says, a YAML file or the name of a shipped one.

    Ctrl-C stops the run after writing where it was; --resume goes on from there with the very same
    batches, as it does after a power cut. On several GPUs: torchrun --nproc-per-node N -m
    livevision train RECIPE. Exit code 3 where the data are missing or broken.
    """
    file = _find(recipe)
    if not data.is_dir():
        raise UsageError(f"--data {data}: there is no such folder")
    messages.set_up()
    from livevision.training.run import train_recipe

    best = train_recipe(file, data, out, resume, settings)
    if not best:
        return  # of several processes the first one tells
    figures = {name: value for name, value in best.items() if name != "step"}
    step = f" after step {best['step']:.0f}" if "step" in best else ""
    click.echo(f"best{step}: " + "  ".join(f"{n} {v:.4f}" for n, v in figures.items()))


def _find(recipe: str) -> Path:
    """The file of a recipe.

    Raises:
        UsageError: There is none.
    """
    path = Path(recipe).expanduser()
    if path.is_file():
        return path
    recipes = shipped("net")
    name = recipe.removesuffix(".yaml")
    if name in recipes:
        return recipes[name]
    raise UsageError(f"there is no file {recipe!r}; {unknown('recipe', name, recipes)}")
