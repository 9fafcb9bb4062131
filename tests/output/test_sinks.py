"""The contract of the sink seam, for every sink that is registered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv

from livevision.errors import OutputError
from livevision.output.options import OutputOptions
from livevision.registry import SINKS, resolve
from livevision.results import ClassMap
from tests import clips
from tests.output import screen
from tests.output.feeding import plain_info, rendered

FRAMES = 12


def found() -> dict[str, Any]:
    return {
        "detect": sv.Detections(
            xyxy=np.array([[1, 2, 30, 40]], np.float32),
            confidence=np.array([0.5], np.float32),
            class_id=np.array([3]),
            data={"class_name": np.array(["dog"])},
        ),
        "segment": ClassMap(np.ones((240, 320), np.uint8), ["road", "sky"]),
    }


def count_lines(path: Path) -> int:
    return len([json.loads(line) for line in path.read_text().splitlines()])


# Of each kind, its targets and how many frames a finished one holds.
TARGETS: list[tuple[str, str, Callable[[Path], int]]] = [
    ("video_file", "out.mp4", lambda path: len(clips.read_clip(path))),
    ("video_file", "out.mkv", lambda path: len(clips.read_clip(path))),
    ("video_file", "out.mov", lambda path: len(clips.read_clip(path))),
    ("records", "out.jsonl", count_lines),
    ("records", "out.csv", lambda path: len(path.read_text().splitlines()) // 2),
    ("images", "frames/%06d.jpg", lambda path: len(list(path.parent.glob("*.jpg")))),
    ("images", "frames/*.png", lambda path: len(list(path.parent.glob("*.png")))),
    ("null", "", lambda path: FRAMES),
]
# A process that has shown a window ends with the display it was on, so windows get their own.
WINDOW_ONLY = "LIVEVISION_TEST_WINDOW_ONLY"
if WINDOW_ONLY in os.environ:
    TARGETS = [("window", "", lambda path: FRAMES)]
FILES = [case for case in TARGETS if case[0] not in ("null", "window")]
names = pytest.mark.parametrize(
    ("kind", "name", "count"), TARGETS, ids=[f"{k}-{n}" for k, n, _ in TARGETS]
)
files = pytest.mark.parametrize(
    ("kind", "name", "count"), FILES, ids=[f"{k}-{n}" for k, n, _ in FILES]
)


def make(kind: str, target: Path | str, **options: Any) -> Any:
    return resolve(SINKS, kind, "sink")(
        str(target), plain_info(), OutputOptions(preset="ultrafast", **options)
    )


@pytest.mark.skipif(WINDOW_ONLY in os.environ, reason="runs the others")
def test_every_registered_sink_is_tested_here() -> None:
    elsewhere = {"web", "crops", "heatmap", "stream", "hls"}  # have tests of their own
    assert {*(kind for kind, _, _ in TARGETS), "window", *elsewhere} == set(SINKS)
    tests = "test_frames_go_in or test_pictures_are or test_nothing_written"
    with screen.virtual() as display:
        child = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", __file__, "-k", tests],
            env={**os.environ, WINDOW_ONLY: "1", "DISPLAY": display},
            capture_output=True,
            text=True,
            check=False,
        )
    assert child.returncode == 0, child.stdout + child.stderr
    assert "3 passed" in child.stdout


@names
def test_frames_go_in_and_a_finished_output_comes_out(
    tmp_path: Path, kind: str, name: str, count: Callable[[Path], int]
) -> None:
    target = tmp_path / "new" / "folder" / name
    sink = make(kind, target)
    assert isinstance(sink.wants_image, bool)
    assert sink.wants_image == (kind != "records")
    for index in range(FRAMES):
        sink.write(rendered(index, results=found()))
    sink.close()
    assert count(target) == FRAMES
    sink.close()
    assert count(target) == FRAMES
    if kind in ("null", "window"):
        assert sink.where == ""
    else:
        assert Path(sink.where).exists()
        assert not [path for path in tmp_path.rglob("*") if ".part" in path.name]


@files
def test_what_exists_is_replaced_only_on_demand(
    tmp_path: Path, kind: str, name: str, count: Callable[[Path], int]
) -> None:
    target = tmp_path / name
    first = make(kind, target)
    for index in range(3):
        first.write(rendered(index, results=found()))
    first.close()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(OutputError, match="--overwrite") as told:
        make(kind, target)
    assert "\n" not in str(told.value)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    second = make(kind, target, overwrite=True)
    for index in range(FRAMES):
        second.write(rendered(index, results=found()))
    second.close()
    assert count(target) == FRAMES


@files
def test_a_place_that_cannot_be_written_is_told_in_one_line(
    tmp_path: Path, kind: str, name: str, count: Callable[[Path], int]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError) as told:
        make(kind, tmp_path / "file" / name)
    assert "\n" not in str(told.value)
    assert str(tmp_path / "file") in str(told.value)


@names
def test_pictures_are_only_read(
    tmp_path: Path, kind: str, name: str, count: Callable[[Path], int]
) -> None:
    image = clips.numbered(1)
    image.flags.writeable = False
    sink = make(kind, tmp_path / name)
    sink.write(rendered(0, image, results=found()))
    sink.close()
    assert (image == clips.numbered(1)).all()


@names
def test_nothing_written_is_closed_too(
    tmp_path: Path, kind: str, name: str, count: Callable[[Path], int]
) -> None:
    sink = make(kind, tmp_path / name)
    sink.close()
    sink.close()
    assert not [path for path in tmp_path.rglob("*") if ".part" in path.name]


def test_a_window_needs_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(OutputError, match=r"DISPLAY is not set.*--headless.*--output"):
        make("window", "")


def test_a_display_that_does_not_answer_is_an_error_and_no_abort(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DISPLAY", ":4321")
    with pytest.raises(OutputError, match=r"':4321'.*--headless.*--output"):
        make("window", "")


def test_options_that_a_sink_does_not_know_do_no_harm(tmp_path: Path) -> None:
    info = replace(plain_info(), live=True, rate=None)
    for kind, name, _ in FILES:
        options = OutputOptions(pace=True, sources=("a", "b"), threads=1, preset="ultrafast")
        sink = resolve(SINKS, kind, "sink")(str(tmp_path / kind / name), info, options)
        sink.write(rendered(0, results=found()))
        sink.close()
