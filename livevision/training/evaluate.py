"""The command that scores weights on a recipe's val split; `scripts/evaluate` calls it."""

from __future__ import annotations

import argparse
from pathlib import Path

from livevision.nets import build
from livevision.training.jobs import make_job
from livevision.training.recipe import read_recipe
from livevision.training.weights import load_weights


def main() -> None:
    """Parse the command line, score, and print a line for every score."""
    parser = argparse.ArgumentParser(prog="scripts/evaluate", description="Score weights.")
    parser.add_argument("recipe", type=Path, help="a file of configs/")
    parser.add_argument("--weights", type=Path, required=True, help="a safetensors file")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    recipe = read_recipe(arguments.recipe, arguments.set)
    net = build(recipe.net, **recipe.net_options)
    load_weights(net, arguments.weights, drop=("aux_heads.",))
    for name, value in make_job(recipe, arguments.data).evaluate(net).items():
        print(f"{name} {value:.4f}")


if __name__ == "__main__":
    main()
