"""Recipes: what they may say, and what is told of what they may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from livevision.errors import DataError, LivevisionError, UsageError
from livevision.training import train_recipe
from livevision.training.recipe_file import read_recipe, recipe_from, to_yaml
from tests.training import small_data

CONFIGS = Path(__file__).parents[2] / "configs" / "train"
RECIPES = sorted(CONFIGS.glob("*.yaml"))


def test_a_file_takes_settings_over_its_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(to_yaml(small_data.recipe(small_data.SEGMENT)).replace("name: segment\n", ""))
    recipe = read_recipe(path, ["steps=7", "learning_rate=1e-3", "task_options.crop=[32, 64]"])
    assert (recipe.name, recipe.steps, recipe.learning_rate) == ("mine", 7, 0.001)
    assert recipe.model_dump()["task_options"]["crop"] == (32, 64)
    assert recipe_from(read_recipe(path).model_dump()) == read_recipe(path)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("stepps=7", "'stepps'. Did you mean 'steps'"),
        ("task_options.croop=1", "Did you mean 'task_options.crop'"),
        ("steps=many", "steps is 'many'"),
        ("steps=0", "a run takes either steps or epochs, one of the two; neither is"),
        ("steps=-1", "steps is -1"),
        ("epochs=0", "neither is"),
        ("epochs=few", "epochs is 'few'"),
        ("epochs=.inf", "epochs is inf"),
        ("task_options.crop=[0, 64]", "task_options.crop.0 is 0"),
        ("task_options.scale=[0, 1]", "task_options.scale.0 is 0"),
        ("task_options.rare_weight=0.9", "above 1"),
        ("optimizer=adam", "'sgd' or 'adamw'"),
        ("task=track", "segment, detect, classify"),
        ("input_size=[3]", "input_size"),
        ("steps", "NAME=VALUE"),
        ("net.x=1", "not a group"),
        ("steps=[", "not a YAML value"),
    ],
)
def test_a_wrong_setting_is_told(setting: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(to_yaml(small_data.recipe(small_data.SEGMENT)))
    with pytest.raises(UsageError) as error:
        read_recipe(path, [setting])
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "both", [{"steps": 3, "epochs": 2}, {"steps": 0}, {"steps": 0, "epochs": 0}]
)
def test_a_run_has_one_length(both: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="either steps or epochs, one of the two"):
        small_data.recipe(small_data.SEGMENT, **both)


def test_a_length_that_is_set_takes_the_place_of_the_other(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(to_yaml(small_data.recipe(small_data.SEGMENT)))
    recipe = read_recipe(path, ["epochs=2.5"])
    assert (recipe.steps, recipe.epochs) == (0, 2.5)
    path.write_text(to_yaml(recipe))
    assert (read_recipe(path).steps, read_recipe(path).epochs) == (0, 2.5)
    recipe = read_recipe(path, ["steps=7"])
    assert (recipe.steps, recipe.epochs) == (7, 0)
    with pytest.raises(UsageError, match="one of the two; both are given"):
        read_recipe(path, ["steps=7", "epochs=1"])


@pytest.mark.parametrize(
    ("changes", "pictures", "processes", "steps", "every"),
    [
        ({"steps": 7}, 100, 1, 7, 500),
        ({"steps": 7, "evaluate_every": 3}, 100, 1, 7, 3),
        ({"steps": 0, "epochs": 2}, 100, 1, 13, 7),
        ({"steps": 0, "epochs": 2}, 96, 1, 12, 6),
        ({"steps": 0, "epochs": 2}, 96, 2, 6, 3),
        ({"steps": 0, "epochs": 0.5}, 96, 1, 3, 6),
        ({"steps": 0, "epochs": 0.01}, 20, 1, 1, 2),
        ({"steps": 0, "epochs": 30}, 1, 1, 2, 1),
        ({"steps": 0, "epochs": 2, "evaluate_every": 5}, 100, 1, 13, 5),
    ],
)
def test_steps_follow_from_epochs_and_pictures(
    changes: dict[str, Any], pictures: int, processes: int, steps: int, every: int
) -> None:
    recipe = small_data.recipe(
        small_data.SEGMENT, **{"batch_size": 16, "evaluate_every": 0, **changes}
    ).over(pictures, processes)
    assert (recipe.steps, recipe.evaluate_every) == (steps, every)


def test_broken_files_are_told_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("task: segment\nnet: [\n")
    with pytest.raises(UsageError, match=r"recipe\.yaml:3"):
        read_recipe(path)
    path.write_text("- a list\n")
    with pytest.raises(UsageError, match="has no settings"):
        read_recipe(path)
    with pytest.raises(UsageError, match="missing"):
        read_recipe(tmp_path / "missing.yaml")


MAPS = {"train": [{"path": "maps"}], "val": [{"path": "maps"}]}


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        ("SEGMENT", {"net": "bisenet-xception93"}, "Did you mean 'bisenet-xception39'"),
        ("SEGMENT", {"net": "snet49"}, "does the task classify, the recipe's is segment"),
        ("SEGMENT", {"net_options": {"wide": 2}}, "wide"),
        (
            "SEGMENT",
            {"net_options": {"num_classes": 3}},
            "num_classes is 3, but there are 2 labels",
        ),
        ("SEGMENT", {"rates": {"bakcbone": 0.1}}, "'bakcbone'; its parts: arm16"),
        ("SEGMENT", {"initial_weights": "nowhere.safetensors"}, "nowhere.safetensors"),
        ("SEGMENT", {"device": "tpu"}, "'tpu'"),
        ("SEGMENT", {"precision": "fp16"}, "only GPUs"),
        ("SEGMENT", {"data": {**MAPS, "val": [{"path": "gone"}]}}, "gone"),
        ("DETECT", {"data": MAPS}, "maps"),
        ("DETECT", {"labels": ["car"]}, "plate"),
        ("DETECT", {"task_options": {"highlight": ["plat"]}}, "Did you mean 'plate'"),
        ("CLASSIFY", {"task_options": {"teacher": {"net": "snet49", "weights": "no"}}}, "'no'"),
    ],
)
def test_what_does_not_fit_is_told_before_the_first_step(
    kind: str, changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    small_data.all_kinds(tmp_path)
    recipe = small_data.recipe(getattr(small_data, kind), **changes)
    with pytest.raises(LivevisionError) as error:
        train_recipe(recipe, tmp_path, tmp_path / "out")
    assert isinstance(error.value, UsageError | DataError)
    assert said in str(error.value)
    assert not (tmp_path / "out" / "last.pt").exists()


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_the_shipped_recipes_are_whole(path: Path) -> None:
    import torch

    from livevision.nets import build
    from livevision.training.optimizers import make_optimizer
    from livevision.training.starting import net_options

    recipe = read_recipe(path)
    assert recipe.name == path.stem
    labels = recipe.labels or ["tiny"] * 200
    with torch.device("meta"):
        net = build(recipe.net, **net_options(recipe, len(labels)))
    assert make_optimizer(recipe, net).param_groups
    assert all(not Path(entry["path"]).is_absolute() for entry in recipe.data.train)


def _write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


BASE = to_yaml(small_data.recipe(small_data.SEGMENT))


def test_a_recipe_begins_with_the_settings_of_another(tmp_path: Path) -> None:
    _write(
        tmp_path,
        base=BASE,
        mine="extends: base\nbatch_size: 3\nrates: {backbone.: 0.1}\ntask_options: {hue: 7}\n"
        "freeze: [backbone]\ndata: {val: [{path: other}]}\n",
        again="extends: mine.yaml\nrates: {stem.: 0.5}\nfreeze: []\ntask_options: {jitter: 0.2}\n",
    )
    base, mine, again = (read_recipe(tmp_path / f"{n}.yaml") for n in ("base", "mine", "again"))
    assert (mine.name, again.name) == ("mine", "again")
    assert (mine.net, mine.labels, mine.steps) == (base.net, base.labels, base.steps)
    assert (mine.batch_size, again.batch_size) == (3, 3)
    assert again.rates == {"backbone.": 0.1, "stem.": 0.5}
    assert (mine.freeze, again.freeze) == (["backbone"], [])
    assert mine.data.train == base.data.train
    assert mine.data.val == [{"path": "other"}]
    options = again.model_dump()["task_options"]
    expected = base.model_dump()["task_options"] | {"hue": 7, "jitter": 0.2}
    assert options == expected


def test_a_length_replaces_that_of_the_recipe_extended(tmp_path: Path) -> None:
    _write(tmp_path, base=BASE, mine="extends: base\nepochs: 2\n")
    recipe = read_recipe(tmp_path / "mine.yaml")
    assert (recipe.steps, recipe.epochs) == (0, 2)


def test_shipped_recipes_are_read_and_extended_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shipped").mkdir()
    file = _write(tmp_path / "shipped", base=BASE) / "base.yaml"
    monkeypatch.setattr("livevision.training.recipe_file.shipped", lambda kind: {"base": file})
    assert read_recipe("base") == read_recipe("base.yaml") == read_recipe(file)
    mine = _write(tmp_path, mine="extends: base\nsteps: 9\n") / "mine.yaml"
    assert read_recipe(mine).steps == 9
    _write(tmp_path, base=BASE.replace("batch_size: ", "batch_size: 1"))
    beside = read_recipe(mine)
    assert beside.batch_size == read_recipe(tmp_path / "base.yaml").batch_size


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("extends: bases\n", "unknown recipe 'bases'. Did you mean 'base'? Known: base"),
        ("extends: mine\n", "extends 'mine', which extends this one"),
        ("extends: circle\n", "circle.yaml: extends 'mine', which extends this one"),
        ("extends: [base]\n", "extends is ['base']; it takes the name of one recipe"),
        ("extends: broken\n", "broken.yaml:1: not valid YAML"),
    ],
)
def test_what_cannot_be_extended_is_told(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livevision.training.recipe_file.shipped", lambda kind: {})
    _write(tmp_path, base=BASE, circle="extends: mine\n", broken="steps: [", mine=text)
    with pytest.raises(UsageError) as error:
        read_recipe(tmp_path / "mine.yaml")
    assert said in str(error.value)
    assert "\n" not in str(error.value)
