"""The script of the ablations: its rows can be trained, are run once, and are told truly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from livevision.nets import build
from livevision.nets.counting import count_parameters
from livevision.training.recipe_file import read_recipe


def log(script: Any, out: Path, place: int, seed: int, *rows: str) -> None:
    folder = script.folder("bisenet", place, seed, out)
    folder.mkdir(parents=True)
    (folder / "log.csv").write_text("step,loss,mIoU\n" + "\n".join(rows) + "\n")


def test_rows_of_a_study_differ_by_the_net_alone(script: Any) -> None:
    for study in script.STUDIES.values():
        sizes, rest = [], []
        for place in range(len(study.rows)):
            settings = script.overrides(study, place, 5)
            recipe = read_recipe(study.recipe, settings)
            assert recipe.evaluate_every == recipe.steps == study.steps
            assert recipe.seed == 5
            with torch.device("meta"):
                sizes.append(count_parameters(build(recipe.net, **recipe.net_options)))
            rest.append(recipe.model_dump(exclude={"net_options"}))
        assert all(recipe == rest[0] for recipe in rest)
        assert len(set(sizes)) == len(sizes)
        assert max(sizes) == sizes[0]


def test_what_has_been_run_is_not_run_again(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr("subprocess.run", lambda c, check: commands.append(c))
    log(script, tmp_path, 0, 5, "300,0.5,", "300,,0.6")
    log(script, tmp_path, 1, 5, "200,0.5,", "200,,0.4")
    (script.folder("bisenet", 1, 5, tmp_path) / "last.pt").touch()
    # Stopped before its first evaluation, a run's log has no column of figures.
    log(script, tmp_path, 3, 5)
    (script.folder("bisenet", 3, 5, tmp_path) / "log.csv").write_text("step,loss\n50,0.7\n")
    for place in range(4):
        script.run("bisenet", place, 5, Path("data"), tmp_path)
    folders = [Path(c[c.index("--out") + 1]).name for c in commands]
    assert folders == ["bisenet-1-seed5", "bisenet-2-seed5", "bisenet-3-seed5"]
    assert ["--resume" in c for c in commands] == [True, False, False]
    assert "net_options={without: [ARM]}" in commands[0]
    assert "seed=5" in commands[1]


def test_the_table_compares_within_a_seed(script: Any, tmp_path: Path) -> None:
    log(script, tmp_path, 0, 0, "300,,0.60")
    log(script, tmp_path, 0, 1, "300,,0.64")
    log(script, tmp_path, 1, 0, "300,,0.57")
    log(script, tmp_path, 2, 1, "300,,0.65")
    lines = script.table(["bisenet"], [0, 1], tmp_path).splitlines()
    cells = [[c.strip() for c in line.split("|")[2:-1]] for line in lines[2:]]
    assert cells == [
        ["all", "mIoU", "62.0", "60.0, 64.0", ""],
        ["without ARM", "mIoU", "57.0", "57.0", "-3.0"],
        ["without global pooling", "mIoU", "65.0", "65.0", "+1.0"],
    ]
