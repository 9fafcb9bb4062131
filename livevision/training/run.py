"""The command that trains a net as a recipe says; `scripts/train` calls it."""

from __future__ import annotations

import argparse
from pathlib import Path

from livevision.training.jobs import make_job
from livevision.training.loop import report, train
from livevision.training.recipe import read_recipe


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(prog="scripts/train", description="Train a net.")
    parser.add_argument("recipe", type=Path, help="a file of configs/")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--out", type=Path, help="where results go (default runs/NAME)")
    parser.add_argument("--resume", action="store_true", help="go on from OUT/last.pt")
    arguments = parser.parse_args()
    recipe = read_recipe(arguments.recipe, arguments.set)
    out = arguments.out or Path("runs") / arguments.recipe.stem
    best = train(recipe, make_job(recipe, arguments.data), out, arguments.resume)
    report("best: " + " ".join(f"{name} {value:.4f}" for name, value in best.items()))


if __name__ == "__main__":
    main()
