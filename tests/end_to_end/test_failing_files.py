"""What fails in the middle of a run: it costs itself alone, and is counted, listed and told."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import livevision as api
from livevision.errors import LivevisionError, OutputError, SourceError
from livevision.frame import Rendered
from livevision.output.video_file import VideoFileSink
from tests import clips
from tests.end_to_end.conftest import Outcome, rows

Call = Callable[..., Outcome]
LIGHT = ("--model", "thundernet-snet49")


def three_clips(folder: Path) -> Path:
    folder.mkdir()
    for name in ("a", "b", "c"):
        clips.constant_rate(folder / f"{name}.mp4", frames=12)
    return folder


def errors(report: dict[str, Any]) -> dict[str, bool]:
    return {Path(row["source"]).name: row["error"] is not None for row in report["sources"]}


def accounted_for(report: dict[str, Any]) -> None:
    lost = sum(n for causes in report["dropped"].values() for n in causes.values())
    assert report["frames_in"] == report["frames_out"] + lost


@pytest.mark.parametrize("moment", ["__init__", "write", "close"])
@pytest.mark.parametrize("which", ["a", "b", "c"])
def test_an_output_that_fails_costs_its_file_alone(
    moment: str, which: str, tmp_path: Path, livevision: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = three_clips(tmp_path / "clips")
    original = getattr(VideoFileSink, moment)

    def fails(sink: VideoFileSink, *arguments: Any, **options: Any) -> Any:
        late = moment != "write" or arguments[0].index == 5
        name = Path(sink.where if moment != "__init__" else arguments[0]).stem
        if name == which and late:
            raise OutputError("the muxer knows no such sound")
        return original(sink, *arguments, **options)

    monkeypatch.setattr(VideoFileSink, moment, fails)
    results, report = tmp_path / "rows.jsonl", tmp_path / "report.json"
    outcome = livevision(
        "--source", folder, *LIGHT, "--output", f"{tmp_path / 'runs'}/", "--output", results,
        "--report", report,
    )  # fmt: skip
    assert outcome.code == 3, outcome.err
    assert outcome.one_line() == "livevision: error: the muxer knows no such sound"
    assert "1 of 3 sources failed" in outcome.err
    others = {"a", "b", "c"} - {which}
    for name in others:
        assert len(clips.read_clip(tmp_path / "runs" / f"{name}.mp4")) == 12
        assert f"results are in {tmp_path / 'runs' / name}.mp4" in outcome.err
    assert f"results are in {tmp_path / 'runs' / which}.mp4" not in outcome.err
    told = json.loads(report.read_text())
    assert errors(told) == {f"{name}.mp4": name == which for name in ("a", "b", "c")}
    assert told["sources_failed"] == 1
    accounted_for(told)
    assert len(rows(results)) == told["frames_out"]
    done = {"__init__": 0, "write": 5, "close": 12}[moment]
    # The records are written beside the video, and may be some frames ahead when it fails.
    most = 12 if moment == "write" else done
    assert 24 + done <= told["frames_out"] <= 24 + most


def test_an_output_that_fails_for_all_is_an_output_that_fails(
    tmp_path: Path, livevision: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(sink: VideoFileSink, rendered: Rendered) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr(VideoFileSink, "write", fails)
    outcome = livevision(
        "--source", three_clips(tmp_path / "clips"), *LIGHT, "--output", f"{tmp_path / 'runs'}/"
    )
    assert outcome.code == 5
    assert outcome.err.count("the disk is full") == 3
    assert "3 of 3 sources failed" in outcome.err


def test_sources_that_fail_are_listed(tmp_path: Path, livevision: Call) -> None:
    folder = three_clips(tmp_path / "clips")
    (folder / "a.mp4").write_text("no video")
    clips.truncated(folder / "b.mp4")
    report = tmp_path / "report.json"
    outcome = livevision("--source", folder, *LIGHT, "--report", report)
    assert outcome.code == 3
    assert "2 of 3 sources failed" in outcome.err
    told = json.loads(report.read_text())
    assert errors(told) == {"a.mp4": True, "b.mp4": True, "c.mp4": False}
    assert told["sources_failed"] == 2
    assert [row["frames_out"] for row in told["sources"]][0::2] == [0, 12]
    assert "text" in told["sources"][0]["error"]
    assert "breaks off" in told["sources"][1]["error"]


def test_a_source_that_never_opened_has_no_table_of_zeros(tmp_path: Path, livevision: Call) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    report = tmp_path / "report.json"
    outcome = livevision("--source", tmp_path / "a.mp4", *LIGHT, "--report", report)
    assert outcome.code == 3
    assert "0.00" not in outcome.err
    assert "bottleneck" not in outcome.err
    assert "frames:" not in outcome.err
    told = json.loads(report.read_text())
    assert told["sources"] == [
        {
            "source": str(tmp_path / "a.mp4"),
            "frames_in": 0,
            "frames_out": 0,
            "dropped": {},
            "latency_ms": None,
            "losses": {},
            "error": told["sources"][0]["error"],
        }
    ]
    assert "a.mp4" in told["sources"][0]["error"]


def test_a_picture_that_its_format_cannot_hold_costs_itself_alone(
    tmp_path: Path, livevision: Call
) -> None:
    (tmp_path / "in").mkdir()
    for name, width in (("a", 64), ("b", 70_000), ("c", 64)):
        picture = np.full((8, width, 3), 90, np.uint8)
        cv2.imwrite(str(tmp_path / "in" / f"{name}.png"), picture)
    outcome = livevision(
        "--source", tmp_path / "in", *LIGHT, "--output", tmp_path / "out" / "%06d.jpg"
    )
    assert outcome.code == 5, outcome.err
    assert "65500 pixels a side, this has 70000x8; write .png" in outcome.one_line()
    assert "loadsave" not in outcome.err
    assert [p.name for p in sorted((tmp_path / "out").iterdir())] == ["000000.jpg", "000002.jpg"]


def test_pictures_that_cannot_be_read_are_listed(tmp_path: Path, livevision: Call) -> None:
    (tmp_path / "in").mkdir()
    for name in "acd":
        cv2.imwrite(str(tmp_path / "in" / f"{name}.png"), clips.numbered(0))
    (tmp_path / "in" / "b.png").write_text("no picture")
    cut = (tmp_path / "in" / "d.png").read_bytes()
    (tmp_path / "in" / "d.png").write_bytes(cut[: len(cut) // 2])
    results, report = tmp_path / "rows.jsonl", tmp_path / "report.json"
    outcome = livevision(
        "--source", tmp_path / "in", *LIGHT, "--output", results, "--report", report
    )
    assert outcome.code == 3, outcome.err
    assert "2 of 4 pictures cannot be read: " in outcome.err
    assert Path(rows(results)[-1]["source"]).name == "c.png"
    (told,) = json.loads(report.read_text())["sources"]
    assert "b.png" in told["error"]
    assert "d.png" in told["error"]
    assert told["losses"]["broken"] == 2
    assert told["frames_out"] == 2


@pytest.mark.parametrize("source", ["in", "in/*"])
def test_links_that_lead_nowhere_are_lost_files(
    source: str, tmp_path: Path, livevision: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    clips.constant_rate(Path("in/a.mp4"), frames=3)
    cv2.imwrite("in/c.png", clips.numbered(0))
    for name in ("b.mp4", "d.png"):
        Path("in", name).symlink_to(f"gone-{name}")
    outcome = livevision("--source", source, *LIGHT, "--output", "runs/", "--report", "r.json")
    assert outcome.code == 3, outcome.err
    told = {Path(s["source"]).name: s for s in json.loads(Path("r.json").read_text())["sources"]}
    assert told["a.mp4"]["error"] is None
    assert "b.mp4" in told["b.mp4"]["error"]
    pictures = told[Path(source).name]
    assert "d.png" in pictures["error"]
    assert (pictures["frames_out"], pictures["losses"]["broken"]) == (1, 1)


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "png"])
def test_pictures_are_written_without_a_word_of_opencv(
    suffix: str, tmp_path: Path, livevision: Call
) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=2)
    outcome = livevision(
        "--source", clip.path, *LIGHT, "--output", tmp_path / "out" / f"%d.{suffix}"
    )
    assert outcome.code == 0
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert "imencode" not in outcome.err
    assert "WARN" not in outcome.err


class TestReport:
    def test_a_loop_that_is_left_writes_it(self, tmp_path: Path) -> None:
        clip = clips.constant_rate(tmp_path / "in.mp4", frames=30)
        report = tmp_path / "report.json"
        for frame in api.run(source=clip.path, model="thundernet-snet49", report=report):
            if frame.index == 3:
                break
        told = json.loads(report.read_text())
        assert told["frames_out"] == 4
        assert told["engine"] == "openvino"
        accounted_for(told)

    def test_an_error_in_the_loop_writes_it(self, tmp_path: Path) -> None:
        clip = clips.constant_rate(tmp_path / "in.mp4", frames=30)
        report = tmp_path / "report.json"
        frames = api.run(source=clip.path, model="thundernet-snet49", report=report)
        next(frames)
        with pytest.raises(ZeroDivisionError):
            frames.throw(ZeroDivisionError())  # type: ignore[attr-defined]
        assert json.loads(report.read_text())["frames_out"] == 1

    def test_one_that_cannot_be_written_does_not_hide_the_error_of_the_run(
        self, tmp_path: Path, livevision: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clip = clips.constant_rate(tmp_path / "in.mp4", frames=5)

        def fails(sink: VideoFileSink, rendered: Rendered) -> None:
            (tmp_path / "there").rename(tmp_path / "gone")
            raise OutputError("the disk is full")

        (tmp_path / "there").mkdir()
        monkeypatch.setattr(VideoFileSink, "write", fails)
        outcome = livevision(
            "--source", clip.path, *LIGHT, "--output", tmp_path / "out.mp4",
            "--report", tmp_path / "there" / "report.json",
        )  # fmt: skip
        assert outcome.code == 5
        last = outcome.err.splitlines()[-1]
        assert last == "livevision: error: the disk is full"
        assert "cannot write the report" in outcome.err

    def test_one_that_cannot_be_written_does_not_hide_a_failed_source(
        self, tmp_path: Path, livevision: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clip = clips.truncated(tmp_path / "in.mp4")

        def fails(path: Path, report: object) -> None:
            raise OutputError("cannot write the report")

        monkeypatch.setattr("livevision.runtime.outcome.write_report", fails)
        out = tmp_path / "out.jsonl"
        arguments = ["--source", clip.path, *LIGHT, "--output", out, "--report", tmp_path / "r"]
        outcome = livevision(*arguments)
        assert outcome.code == 3
        assert "breaks off" in outcome.err
        assert "cannot write the report" in outcome.err
        assert f"results are in {out}" in outcome.err
        with pytest.raises(SourceError, match="breaks off"):
            list(api.run(source=clip.path, model=LIGHT[1], report=tmp_path / "r"))

    def test_one_that_cannot_be_written_after_a_good_run_is_its_error(
        self, tmp_path: Path, livevision: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clip = clips.constant_rate(tmp_path / "in.mp4", frames=3)

        def fails(path: Path, report: object) -> None:
            raise OutputError("cannot write the report")

        monkeypatch.setattr("livevision.runtime.outcome.write_report", fails)
        out = tmp_path / "out.jsonl"
        outcome = livevision("--source", clip.path, *LIGHT, "--output", out, "--report", "r.json")
        assert outcome.code == 5
        assert outcome.one_line() == "livevision: error: cannot write the report"
        assert outcome.err.splitlines()[-2] == outcome.one_line()
        with pytest.raises(OutputError, match="cannot write the report"):
            list(api.run(source=clip.path, model=LIGHT[1], report="r.json"))
        assert f"results are in {out}" in outcome.err

    @pytest.mark.parametrize("name", ["out.jsonl", "./out.jsonl", "link"])
    def test_one_on_the_path_of_an_output_is_refused(
        self, name: str, tmp_path: Path, livevision: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clip = clips.constant_rate(tmp_path / "in.mp4", frames=3)
        monkeypatch.chdir(tmp_path)
        Path("link").symlink_to("out.jsonl")
        outcome = livevision(
            "--source", clip.path, "--output", "out.jsonl", "--report", name, "--overwrite"
        )
        assert outcome.code == 2
        assert "on one path" in outcome.one_line()
        assert not Path("out.jsonl").exists()

    def test_one_on_standard_output(
        self,
        tmp_path: Path,
        livevision: Call,
        monkeypatch: pytest.MonkeyPatch,
        start: Callable[..., subprocess.Popen[str]],
    ) -> None:
        clip = clips.constant_rate(tmp_path / "in.mp4", frames=3)
        monkeypatch.chdir(tmp_path)
        words = ("--source", clip.path, *LIGHT, "--headless", "--report", "-")
        out, err = start(*words).communicate(timeout=120)
        assert json.loads(out)["frames_out"] == 3, err
        assert "report in" not in err
        outcome = livevision(*words, "--output", "-")
        assert outcome.code == 2
        assert "on one path" in outcome.one_line()
        assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]

    def test_one_on_the_path_of_the_input_is_refused(
        self, tmp_path: Path, livevision: Call
    ) -> None:
        clip = clips.constant_rate(tmp_path / "in.mp4", frames=3)
        before = clip.path.read_bytes()
        outcome = livevision("--source", clip.path, "--report", clip.path)
        assert outcome.code == 2
        assert "is the input" in outcome.one_line()
        assert clip.path.read_bytes() == before


def test_two_outputs_on_one_path_are_refused(
    tmp_path: Path, livevision: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=3)
    monkeypatch.chdir(tmp_path)
    for pair in (("out.mp4", "./out.mp4"), ("runs/", "runs/in.mp4"), ("runs/", "./runs/")):
        outcome = livevision("--source", clip.path, "--output", pair[0], "--output", pair[1])
        assert outcome.code == 2, outcome.err
        assert "on one path" in outcome.one_line()
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_many_results_in_one_folder_take_one_line(tmp_path: Path, livevision: Call) -> None:
    (tmp_path / "in").mkdir()
    first = clips.constant_rate(tmp_path / "in" / "0.mp4", frames=2).path
    for number in range(1, 12):
        (tmp_path / "in" / f"{number}.mp4").write_bytes(first.read_bytes())
    outcome = livevision(
        "--source", tmp_path / "in", *LIGHT, "--output", f"{tmp_path / 'runs'}/",
        "--output", tmp_path / "rows.jsonl",
    )  # fmt: skip
    assert outcome.code == 0
    assert [line for line in outcome.err.splitlines() if "results are in" in line] == [
        f"livevision: results are in {tmp_path / 'runs'}/ (12 files)",
        f"livevision: results are in {tmp_path / 'rows.jsonl'}",
    ]


def test_nothing_written_is_not_told_as_a_result(tmp_path: Path, livevision: Call) -> None:
    clip = clips.zero_frames(tmp_path / "in.mp4")
    outcome = livevision("--source", clip.path, *LIGHT, "--output", tmp_path / "out.mp4")
    assert outcome.code == 3
    assert "results are in" not in outcome.err
    assert issubclass(OutputError, LivevisionError)
