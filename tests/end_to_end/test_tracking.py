"""`--track` from a file to its results: numbers in rows and tables, and none where none is sure."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import livevision
from tests import clips, small_models
from tests.end_to_end.conftest import Outcome, rows

SAME = {"qp": "0"}  # nothing lost, so that each frame decodes to the same
Call = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def detector(folder: Path) -> Path:
    """The small detector as training leaves it: weights with a card beside them."""
    card = small_models.CARDS["detect"]
    path = folder / f"{card.name}.safetensors"
    path.write_bytes(small_models.weights("detect").read_bytes())
    path.with_suffix(".md").write_text(
        f"---\nname: {card.name}\ntask: detect\nnet: {card.net}\ninput_size: [128, 96]\n"
        f"net_options: {{num_classes: 20}}\nfit: letterbox\nlabels: [{', '.join(card.labels)}]\n"
        "---\nSmall.\n",
        encoding="utf-8",
    )
    return path


def still(folder: Path) -> Path:
    """A video of five frames that show the same."""
    size = (160, 120)
    picture = small_models.picture(*size)

    def paint(number: int, size: tuple[int, int]) -> Any:
        return picture

    return clips.make_clip(
        folder / "in.mp4", frames=5, gop=1, size=size, paint=paint, options=SAME
    ).path


def test_numbers_in_rows_and_tables(tmp_path: Path, livevision: Call) -> None:
    results, table = tmp_path / "out.jsonl", tmp_path / "out.csv"
    outputs = ("--output", results, "--output", table, "--output", tmp_path / "out.mp4")
    source = ("--source", still(tmp_path), "--weights", detector(tmp_path), "--track")
    outcome = livevision(*source, *outputs, "--engine", "torch", "--conf", 0.3)
    assert outcome.code == 0, outcome.err
    first, *_, before, last = [row["detections"] for row in rows(results)]
    assert first
    assert all("track_id" not in found for found in first), "seen once, nothing is sure"
    assert last == before, "what is seen again keeps its number"
    numbers = [found["track_id"] for found in last]
    assert sorted(set(numbers)) == sorted(numbers)
    with table.open(newline="") as file:
        column = [row["track_id"] for row in csv.DictReader(file)]
    assert column[: len(first)] == [""] * len(first)
    assert column[-len(last) :] == list(map(str, numbers))


def test_python_has_the_numbers_and_none_without_the_flag(tmp_path: Path) -> None:
    options = {"weights": detector(tmp_path), "engine": "torch", "conf": 0.3}
    clip = still(tmp_path)
    *_, last = livevision.run(clip, track="sort", **options)
    assert last.detections is not None
    assert last.detections.tracker_id is not None
    assert (last.detections.tracker_id > 0).all()
    *_, last = livevision.run(clip, max_frames=1, **options)
    assert last.detections is not None
    assert last.detections.tracker_id is None
