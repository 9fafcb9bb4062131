"""Video file in, annotated video file and results out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from tests import clips
from tests.end_to_end.conftest import NO_BOXES, Outcome, rows

Call = Callable[..., Outcome]

KINDS: dict[str, Callable[[Path], clips.Clip]] = {
    "constant": lambda folder: clips.constant_rate(folder / "in.mp4"),
    "variable": lambda folder: clips.variable_rate(folder / "in.mp4", frames=16),
    "sound": lambda folder: clips.with_sound(folder / "in.mp4", frames=45),
    "variable-sound": lambda folder: clips.variable_rate(folder / "in.mp4", sound=True),
    "late-start": lambda folder: clips.late_start(folder / "in.mp4", frames=16, sound=True),
    "b-frames": lambda folder: clips.with_b_frames(folder / "in.mp4"),
    "rotated-90": lambda folder: clips.rotated(folder / "in.mp4", 90, frames=16),
    "rotated-270": lambda folder: clips.rotated(folder / "in.mp4", 270, frames=16),
    "grey": lambda folder: clips.grey(folder / "in.mp4", frames=16),
    "ten-bit": lambda folder: clips.ten_bit(folder / "in.mkv", frames=16),
    "alpha": lambda folder: clips.alpha(folder / "in.mov", frames=16),
    "mkv": lambda folder: clips.constant_rate(folder / "in.mkv", frames=16, rate=25),
}


def video_of(path: Path) -> tuple[str, tuple[int, int], float]:
    """Codec, stored size and duration in seconds of a file's video."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        last = 0.0
        for packet in container.demux(stream):
            if packet.pts is not None:
                last = max(last, float((packet.pts + (packet.duration or 0)) * stream.time_base))
        context = stream.codec_context
        return context.name, (context.width, context.height), last


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [(kind, ".mp4") for kind in KINDS]
    + [(kind, ".mkv") for kind in ("constant", "variable-sound", "late-start")],
)
def test_every_frame_comes_out_at_its_time(
    kind: str, suffix: str, tmp_path: Path, livevision: Call
) -> None:
    clip = KINDS[kind](tmp_path)
    out, results = tmp_path / f"out{suffix}", tmp_path / "out.jsonl"
    outcome = livevision("--source", clip.path, *NO_BOXES, "--output", out, "--output", results)
    assert outcome.code == 0, outcome.err
    written = clips.read_clip(out)
    assert [frame.number for frame in written] == list(range(clip.frames))
    tick = 0.0011 if suffix == ".mkv" else 1e-4  # matroska counts in milliseconds
    times = [frame.time for frame in clips.read_clip(clip.path)]
    assert [frame.time for frame in written] == pytest.approx(times, abs=tick)
    assert written[0].image.shape[:2] == (clip.size[1], clip.size[0])
    codec, _, end = video_of(out)
    assert codec == "h264"
    assert end == pytest.approx(video_of(clip.path)[2], abs=tick + 1e-3)
    table = rows(results)
    assert [row["frame"] for row in table] == list(range(clip.frames))
    assert [row["time"] for row in table] == pytest.approx(times, abs=1e-5)
    if clip.sound:
        assert clips.sound_span(out) == pytest.approx(clips.sound_span(clip.path), abs=0.03)


def test_sound_is_copied_not_encoded_again(tmp_path: Path, livevision: Call) -> None:
    clip = clips.with_sound(tmp_path / "in.mp4", frames=60)
    assert livevision("--source", clip.path, "--output", tmp_path / "out.mp4").code == 0

    def packets(path: Path) -> list[bytes]:
        with av.open(str(path)) as container:
            return [bytes(p) for p in container.demux(container.streams.audio[0]) if p.size]

    assert packets(tmp_path / "out.mp4") == packets(clip.path)


def test_both_tasks_on_one_decode(tmp_path: Path, livevision: Call) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=5)
    results, report = tmp_path / "out.jsonl", tmp_path / "report.json"
    outcome = livevision(
        "--source", clip.path, "--task", "both", "--output", results, "--report", report
    )
    assert outcome.code == 0, outcome.err
    for row in rows(results):
        assert set(row) == {"source", "frame", "time", "detections", "segments"}
        assert sum(row["segments"].values()) == pytest.approx(1, abs=0.01)
    told = json.loads(report.read_text())
    assert (told["frames_in"], told["frames_out"]) == (5, 5)
    assert "+" in told["model"]


def test_results_lie_in_the_pixels_of_the_frame(tmp_path: Path, livevision: Call) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=3, size=(640, 360))
    results = tmp_path / "out.jsonl"
    assert livevision("--source", clip.path, "--conf", 0, "--output", results).code == 0
    boxes = [d["box"] for row in rows(results) for d in row["detections"]]
    assert boxes
    for x1, y1, x2, y2 in boxes:
        assert 0 <= x1 <= x2 <= 640
        assert 0 <= y1 <= y2 <= 360
    assert max(box[2] for box in boxes) > 320  # not left in the pixels of the net's input


def test_stride_and_max_frames(tmp_path: Path, livevision: Call) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=20)
    results = tmp_path / "out.jsonl"
    outcome = livevision(
        "--source", clip.path, "--vid-stride", 3, "--max-frames", 4, "--output", results
    )
    assert outcome.code == 0, outcome.err
    assert [row["frame"] for row in rows(results)] == [0, 3, 6, 9]


def test_a_folder_gives_a_file_for_each_of_its_clips(tmp_path: Path, livevision: Call) -> None:
    (tmp_path / "clips").mkdir()
    for name, count in (("a.mp4", 4), ("b.mkv", 6)):
        clips.constant_rate(tmp_path / "clips" / name, frames=count)
    outcome = livevision("--source", tmp_path / "clips", "--output", f"{tmp_path / 'runs'}/")
    assert outcome.code == 0, outcome.err
    made = sorted((tmp_path / "runs").iterdir())
    assert len(made) == 2
    assert [len(clips.read_clip(path)) for path in made] == [4, 6]


def test_one_broken_clip_among_many_costs_only_itself(tmp_path: Path, livevision: Call) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").write_text("this is no video")
    clips.constant_rate(tmp_path / "clips" / "b.mp4", frames=4)
    outcome = livevision("--source", tmp_path / "clips", "--output", f"{tmp_path / 'runs'}/")
    assert outcome.code == 3
    assert "a.mp4" in outcome.one_line()
    assert [len(clips.read_clip(p)) for p in sorted((tmp_path / "runs").iterdir())] == [4]


def test_nothing_is_overwritten_unless_asked(tmp_path: Path, livevision: Call) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=3)
    out = tmp_path / "out.mp4"
    out.write_text("precious")
    outcome = livevision("--source", clip.path, "--output", out)
    assert outcome.code in (2, 5)
    assert "--overwrite" in outcome.one_line()
    assert out.read_text() == "precious"
    assert livevision("--source", clip.path, "--output", out, "--overwrite").code == 0
    assert len(clips.read_clip(out)) == 3


def test_the_input_is_never_the_output(tmp_path: Path, livevision: Call) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=3)
    before = clip.path.read_bytes()
    outcome = livevision("--source", clip.path, "--output", clip.path, "--overwrite")
    assert outcome.code in (2, 5)
    assert clip.path.read_bytes() == before


def test_the_last_line_says_where_the_results_are(tmp_path: Path, livevision: Call) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=3)
    outcome = livevision("--source", clip.path, "--output", tmp_path / "out.mp4")
    assert str(tmp_path / "out.mp4") in outcome.err.splitlines()[-1]
    assert "frames: 3 in, 3 out, none dropped" in outcome.err


def test_frames_one_by_one_in_python(tmp_path: Path) -> None:
    import livevision

    clip = clips.constant_rate(tmp_path / "in.mp4", frames=6)
    seen = []
    for frame in livevision.run(source=clip.path, task="both", conf=0.0):
        assert frame.image.shape == (240, 320, 3)
        assert frame.class_map is not None
        assert frame.class_map.class_map.shape == (240, 320)
        assert frame.detections is not None
        assert len(frame.detections.xyxy) == len(frame.detections.data["class_name"])
        assert frame.image is not frame.frame.image
        seen.append((frame.index, clips.frame_number(frame.frame.image)))
        if frame.index == 4:
            break
    assert seen == [(n, n) for n in range(5)]
