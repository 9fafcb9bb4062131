"""Outputs on links, pipes and devices: written through or refused, and never put in their place."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from livevision.errors import OutputError, UsageError
from livevision.output.options import OutputOptions
from livevision.output.output_file import OutputFile
from livevision.output.report_file import check_report, write_report
from livevision.output.target import Target, check, refuse_same
from livevision.registry import SINKS, resolve
from tests import clips
from tests.output.feeding import plain_info, rendered

KINDS = [("records", "out.jsonl"), ("video_file", "out.mp4"), ("images", "out.png")]
kinds = pytest.mark.parametrize(("kind", "name"), KINDS)


def make(kind: str, target: Path, overwrite: bool = False) -> Any:
    options = OutputOptions(preset="ultrafast", overwrite=overwrite)
    return resolve(SINKS, kind, "sink")(str(target), plain_info(frames=1), options)


def written(path: Path, kind: str) -> bool:
    if kind == "records":
        return json.loads(path.read_text())["frame"] == 0
    return len(clips.read_clip(path)) == 1


@kinds
@pytest.mark.parametrize("older", [True, False], ids=["a link", "a dangling link"])
def test_a_link_is_written_through(kind: str, name: str, older: bool, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    end = tmp_path / "disk" / f"real{Path(name).suffix}"
    if older:
        end.write_text("older")
    middle, link = tmp_path / "middle", tmp_path / name
    middle.symlink_to(Path("disk") / end.name)
    link.symlink_to(middle)
    check(Target(kind, str(link)), overwrite=older)
    sink = make(kind, link, overwrite=older)
    sink.write(rendered())
    sink.close()
    assert link.is_symlink()
    assert middle.is_symlink()
    assert not end.is_symlink()
    assert written(end, kind)
    assert sink.where == str(link)
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(
        ["disk", end.name, "middle", name]
    )


@kinds
def test_what_a_link_leads_to_is_not_overwritten_unasked(
    kind: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / "real").write_text("precious")
    link = tmp_path / name
    link.symlink_to("real")
    with pytest.raises(OutputError, match="--overwrite"):
        check(Target(kind, str(link)), overwrite=False)
    with pytest.raises(OutputError, match="--overwrite"):
        make(kind, link).write(rendered())
    assert (tmp_path / "real").read_text() == "precious"


@kinds
@pytest.mark.parametrize(
    ("to", "says"), [("gone/real", "no such folder"), ("again", "form a cycle")]
)
def test_a_link_that_leads_nowhere_is_refused(
    kind: str, name: str, to: str, says: str, tmp_path: Path
) -> None:
    link = tmp_path / name
    link.symlink_to(to)
    if to == "again":
        (tmp_path / "again").symlink_to(link)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=says):
            check(Target(kind, str(link)), overwrite=overwrite)
        with pytest.raises(OutputError, match=says):
            make(kind, link, overwrite).write(rendered())
    assert link.is_symlink()
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("target", ["runs", "runs/a.mp4", "runs/b/%06d.jpg"])
def test_a_folder_that_is_not_behind_its_link_is_told_before_the_work(
    target: str, tmp_path: Path
) -> None:
    (tmp_path / "runs").symlink_to("gone")
    kind = {"": "folder", ".mp4": "video_file", ".jpg": "images"}[Path(target).suffix]
    with pytest.raises(OutputError, match="links to gone, which is not there"):
        check(Target(kind, str(tmp_path / target)), overwrite=True)
    assert not (tmp_path / "gone").exists()


@kinds
@pytest.mark.parametrize("linked", [True, False])
def test_a_pipe_is_refused_and_stays(kind: str, name: str, linked: bool, tmp_path: Path) -> None:
    pipe = tmp_path / ("pipe" if linked else name)
    os.mkfifo(pipe)
    if linked:
        (tmp_path / name).symlink_to(pipe)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"is a pipe, not a file.*--output - >"):
            check(Target(kind, str(tmp_path / name)), overwrite=overwrite)
        with pytest.raises(OutputError, match="is a pipe"):
            make(kind, tmp_path / name, overwrite).write(rendered())
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "null.jsonl").symlink_to("/dev/null")
    with pytest.raises(OutputError, match="is a device"):
        check(Target("records", str(tmp_path / "null.jsonl")), overwrite=True)
    with pytest.raises(OutputError, match="is a device"):
        OutputFile(tmp_path / "null.jsonl", overwrite=True)


class TestReport:
    def test_a_link_is_written_through(self, tmp_path: Path) -> None:
        (tmp_path / "real").write_text("older")
        link = tmp_path / "report.json"
        link.symlink_to("real")
        check_report(link)
        write_report(link, {})
        assert link.is_symlink()
        assert (tmp_path / "real").read_text() == "{}\n"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["real", "report.json"]

    def test_a_pipe_is_written_to_where_somebody_reads(self, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        check_report(pipe)
        with pytest.raises(OutputError, match="cannot write the report"):
            write_report(pipe, {})
        found: list[str] = []
        report = {"numbers": list(range(50_000))}  # more than a pipe holds
        reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
        reader.start()
        while True:
            try:
                write_report(pipe, report)
                break
            except OutputError:  # the reader has not opened it yet
                continue
        reader.join()
        assert [json.loads(text) for text in found] == [report]
        assert stat.S_ISFIFO(pipe.stat().st_mode)

    @pytest.mark.parametrize("device", ["/dev/null", "/dev/stderr"])
    def test_a_device_is_written_to(self, device: str, capfd: pytest.CaptureFixture[str]) -> None:
        check_report(Path(device))
        write_report(Path(device), {})
        assert capfd.readouterr().err == ("{}\n" if device == "/dev/stderr" else "")

    def test_a_full_device_is_told(self) -> None:
        with pytest.raises(OutputError, match="No space left"):
            write_report(Path("/dev/full"), {})

    def test_the_input_is_not_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "in.mp4").write_bytes(b"x")
        (tmp_path / "link").symlink_to("in.mp4")
        for name in ("in.mp4", "link"):
            with pytest.raises(UsageError, match="is the input"):
                check_report(tmp_path / name, [tmp_path / "in.mp4"])


class TestOnePath:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("a.jsonl", "./a.jsonl"),
            ("a.jsonl", "folder/../a.jsonl"),
            ("a.jsonl", "link.jsonl"),
            ("a.mp4", "linked/../a.mp4"),
            ("linked/b.mp4", "folder/b.mp4"),
            ("folder/%06d.png", "./folder/%06d.png"),
        ],
    )
    def test_two_outputs_are_refused(
        self, one: str, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("folder").mkdir()
        Path("linked").symlink_to("folder")
        Path("link.jsonl").symlink_to("a.jsonl")
        targets = [Target("records", one), Target("records", other)]
        if one == "a.mp4":  # by way of the folder behind the link, which is the same one here
            assert Path(one).absolute() == Path(other).resolve()
        with pytest.raises(UsageError, match="two outputs on one path"):
            refuse_same(targets)
        with pytest.raises(UsageError, match="an output and the report on one path"):
            refuse_same(targets[:1], Path(other))

    def test_others_are_not(self, tmp_path: Path) -> None:
        names = ("a.jsonl", "a.csv", "b.jsonl", "f/%04d.png", "f/%06d.png")
        targets = [Target("records", str(tmp_path / name)) for name in names]
        targets += [Target("null", ""), Target("window", ""), Target("records", "-")] * 2
        refuse_same(targets, tmp_path / "report.json")
