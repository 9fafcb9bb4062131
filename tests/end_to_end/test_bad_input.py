"""Whatever a user gets wrong: one clear line, the right exit code, nothing lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import clips
from tests.end_to_end.conftest import NO_BOXES, Outcome, rows

Call = Callable[..., Outcome]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda f: f / "absent.mp4", "absent.mp4"),
        (lambda f: f, ""),
        (lambda f: (f / "notes.mp4").write_text("not a video") and f / "notes.mp4", "notes.mp4"),
        (lambda f: (f / "empty.mp4").write_bytes(b"") or f / "empty.mp4", "empty.mp4"),
        (lambda f: clips.zero_frames(f / "none.mp4").path, "none.mp4"),
        (lambda f: clips.truncated_without_index(f / "cut.mp4").path, "cut.mp4"),
        (lambda f: f / "*.mp4", "*.mp4"),
    ],
    ids=["missing", "empty-folder", "text", "empty", "zero-frames", "no-index", "glob"],
)
def test_a_source_that_is_none(
    make: Callable[[Path], Path], says: str, tmp_path: Path, livevision: Call
) -> None:
    outcome = livevision("--source", make(tmp_path), "--output", tmp_path / "runs" / "out.mp4")
    assert outcome.code == 3, outcome.err
    assert says in outcome.one_line()
    assert not list(tmp_path.glob("runs/*"))


def test_a_truncated_file_gives_what_it_has_and_says_so(tmp_path: Path, livevision: Call) -> None:
    clip = clips.truncated(tmp_path / "cut.mp4")
    out, results = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    outcome = livevision("--source", clip.path, *NO_BOXES, "--output", out, "--output", results)
    assert outcome.code == 3, outcome.err
    assert "cut.mp4" in outcome.one_line()
    numbers = [frame.number for frame in clips.read_clip(out)]
    assert len(numbers) >= 10
    assert numbers == list(range(len(numbers)))
    assert [row["frame"] for row in rows(results)] == numbers


def test_corrupt_frames_are_counted_and_the_rest_goes_on(tmp_path: Path, livevision: Call) -> None:
    clip = clips.corrupted(tmp_path / "noise.mp4")
    results = tmp_path / "out.jsonl"
    outcome = livevision("--source", clip.path, "--output", results)
    assert outcome.code in (0, 3), outcome.err
    assert "Traceback" not in outcome.err
    assert rows(results)[-1]["time"] == pytest.approx(clip.times[-1], abs=0.04)


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (lambda f: clips.odd_size(f / "in.mp4", frames=3), (641, 359)),
        (lambda f: clips.one_pixel(f / "in.mkv", frames=3), (1, 1)),
        (lambda f: clips.huge(f / "in.mp4"), (7680, 4320)),
    ],
    ids=["odd", "1x1", "8k"],
)
def test_any_size_goes_through(
    make: Callable[[Path], clips.Clip], size: tuple[int, int], tmp_path: Path, livevision: Call
) -> None:
    clip = make(tmp_path)
    out, results = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    outcome = livevision(
        "--source", clip.path, "--task", "both", "--output", out, "--output", results
    )
    assert outcome.code == 0, outcome.err
    height, width = clips.read_clip(out)[0].image.shape[:2]
    assert size[0] <= width <= size[0] + 1
    assert size[1] <= height <= size[1] + 1
    assert len(rows(results)) == clip.frames


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--task", "detekt"], 2, "detect"),
        (["--modle", "x"], 2, "--model"),
        (["--model", "thundernet-snet94"], 2, "thundernet-snet49"),
        (["--classes", "persn"], 2, "person"),
        (["--conf", "1.5"], 2, "1.5"),
        (["--engine", "openvin"], 2, "openvino"),
        (["--device", "cuda:7"], (2, 4), "cuda"),
        (["--weights", "absent.safetensors"], 4, "absent.safetensors"),
        (["--output", "out.mp5"], 2, ".mp4"),
        (["--config", "absent.yaml"], 2, "absent.yaml"),
        (["--task", "segment", "--model", "thundernet-snet49"], 2, "detect"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_settings_that_are_wrong(
    arguments: list[str], code: int | tuple[int, ...], says: str, tmp_path: Path, livevision: Call
) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=2)
    outcome = livevision("--source", clip.path, *arguments)
    assert outcome.code in (code if isinstance(code, tuple) else (code,)), outcome.err
    assert says in outcome.one_line()


def test_an_unknown_yaml_key_is_named_with_a_suggestion(tmp_path: Path, livevision: Call) -> None:
    config = tmp_path / "run.yaml"
    config.write_text("source: webcam\nmax_frame: 3\n")
    outcome = livevision("run", "--config", config)
    assert outcome.code == 2
    assert "max_frames" in outcome.one_line() or "max-frames" in outcome.one_line()


@pytest.mark.parametrize("name", ["weights.pt", "weights.pth", "weights.pkl"])
def test_pickled_weights_are_refused(name: str, tmp_path: Path, livevision: Call) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=2)
    (tmp_path / name).write_bytes(b"\x80\x04K\x01.")
    outcome = livevision("--source", clip.path, "--weights", tmp_path / name)
    assert outcome.code == 4
    assert "safetensors" in outcome.one_line()


def test_broken_weights_are_refused(tmp_path: Path, livevision: Call) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=2)
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00not a header")
    outcome = livevision("--source", clip.path, "--weights", weights)
    assert outcome.code == 4
    assert "mine.safetensors" in outcome.one_line()


def test_no_camera(livevision: Call) -> None:
    outcome = livevision("--source", "63")
    assert outcome.code == 3
    assert "camera" in outcome.one_line()


def test_no_display(tmp_path: Path, livevision: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=2)
    from livevision.cli import main

    assert main(["--source", str(clip.path)]) == 5  # a window is wanted and cannot be had
    assert main(["--source", str(clip.path), "--output", str(tmp_path / "out.mp4")]) == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder(tmp_path: Path, livevision: Call) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=2)
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    outcome = livevision("--source", clip.path, "--output", folder / "out.mp4")
    assert outcome.code == 5
    assert "locked" in outcome.one_line()


def test_a_folder_that_cannot_be_made(tmp_path: Path, livevision: Call) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=2)
    (tmp_path / "file").write_text("")
    outcome = livevision("--source", clip.path, "--output", tmp_path / "file" / "out.mp4")
    assert outcome.code == 5
    assert "Traceback" not in outcome.err


def test_a_full_disk_ends_the_run_with_its_code(tmp_path: Path, livevision: Call) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=2)
    outcome = livevision("--source", clip.path, "--report", "/dev/full/report.json")
    assert outcome.code == 5
    assert "Traceback" not in outcome.err


def test_a_password_in_a_url_is_never_shown(livevision: Call) -> None:
    outcome = livevision(
        "--source", "rtsp://admin:hunter2@127.0.0.1:9/stream", "--retry-for", "0.5"
    )
    assert outcome.code == 3
    assert "hunter2" not in outcome.err
