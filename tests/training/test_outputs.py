"""What a run leaves behind: a model that livevision runs, figures, plots and pictures."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import pytest
from safetensors.torch import load_file

import livevision
from livevision.models.catalog import read_card
from livevision.training import train_recipe
from livevision.training.log import Log
from livevision.training.recipe_file import read_recipe
from tests.training import small_data

KINDS = {
    "segment": small_data.SEGMENT,
    "detect": small_data.DETECT,
    "classify": small_data.CLASSIFY,
}
PLOTS = {
    "segment": {"confusion.png"},
    "detect": {"precision_recall.png", "confusion.png"},
    "classify": {"confusion.png"},
}


@pytest.fixture(autouse=True)
def _plots() -> None:
    """All of them."""


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_weights_run_as_they_are(kind: str, tmp_path: Path) -> None:
    data = small_data.all_kinds(tmp_path / "data")
    recipe = small_data.recipe(KINDS[kind], name="mine")
    best = train_recipe(recipe, data, tmp_path / "out")
    out = tmp_path / "out"
    main = {"segment": "mIoU", "detect": "AP50", "classify": "top1"}[kind]
    assert best["step"] in (2, 4)
    assert 0 <= best[main] <= 1

    card = read_card(out / "best.md")
    assert (card.name, card.task, card.net) == ("mine", kind, recipe.net)
    assert card.score[main] == pytest.approx(best[main], abs=1e-3)
    assert str(tmp_path) not in (out / "best.md").read_text()
    assert not any(name.startswith("aux_heads.") for name in load_file(out / "best.safetensors"))

    picture = next((data / "maps" / "images" / "val").glob("*.jpg"))
    with livevision.load(weights=out / "best.safetensors", engine="torch") as model:
        assert model.labels == list(card.labels)
        result = model(cv2.imread(str(picture)))
    if kind == "segment":
        assert result.class_map.shape == (small_data.HEIGHT, small_data.WIDTH)

    assert read_recipe(out / "recipe.yaml").model_copy(update={"labels": recipe.labels}) == recipe
    with (out / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["1", "2", "2", "4", "4"]
    assert [bool(row[main]) for row in rows] == [False, False, True, False, True]
    assert all(float(row["loss"]) > 0 for row in rows if not row[main])
    expected = {"losses.png", "scores.png", "classes.png"} | PLOTS[kind]
    assert {p.name for p in out.glob("*.png")} == expected
    assert all(cv2.imread(str(p)) is not None for p in out.glob("*.png"))
    drawn = list((out / "samples").glob("*.jpg"))
    assert len(drawn) == recipe.samples
    assert cv2.imread(str(drawn[0])).shape[0] >= small_data.HEIGHT


def test_the_log_keeps_what_was_before_and_takes_new_figures(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.csv")
    for step in (1, 2, 3):
        log.add({"step": step, "loss": 1.0 / step})
    log.add({"step": 4, "loss": 0.2, "score": 0.5})
    again = Log(tmp_path / "log.csv", before=2)
    again.add({"step": 3, "loss": 0.25})
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines == ["step,loss", "1,1.0", "2,0.5", "3,0.25"]
    assert again.column("loss") == ([1, 2, 3], [1.0, 0.5, 0.25])
    assert Log(tmp_path / "log.csv").rows == []  # a run that begins anew


def test_a_run_that_learns_gets_better(tmp_path: Path) -> None:
    data = small_data.class_maps(tmp_path / "maps", train=8, val=4).parent
    recipe = small_data.recipe(
        small_data.SEGMENT, steps=35, evaluate_every=35, batch_size=4, learning_rate=3e-3,
        task_options={"crop": [64, 64], "scale": [0.8, 1.25], "rare_weight": 1.1}, ema_decay=0.9,
    )  # fmt: skip
    best = train_recipe(recipe, data, tmp_path / "out")
    assert best["mIoU"] > 0.8


def test_a_detector_that_learns_gets_better(tmp_path: Path) -> None:
    data = small_data.boxes(tmp_path / "boxes", train=16, val=8).parent
    recipe = small_data.recipe(
        small_data.DETECT, steps=70, evaluate_every=70, batch_size=4, learning_rate=3e-3,
        warmup_steps=10, clip_norm=10.0, ema_decay=0.9,
        task_options={"pre_nms": 100, "proposals": 40, "zoom_out": 1.5, "smallest_crop": 0.6},
    )  # fmt: skip
    best = train_recipe(recipe, data, tmp_path / "out")
    assert best["AP50"] > 0.1
