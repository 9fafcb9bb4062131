"""Scores a recipe on sequences that it did not learn from, one after the other: see scripts/folds.

A teacher or initial weights that know the sequence make its score worthless: the recipe has to
begin from weights of other pictures.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from trainings import log_rows, train

from livevision.errors import UsageError
from livevision.training.recipe_file import find_recipe, recipe_values


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the folds that have not been run yet, then print the score of each and their mean."""
    parser = argparse.ArgumentParser(prog="folds", description="Folds of a data set by sequence.")
    parser.add_argument("recipe", help="Name of a shipped recipe, or a YAML file.")
    parser.add_argument("--of", required=True, help="Path of the data set, as in the recipe.")
    parser.add_argument(
        "--by", nargs="+", required=True, help="Patterns of file names, one a fold."
    )
    parser.add_argument("--data", type=Path, required=True, help="Folder of the data sets.")
    parser.add_argument("--figure", default="mIoU", help="Column of the run's log.")
    parser.add_argument("--out", type=Path, default=Path("runs/folds"))
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", dest="settings")
    given = parser.parse_args(arguments)
    if len(given.by) < 2:
        parser.error("--by takes two patterns or more: each is left out once")
    try:
        file = find_recipe(given.recipe)
        values = recipe_values(file)
    except UsageError as error:
        parser.error(str(error))
    found: dict[str, float] = {}
    for pattern in given.by:
        where = given.out / f"{file.stem}-{quote(pattern, safe='')}"
        if score(where, given.figure) is None:
            fold = without(values, given.of, given.by, pattern)
            where.mkdir(parents=True, exist_ok=True)
            recipe = where / f"{file.stem}.yaml"
            recipe.write_text(yaml.safe_dump(fold, sort_keys=False), encoding="utf-8")
            train(recipe, given.data, where, [*given.settings, "evaluate_every=1000000"])
        last = score(where, given.figure)
        if last is None:
            sys.exit(f"{where}: the run ended without {given.figure}")
        found[pattern] = last
    print(table(given.figure, found))
    return 0


def without(
    values: Mapping[str, Any], of: str, patterns: Sequence[str], left_out: str
) -> dict[str, Any]:
    """A recipe that learns from all patterns but one, and is scored on that one alone.

    It is scored once, after its last step: a step chosen by the score would flatter it.
    """
    fold = copy.deepcopy(dict(values))
    entries = [entry for entry in fold["data"]["train"] if entry["path"] == of]
    if not entries:
        sys.exit(f"folds: the recipe does not learn from {of}")
    scored = {key: value for key, value in entries[0].items() if key != "repeat"}
    fold["data"]["val"] = [{"split": "train", **scored, "files": [left_out]}]
    for entry in entries:
        entry["files"] = [pattern for pattern in patterns if pattern != left_out]
    return fold


def score(where: Path, figure: str) -> float | None:
    """The figure after the last step; None where a run has not got there."""
    found = [row[figure] for row in log_rows(where) if row.get(figure)]
    return float(found[-1]) if found else None


def table(figure: str, found: Mapping[str, float]) -> str:
    """Markdown: the score of each sequence, and their mean."""
    lines = [f"| left out | {figure} |", "|---|---|"]
    lines += [f"| {pattern} | {100 * value:.1f} |" for pattern, value in found.items()]
    lines.append(f"| mean | {100 * statistics.mean(found.values()):.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
