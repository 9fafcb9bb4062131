"""The score on pictures of another source: measured once at the end, and told on the card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from livevision.checkpoints.card import write_card
from livevision.errors import UsageError
from livevision.models.catalog import read_card
from livevision.training import train_recipe
from tests.training import small_data

SETS = {"train": [{"path": "maps"}], "val": [{"path": "maps"}]}
KINDS = {
    "segment": (small_data.SEGMENT, small_data.class_maps, "maps", "mIoU"),
    "detect": (small_data.DETECT, small_data.boxes, "boxes", "AP50"),
    "classify": (small_data.CLASSIFY, small_data.class_folders, "folders", "top1"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_card_tells_the_score_outside(kind: str, tmp_path: Path) -> None:
    settings, make, name, main = KINDS[kind]
    make(tmp_path / name)
    make(tmp_path / "streets", val=3)
    data = {**settings["data"], "outside": [{"path": "streets"}]}
    recipe = small_data.recipe(settings, data=data, steps=2)
    best = train_recipe(recipe, tmp_path, tmp_path / "out")
    path = tmp_path / "out" / "best.md"
    card = read_card(path)
    assert 0 <= best[f"{main}_outside"] <= 1
    assert card.score[f"{main}_outside"] == best[f"{main}_outside"]
    assert card.score[main] == pytest.approx(best[main], abs=1e-3)
    count = 6 if kind == "classify" else 3
    assert f"on streets ({count} pictures, " in card.score["text"]
    text = " ".join(card.text.split())
    assert f"Outside: {main} {100 * best[f'{main}_outside']:.1f}, " in text
    assert text.index("Outside:") < text.index("## Known failures")
    assert text.count(f"# {kind}") == 1

    # A finished run that is resumed makes up for what is missing, and measures nothing twice.
    score = {k: v for k, v in card.score.items() if not k.endswith("_outside")}
    score["text"] = card.score["text"].split(";")[0]
    bare = card.text.removeprefix(f"# {card.name}").strip()
    write_card(path, replace(card, score=score), bare.replace("Outside:", "Inside:"))
    for _ in range(2):
        assert train_recipe(recipe, tmp_path, tmp_path / "out", resume=True) == best
        assert path.read_text().count("Outside:") == 1
    assert read_card(path).score == card.score


def test_outside_shows_no_picture_that_was_seen(tmp_path: Path) -> None:
    small_data.class_maps(tmp_path / "maps")
    data = {**SETS, "outside": [{"path": "maps", "split": "val"}]}
    recipe = small_data.recipe(small_data.SEGMENT, data=data)
    with pytest.raises(UsageError, match=r"data\.outside: 2 of its 2 pictures are also in"):
        train_recipe(recipe, tmp_path, tmp_path / "out")
