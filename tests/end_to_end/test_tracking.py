"""`--track` and `--scene` from a file to rows, tables, events and the report."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import livevision
from livevision import run as livevision_run
from livevision.events.store import EventStore
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


SCENE = """
zones: {all: {points: [[0, 0], [1, 0], [1, 1], [0, 1]]}}
lines: {gate: {points: [[0, 0.5], [1, 0.5]]}}
rules:
  busy: {when: {zone: all, count: ">= 2", for: 50ms}}
  crowded: {when: {zone: all, count: ">= 900"}}
"""


def test_events_of_a_scene_and_its_figures(tmp_path: Path, livevision: Call) -> None:
    scene, events, report = tmp_path / "s.yaml", tmp_path / "e.jsonl", tmp_path / "r.json"
    scene.write_text(SCENE)
    clip = still(tmp_path)
    source = ("--source", clip, "--weights", detector(tmp_path), "--engine", "torch")
    arguments = (*source, "--conf", 0.3, "--scene", scene, "--report", report)
    outcome = livevision(*arguments, "--events", events)
    assert outcome.code == 0, outcome.err
    assert str(events) in outcome.err
    began, ended = rows(events)
    assert (began["rule"], began["phase"], began["place"]) == ("busy", "began", "all")
    assert (began["source"], began["kind"]) == (str(clip), "count")
    # Two have numbers from the second frame on; the rule waits for 50 ms more, two frames of 30.
    assert began["frame"] == 3
    assert began["value"] == len(began["tracks"]) == len(began["classes"]) >= 2
    assert (ended["phase"], ended["began"], ended["frame"]) == ("ended", began["id"], 4)
    figures = json.loads(report.read_text())["scene"][str(clip)]
    assert sum(figures["zones"]["all"]["in"].values()) >= began["value"]
    assert figures["lines"] == {"gate": {"in": {}, "out": {}}}
    options = {"weights": detector(tmp_path), "engine": "torch", "conf": 0.3, "hud": False}
    plain, watched, bare = (
        list(livevision_run(clip, **options, **more))[-1]
        for more in ({}, {"scene": scene}, {"scene": scene, "style": "none"})
    )
    middle = plain.image.shape[0] // 2
    rows_of_line = slice(middle - 2, middle + 3)
    white = watched.image[rows_of_line].max(0).min()
    assert white > 150, "the line is drawn across the whole picture"
    assert plain.image[rows_of_line].max(0).min() < white
    assert (bare.image == bare.frame.image).all(), "nothing is drawn"
    refused = livevision(*arguments, "--events", events)
    assert refused.code == 5
    assert "--overwrite" in refused.one_line()


def test_what_is_wrong_with_a_scene_is_told_before_the_run(
    tmp_path: Path, livevision: Call
) -> None:
    scene = tmp_path / "s.yaml"
    source = ("--source", still(tmp_path), "--weights", detector(tmp_path), "--engine", "torch")
    scene.write_text(SCENE.replace("zone: all", "zone: al"))
    assert "Did you mean 'all'" in livevision(*source, "--scene", scene).one_line()
    scene.write_text(SCENE.replace("for: 50ms", "class: persom"))
    outcome = livevision(*source, "--scene", scene)
    assert outcome.code == 2
    assert "rule 'busy': unknown class 'persom'. Did you mean 'person'" in outcome.one_line()
    assert livevision(*source, "--events", tmp_path / "e.jsonl").code == 2


def test_events_in_a_store_and_delivered_from_it(tmp_path: Path, livevision: Call) -> None:
    scene, store, table = tmp_path / "s.yaml", tmp_path / "e.sqlite", tmp_path / "e.csv"
    scene.write_text(SCENE)
    source = ("--source", still(tmp_path), "--weights", detector(tmp_path), "--engine", "torch")
    arguments = (*source, "--conf", 0.3, "--scene", scene)
    refused = livevision(*arguments, "--events", table)
    assert refused.code == 2
    assert "--events events.sqlite" in refused.one_line()
    # Nobody listens there; what cannot be delivered does not hold up the run.
    places = ("--events", store, "--events", table, "--events", "http://127.0.0.1:9/hook")
    for run in (1, 2):
        outcome = livevision(*arguments, *places, "--events-private")
        assert outcome.code == 0, outcome.err
        with table.open(newline="") as file:
            written = list(csv.DictReader(file))
        assert [row["phase"] for row in written] == ["began", "ended"] * run
    kept = EventStore(store)
    assert [each.id for each in kept.after(0)] == [row["id"] for row in written]
    assert kept.position("http://127.0.0.1:9/hook") == 0
    kept.close()


def test_clips_and_crops_from_the_command_line(tmp_path: Path, livevision: Call) -> None:
    scene, events, report = tmp_path / "s.yaml", tmp_path / "e.jsonl", tmp_path / "r.json"
    scene.write_text(SCENE)
    folder, cut_out = tmp_path / "clips", tmp_path / "crops"
    source = ("--source", still(tmp_path), "--weights", detector(tmp_path), "--engine", "torch")
    arguments = (*source, "--conf", 0.3, "--scene", scene)
    kept = ("--clips", folder, "--clip-before", "50ms", "--clip-after", "1m")
    places = ("--events", events, "--output", f"crops:{cut_out}/", "--report", report)
    outcome = livevision(*arguments, *kept, *places)
    assert outcome.code == 0, outcome.err
    assert str(folder) in outcome.err
    assert str(cut_out) in outcome.err
    began, ended = rows(events)
    assert began["clip"] == ended["clip"]
    assert Path(began["picture"]).is_file()
    # From the key frame before 50 ms before the third picture of 30 a second.
    assert len(clips.read_clip(Path(began["clip"]))) == 4
    assert json.loads(report.read_text())["clips"]["written"] == 1
    assert len(list(cut_out.rglob("*.jpg"))) >= 2
    refused = livevision(*arguments, "--clips", folder)
    assert refused.code == 2
    assert "--events events.sqlite" in refused.one_line()
    for wrong in (("--clip-before", "soon"), ("--max-disk", "much"), ("--output", "crops:")):
        outcome = livevision(*arguments, "--events", events, *wrong)
        assert outcome.code == 2
        assert wrong[1] in outcome.one_line()
    assert "add --track" in livevision(*source, "--output", "crops:x/").one_line()
