"""Names as files really have them: colons, bytes that are no text, per cent signs, great length."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from tests import clips
from tests.end_to_end.conftest import NO_BOXES, Outcome, rows

Call = Callable[..., Outcome]


@pytest.mark.parametrize(
    "stem", ["10:30", "50%", "a%02d", "[x] y", "caf\udce9", "x" * 251, "é" * 125 + "x", "concat:a"]
)
def test_a_video_by_its_own_name(
    stem: str, tmp_path: Path, livevision: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = clips.with_sound(tmp_path / "plain.mp4", frames=5).path
    plain.rename(tmp_path / f"{stem}.mp4")
    monkeypatch.chdir(tmp_path)
    outcome = livevision(
        *("--source", f"{stem}.mp4", *NO_BOXES, "--output", "runs/"),
        *("--output", "rows.jsonl", "--output", "rows.csv", "--report", "run.json"),
    )
    assert outcome.code == 0, outcome.err
    assert os.listdir("runs") == [f"{stem}.mp4"]  # noqa: PTH208
    assert [row["source"] for row in rows(tmp_path / "rows.jsonl")] == [f"{stem}.mp4"] * 5
    report = json.loads((tmp_path / "run.json").read_text())
    assert report["frames_out"] == 5
    with (tmp_path / "rows.csv").open(encoding="utf-8") as table:
        assert next(csv.reader(table))[0] == "source"
    # Read through a copy: what is tested is the name, and not the reader of the tests.
    (tmp_path / "runs" / f"{stem}.mp4").rename(tmp_path / "out.mp4")
    frames = clips.read_clip(tmp_path / "out.mp4")
    assert [frame.number for frame in frames] == list(range(5))


@pytest.mark.parametrize("stem", ["10:30", "50%", "caf\udce9", "x" * 249])
def test_outputs_by_such_names(
    stem: str, tmp_path: Path, livevision: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips.constant_rate(tmp_path / "in.mp4", frames=3)
    monkeypatch.chdir(tmp_path)
    names = {f"{stem}.mp4", f"{stem}.mkv", f"{stem}.jsonl"}
    outputs = [word for name in names for word in ("--output", name)]
    outcome = livevision("--source", "in.mp4", *outputs)
    assert outcome.code == 0, outcome.err
    assert set(os.listdir()) == {"in.mp4", *names}  # noqa: PTH208


def test_pictures_of_a_folder_keep_their_names(tmp_path: Path, livevision: Call) -> None:
    (tmp_path / "photos").mkdir()
    for number, name in enumerate(("cat 2.jpg", "cat 10.png", "dog.webp")):
        cv2.imwrite(str(tmp_path / "photos" / name), clips.numbered(number))
    outcome = livevision(
        *("--source", tmp_path / "photos", *NO_BOXES, "--output", f"{tmp_path}/runs/"),
        *("--output", tmp_path / "rows.jsonl", "--output", tmp_path / "rows.csv"),
    )
    assert outcome.code == 0, outcome.err
    written = sorted(p.name for p in (tmp_path / "runs" / "photos").iterdir())
    assert written == ["cat 10.png", "cat 2.jpg", "dog.jpg"]
    found = rows(tmp_path / "rows.jsonl")
    names = [str(tmp_path / "photos" / name) for name in ("cat 2.jpg", "cat 10.png", "dog.webp")]
    assert [(row["source"], row["frame"], row["time"]) for row in found] == [
        (name, number, None) for number, name in enumerate(names)
    ]


@pytest.mark.parametrize("stem", ["~", "~draft", "~nobody-of-this-name/a"])
def test_a_tilde_of_no_user_is_a_character(
    stem: str, tmp_path: Path, livevision: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in", "out"):
        (tmp_path / name / stem).parent.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "in")
    clips.constant_rate(Path(f"./{stem}.mp4"), frames=2)
    outcome = livevision("--source", f"{stem}.mp4", *NO_BOXES, "--output", f"{stem}.jsonl")
    assert outcome.code == 0, outcome.err
    assert len(rows(tmp_path / "in" / f"{stem}.jsonl")) == 2


@pytest.mark.parametrize("flag", ["--source", "--output", "--weights", "--config"])
def test_a_tilde_of_no_user_is_no_bug(flag: str, tmp_path: Path, livevision: Call) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=2)
    outcome = livevision("--source", clip.path, flag, "~nobody-of-this-name")
    assert outcome.code in (2, 3, 4)
    assert "~nobody-of-this-name" in outcome.one_line()
    assert "internal error" not in outcome.err
