"""``--record`` from the command line: kept from every end of a run, and stopping none."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests import clips
from tests.end_to_end.conftest import NO_BOXES, Outcome, rows
from tests.end_to_end.test_stopping import wait_for_rows
from tests.end_to_end.test_tracking import SCENE, detector, still

Call = Callable[..., Outcome]
Start = Callable[..., "subprocess.Popen[str]"]


def segments(folder: Path) -> list[tuple[Any, ...]]:
    """File, source, start, end and whether complete, by time."""
    read = sqlite3.connect(folder / "index.sqlite")
    try:
        return read.execute(
            "SELECT file, source, start_utc, end_utc, complete FROM segments ORDER BY start_utc"
        ).fetchall()
    finally:
        read.close()


def test_a_killed_run_leaves_its_recording_which_the_next_one_lists(
    tmp_path: Path, start: Start, livevision: Call
) -> None:
    clip = clips.with_sound(tmp_path / "in.mp4", frames=60).path
    folder, results = tmp_path / "recordings", tmp_path / "out.jsonl"
    record = ("--record", "continuous", "--record-sound", "--recordings", folder)
    process = start(
        "--source", clip, "--loop", "--headless", *NO_BOXES, "--output", results, *record
    )
    wait_for_rows(results, 200, process)
    while not segments(folder):  # which the index lists once it can be read
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.communicate()
    (path,) = folder.rglob("*.mp4")
    shown = clips.read_clip(path)
    assert [frame.number for frame in shown] == [n % 60 for n in range(len(shown))]
    assert len(shown) > len(rows(results)) - 60, "all but about the last second"
    heard = clips.sound_span(path)
    assert heard is not None
    assert heard[0] == pytest.approx(0, abs=0.03)
    assert heard[1] == pytest.approx(shown[-1].time, abs=0.6), "and its sound"
    assert [row[4] for row in segments(folder)] == [0]
    outcome = livevision("--source", clip, *NO_BOXES, *record, "--report", tmp_path / "report.json")
    assert outcome.code == 0, outcome.err
    left, new = segments(folder)
    assert left[0] == path.relative_to(folder).as_posix()
    assert left[1] == str(clip)
    span = datetime.fromisoformat(left[3]) - datetime.fromisoformat(left[2])
    assert span.total_seconds() == pytest.approx(shown[-1].time + 1 / 30, abs=0.05)
    assert (left[4], new[4]) == (0, 1)
    assert len(clips.read_clip(folder / new[0])) == 60
    assert clips.sound_span(folder / new[0]) == pytest.approx((0, 2), abs=0.05)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["recording"]["segments"] == 1
    assert report["recording"]["bytes"] == sum(p.stat().st_size for p in folder.rglob("*.mp4"))
    (outlet,) = [each for each in report["outlets"] if each["output"].startswith("record:")]
    assert (outlet["frames_in"], outlet["frames_out"], outlet["error"]) == (60, 60, None)


FULL = """
import resource, sys
import livevision

for frame in livevision.run("in.mp4", model="thundernet-snet49", conf=1.0, output="out.jsonl",
                            record="continuous", report="report.json"):
    if frame.index == 20:
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), most))
"""


def test_a_full_disk_stops_the_recording_and_not_the_watching(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    clip = clips.make_clip(tmp_path / "in.mp4", frames=300, gop=300, size=(640, 480)).path
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(clip.stat().st_size // 2)],
        capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "out.jsonl")) == 300
    assert done.stderr.count("recording stopped") == 1
    assert "Traceback" not in done.stderr
    (path,) = (tmp_path / "recordings").rglob("*.mp4")
    shown = [frame.number for frame in clips.read_clip(path)]
    assert len(shown) > 20
    assert shown == list(range(len(shown)))
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["recording"]["failures"] >= 1
    (outlet,) = [each for each in report["outlets"] if each["output"].startswith("record:")]
    assert outlet["frames_in"] == 300
    assert outlet["frames_in"] == outlet["frames_out"] + sum(outlet["dropped"].values())
    assert "largest size" in outlet["error"]


def test_sources_are_recorded_each_as_its_settings_say(tmp_path: Path, livevision: Call) -> None:
    clip = still(tmp_path)
    sounding = clips.with_sound(tmp_path / "sounding.mp4", frames=5).path
    (tmp_path / "s.yaml").write_text(SCENE)
    config = tmp_path / "run.yaml"
    config.write_text(
        f"""
sources:
  door: {{uri: '{clip}', record: on-event, scene: '{tmp_path / "s.yaml"}'}}
  yard: {{uri: '{clip}', record: off}}
  gate: {{uri: '{clip}'}}
  ramp: {{uri: '{sounding}', record-sound: false}}
  till: {{uri: '{sounding}'}}
record: continuous
record-sound: true
recordings: '{tmp_path / "r"}'
weights: '{detector(tmp_path)}'
engine: torch
conf: 0.3
"""
    )
    outcome = livevision("--config", config, "--headless")
    assert outcome.code == 0, outcome.err
    assert "nothing is kept" not in outcome.err
    found = {row[1]: row for row in segments(tmp_path / "r")}
    assert found.keys() == {"door", "gate", "ramp", "till"}
    heard = {name for name, row in found.items() if clips.sound_span(tmp_path / "r" / row[0])}
    assert heard == {"till"}
    assert all(len(clips.read_clip(tmp_path / "r" / row[0])) == 5 for row in found.values())
    read = sqlite3.connect(tmp_path / "r" / "index.sqlite")
    events = read.execute("SELECT file, rule, phase FROM events ORDER BY phase").fetchall()
    read.close()
    assert events == [(found["door"][0], "busy", phase) for phase in ("began", "ended")]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--record", "on-event"), "add --scene FILE"),
        (("--record", "always"), "'always'"),
        (("--record", "continuous", "--segment", "soon"), "30s or 5m"),
        (("--record", "continuous", "--recordings", "in.mp4"), "cannot record into in.mp4"),
        (("--record", "continuous", "--record-sound", "--blur", "person"), "blur records pictures"),
        (("--record-sound", "--record-annotated"), "leave one of the two out"),
    ],
    ids=["no-scene", "mode", "segment", "folder", "sound-of-hidden", "sound-of-annotated"],
)
def test_what_cannot_be_recorded_is_told_before_the_run(
    words: tuple[str, ...],
    told: str,
    tmp_path: Path,
    livevision: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clips.make_clip(tmp_path / "in.mp4", frames=3)
    monkeypatch.chdir(tmp_path)
    outcome = livevision("--source", "in.mp4", *words)
    assert outcome.code in (2, 5)
    assert told in outcome.one_line()
