"""What the bench compares is the same work, and what it prints is what it measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from livevision.bench import pipeline
from livevision.cli import main
from livevision.config import Settings
from tests import clips

LIGHT = "thundernet-snet49"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=12)
    return Settings.of(
        source=clip.path, output=tmp_path / "out.mp4", conf=1, headless=True, overwrite=True,
        quiet=True, threads=1, model=LIGHT,
    )  # fmt: skip


def test_loop_and_pipeline_write_the_same_frames(settings: Settings) -> None:
    out = Path(settings.output[0])
    loop = pipeline.through_loop(settings)
    from_loop = [(f.number, f.time) for f in clips.read_clip(out)]
    run, report = pipeline.through_pipeline(settings)
    from_pipeline = [(f.number, f.time) for f in clips.read_clip(out)]
    assert from_loop == from_pipeline
    assert len(from_loop) == loop.frames == run.frames == report["frames_out"] == 12


def test_max_frames_holds_on_both_sides(settings: Settings) -> None:
    short = settings.model_copy(update={"max_frames": 5})
    loop = pipeline.through_loop(short)
    run, _ = pipeline.through_pipeline(short)
    assert loop.frames == run.frames == 5


def test_a_loop_on_one_core_uses_no_other(settings: Settings) -> None:
    measured = pipeline.in_new_process(pipeline.through_loop, settings, one_core=True)
    assert measured.frames == 12
    assert measured.cpu_s <= 1.05 * measured.wall_s


def test_the_enlarged_clip_has_the_frames_and_times_of_the_first(tmp_path: Path) -> None:
    clip = clips.variable_rate(tmp_path / "in.mp4", frames=8)
    pipeline.enlarge(clip.path, tmp_path / "large.mp4")
    frames = clips.read_clip(tmp_path / "large.mp4")
    assert [f.number for f in frames] == list(range(8))
    assert [f.time for f in frames] == pytest.approx(clip.times, abs=1e-3)
    assert frames[0].image.shape == (720, 1280, 3)


def test_the_command_prints_the_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=6)
    given = ["--source", str(clip.path), "--model", LIGHT]
    assert main(["bench", "pipeline", *given, "--rounds", "1"]) == 0
    said = capsys.readouterr().out
    fps = {
        name: float(re.search(rf"^{name} +([\d.]+) fps", said, re.M)[1])  # type: ignore[index]
        for name in ("pipeline", "plain loop", "plain loop, one core")
    }
    ratio = re.search(r"^plain loop +.* x([\d.]+)", said, re.M)
    assert ratio is not None
    assert float(ratio[1]) == pytest.approx(fps["pipeline"] / fps["plain loop"], rel=0.05)
    # Which stage limits so short a run, if any does, is a matter of the machine.
    busy = dict(re.findall(r"^ +(\w+) .* busy +(\d+)%", said, re.M))
    assert {"capture", "inference", "output"} <= busy.keys()
    assert "µs a frame" in said


def test_memory_is_told_along_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=10)
    assert main(["bench", "memory", "--source", str(clip.path), "--frames", "40"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [int(row[0]) for row in rows] == [4 * n for n in range(1, 11)]
    assert all(float(row[1]) > 20 for row in rows)
