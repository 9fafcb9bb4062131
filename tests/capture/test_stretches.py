"""Stretches of a file are, frame for frame, what reading all of it gives."""

from __future__ import annotations

from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from livevision.capture.options import SourceOptions
from livevision.capture.stretches import Stretch, divide
from livevision.capture.video_file import VideoFileSource
from livevision.frame import Frame
from tests import clips

SIZE = (64, 48)


def _frames(path: Path, stride: int = 1, stretch: Stretch | None = None) -> list[Frame]:
    options = SourceOptions(stride=stride, stretch=stretch, decoder="software")
    with closing(VideoFileSource(str(path), options)) as source:
        return list(source)


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"b_frames": 2}),
        ("a.mkv", {"b_frames": 2}),
        ("a.ts", {"b_frames": 2}),
        ("hevc.mp4", {"codec": "libx265", "b_frames": 3, "options": {"x265-params": "open-gop=1"}}),
        ("vp9.webm", {"codec": "libvpx-vp9"}),
    ],
    ids=["mp4", "mkv", "ts", "hevc open gop", "vp9"],
)
def test_all_stretches_together_are_the_file(
    tmp_path: Path, name: str, options: dict[str, object], stride: int
) -> None:
    path = tmp_path / name
    clips.make_clip(path, frames=130, size=SIZE, rate=25, gop=10, **options)  # type: ignore[arg-type]
    whole = _frames(path, stride)
    stretches = divide(str(path), 24 // stride, stride, 4)
    assert len(stretches) > 3
    assert [a.stop for a, _ in pairwise(stretches)] == [b.start for _, b in pairwise(stretches)]
    joined = []
    for stretch in stretches:
        found = _frames(path, stride, stretch)
        assert found[0].index == stretch.first
        joined += [frame for frame in found if frame.index >= stretch.start]
    assert [f.index for f in joined] == [f.index for f in whole]
    assert [f.time for f in joined] == [f.time for f in whole]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(joined, whole, strict=True))


def test_a_stretch_begins_at_a_multiple_and_reads_from_a_key_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    clips.make_clip(path, frames=200, size=SIZE, rate=25, gop=30)
    stretches = divide(str(path), 70, 1, 8)
    assert [s.start for s in stretches] == [0, 72, 144]
    assert all(s.key_number % 30 == 0 for s in stretches)
    assert all(s.key_number <= s.first < s.start for s in stretches[1:])


def test_a_file_without_an_index_is_read_from_its_beginning(tmp_path: Path) -> None:
    """Such as a Matroska file that was not finished: it cannot be sought."""
    path = tmp_path / "a.mkv"
    clips.make_clip(path, frames=100, size=SIZE, rate=25, gop=10, container_options={"live": "1"})
    (_, second, *_), whole = divide(str(path), 40, 1, 4), _frames(path)
    found = [f for f in _frames(path, 1, second) if f.index >= second.start]
    assert [f.time for f in found] == [f.time for f in whole[second.start : second.stop]]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.avi", {}),
        ("one key frame.mp4", {"gop": 1000}),
        ("times fall.mp4", {"times": [0.04 * n for n in range(60)]}),
        ("short.mp4", {"frames": 30}),
    ],
    ids=["no times", "one key frame", "too short", "short"],
)
def test_what_cannot_be_divided_is_one(
    tmp_path: Path, name: str, options: dict[str, object]
) -> None:
    path = tmp_path / name
    clips.make_clip(path, **{"frames": 100, "size": SIZE, "rate": 25, "gop": 10, **options})  # type: ignore[arg-type]
    length = 60 if "times" in options else 24
    assert divide(str(path), length, 1, 4) == [Stretch(0, None, 0, 0)]


def test_a_truncated_file_is_one(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    clips.make_clip(path, frames=100, size=SIZE, rate=25, gop=10)
    path.write_bytes(path.read_bytes()[:-500])
    assert len(divide(str(path), 24, 1, 4)) == 1
