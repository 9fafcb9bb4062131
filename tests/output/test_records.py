"""Rows of results, exactly as other programs rely on them."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv

from livevision.errors import OutputError
from livevision.frame import Picture
from livevision.output.options import OutputOptions
from livevision.output.records import COLUMNS, RecordsSink
from livevision.results import ClassMap, Label
from tests.output.feeding import plain_info, rendered
from tests.output.test_video_file import largest_file


def detections(**more: Any) -> sv.Detections:
    return sv.Detections(
        xyxy=np.array([[1.234567, 2, 30.005, 40], [0, 0, 9.999, 7]], np.float32),
        confidence=np.array([0.87654321, 0.5], np.float32),
        class_id=np.array([14, 6]),
        data={"class_name": np.array(["person", "café, bar"])},
        **more,
    )


def class_map() -> ClassMap:
    pixels = np.zeros((3, 10), np.uint8)
    pixels[0] = 2
    return ClassMap(pixels, ["road", "car", "sky"])


def rows_of(target: Path, *frames: Any, sources: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    sink = RecordsSink(str(target), plain_info(), OutputOptions(sources=sources))
    for frame in frames:
        sink.write(frame)
    sink.close()
    if target.suffix == ".csv":
        with target.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    return [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_picture_has_its_own_name_and_no_time(tmp_path: Path, suffix: str) -> None:
    frame = rendered(1, results={"detect": detections()})
    names = [("photos/cat.jpg", None), ("photos/caf\udce9.tiff", 2)]
    of_pictures = [
        replace(frame, frame=replace(frame.frame, picture=Picture(*name))) for name in names
    ]
    found = rows_of(tmp_path / f"r.{suffix}", *of_pictures, sources=("photos",))
    if suffix == "csv":
        assert [row["source"] for row in found[1::2]] == [
            "photos/cat.jpg",
            r"photos/caf\udce9.tiff",
        ]
        assert {row["time"] for row in found} == {""}
    else:
        assert [row["source"] for row in found] == [name for name, _ in names]
        assert [row["time"] for row in found] == [None, None]
        assert [row.get("page") for row in found] == [None, 3]


def test_a_row_of_both_tasks(tmp_path: Path) -> None:
    results = {"segment": class_map(), "detect": detections()}
    (row,) = rows_of(tmp_path / "r.jsonl", rendered(7, time=1 / 3, results=results))
    assert list(row) == ["source", "frame", "time", "detections", "segments"]
    assert row == {
        "source": "clip.mp4",
        "frame": 7,
        "time": 0.333333,
        "detections": [
            {
                "box": [1.23, 2.0, 30.0, 40.0],
                "class": "person",
                "class_id": 14,
                "confidence": 0.8765,
            },
            {"box": [0, 0, 10.0, 7.0], "class": "café, bar", "class_id": 6, "confidence": 0.5},
        ],
        "segments": {"road": 0.666667, "sky": 0.333333},
    }


def test_the_keys_follow_the_task(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path / "d.jsonl", rendered(results={"detect": sv.Detections.empty()}))
    assert row["detections"] == []
    assert "segments" not in row
    (row,) = rows_of(tmp_path / "s.jsonl", rendered(results={"segment": class_map()}))
    assert "detections" not in row
    label = Label(np.array([1, 0]), np.array([0.9, 0.1], np.float32), ["cat", "dog"])
    (row,) = rows_of(tmp_path / "l.jsonl", rendered(results={"classify": label}))
    assert row["labels"][0] == {"class": "dog", "class_id": 1, "confidence": 0.9}


def test_tracks_are_named_where_there_are_any(tmp_path: Path) -> None:
    tracked = detections(tracker_id=np.array([5, 9]))
    (row,) = rows_of(tmp_path / "r.jsonl", rendered(results={"detect": tracked}))
    assert [found["track_id"] for found in row["detections"]] == [5, 9]


def test_rows_of_several_sources_are_told_apart(tmp_path: Path) -> None:
    frames = [rendered(0, source=1), rendered(0, source=0), rendered(1, source=5)]
    rows = rows_of(tmp_path / "r.jsonl", *frames, sources=("a.mp4", "b.mp4"))
    assert [row["source"] for row in rows] == ["b.mp4", "a.mp4", "clip.mp4"]


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_frames_of_live_sources_carry_the_time_of_day(tmp_path: Path, suffix: str) -> None:
    before = datetime.now(UTC)
    captured = time.monotonic() - 2.5
    sink = RecordsSink(str(tmp_path / f"r.{suffix}"), plain_info())
    sink.opened(0, plain_info(live=True))
    sink.opened(1, plain_info(live=False))
    for source in (0, 1):
        frame = rendered(3, source=source, results={"detect": detections()})
        sink.write(replace(frame, frame=replace(frame.frame, wall_time=captured)))
    sink.close()
    text = (tmp_path / f"r.{suffix}").read_text(encoding="utf-8")
    if suffix == "csv":
        live, _, file, _ = csv.DictReader(text.splitlines())
        assert file["wall_time"] == ""
    else:
        live, file = (json.loads(line) for line in text.splitlines())
        assert list(live)[:4] == ["source", "frame", "time", "wall_time"]
        assert "wall_time" not in file
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", live["wall_time"])
    told = datetime.fromisoformat(live["wall_time"])
    assert abs((told - before).total_seconds() + 2.5) < 1


def test_the_table(tmp_path: Path) -> None:
    results = {"detect": detections(), "segment": class_map()}
    nothing = {"detect": sv.Detections.empty()}
    frames = [rendered(3, time=0.1, results=results), rendered(4, results=nothing)]
    rows = rows_of(tmp_path / "r.csv", *frames)
    assert tuple(rows[0]) == COLUMNS
    assert [(r["frame"], r["class"], r["x1"], r["confidence"], r["share"]) for r in rows] == [
        ("3", "person", "1.23", "0.8765", ""),
        ("3", "café, bar", "0.0", "0.5", ""),
        ("3", "road", "", "", "0.666667"),
        ("3", "sky", "", "", "0.333333"),
    ]
    assert [r["class_id"] for r in rows] == ["14", "6", "0", "2"]


def test_a_crash_costs_at_most_the_row_being_written(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from livevision.output.records import RecordsSink\n"
        "from tests.output.feeding import plain_info, rendered\n"
        "sink = RecordsSink(sys.argv[1], plain_info())\n"
        "for index in range(50):\n"
        "    sink.write(rendered(index))\n"
        "print('written', flush=True)\n"
        "time.sleep(60)\n"
    )
    target = tmp_path / "r.jsonl"
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(target)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [row["frame"] for row in rows] == list(range(50))


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_full_disk_leaves_whole_rows(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"r.{suffix}"
    sink = RecordsSink(str(target), plain_info())

    def run() -> None:
        for index in range(1000):
            sink.write(rendered(index, results={"detect": detections()}))

    with largest_file(5000), pytest.raises(OutputError, match="cannot go on writing"):
        run()
    sink.close()
    text = target.read_text(encoding="utf-8")
    assert 4000 < len(text.encode()) <= 5000
    assert text.endswith("\n")


def test_the_older_rows_stay_until_the_new_ones_are_finished(tmp_path: Path) -> None:
    target = tmp_path / "r.jsonl"
    target.write_text("older\n")
    sink = RecordsSink(str(target), plain_info(), replace(OutputOptions(), overwrite=True))
    sink.write(rendered())
    assert target.read_text() == "older\n"
    sink.close()
    assert json.loads(target.read_text())["frame"] == 0
