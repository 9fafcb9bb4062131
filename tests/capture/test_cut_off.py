"""Files of every container, cut at some byte: what is left is given, and the loss is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from livevision.capture.cut_off import cut_off
from livevision.capture.video_file import VideoFileSource
from livevision.errors import SourceError
from tests import clips

KINDS: dict[str, dict[str, Any]] = {
    "a.avi": {"codec": "mpeg4"},
    "b.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "a.mkv": {},
    "a.ts": {},
    "a.m2ts": {},
    "a.flv": {"codec": "flv1"},
    "a.wmv": {"codec": "wmv2"},
    "a.mpg": {"codec": "mpeg2video", "rate": 25},
    "a.ogv": {"codec": "libvpx"},
    "a.mp4": {},
    "a.y4m": {"codec": "wrapped_avframe"},
    "a.mjpeg": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "a.gif": {"codec": "gif", "pix_fmt": "rgb8", "rate": 25},
    "a.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
}
AT_FRONT = {"container_options": {"movflags": "faststart"}}


def made(folder: Path, name: str) -> Path:
    more = {**KINDS[name], **(AT_FRONT if name.endswith(("mov", "mp4")) else {})}
    try:
        return clips.make_clip(folder / name, frames=40, size=(160, 120), **more).path
    except (ValueError, OSError) as error:
        pytest.skip(f"this PyAV does not write {name}: {error}")


@pytest.mark.parametrize("name", KINDS)
def test_a_whole_file_is_whole(tmp_path: Path, name: str) -> None:
    path = made(tmp_path, name)
    assert cut_off(path) is None
    assert len(list(VideoFileSource(str(path)))) == 40


@pytest.mark.parametrize("share", [0.5, 0.7, 0.93])
@pytest.mark.parametrize("name", KINDS)
def test_a_cut_file_gives_what_it_has_and_an_error(tmp_path: Path, name: str, share: float) -> None:
    path = made(tmp_path, name)
    data = path.read_bytes()
    end = int(share * len(data))
    while end % 188 == 0 or end % 192 == 0 or data[end : end + 4] == b"OggS":
        end += 1  # a stream of packets that ends with one of them is whole
    path.write_bytes(data[:end])
    source = VideoFileSource(str(path))
    indices: list[int] = []
    with pytest.raises(SourceError, match=r"breaks off at .*truncated or damaged"):
        _collect(source, indices)
    assert indices == list(range(len(indices)))
    assert 1 <= len(indices) <= 40


def _collect(source: VideoFileSource, indices: list[int]) -> None:
    for frame in source:
        indices.append(frame.index)  # an error ends it


def test_nothing_is_missing_where_nobody_knows(tmp_path: Path) -> None:
    assert cut_off(Path("-")) is None
    assert cut_off(tmp_path) is None
    for content in (
        b"",
        b"RIFF",
        b"RIFF\0\0\0\0AVI ",
        b"RIFF\xff\xff\xff\xffAVI LIST",
        b"\xff\xd8\xff\xd9",
    ):
        (tmp_path / "a").write_bytes(content)
        assert cut_off(tmp_path / "a") is None


def test_an_avi_that_says_its_size_a_little_wrong_is_whole(tmp_path: Path) -> None:
    body = b"AVI " + bytes(100)
    for claimed in (len(body), len(body) + 8, len(body) - 1):
        (tmp_path / "a.avi").write_bytes(b"RIFF" + claimed.to_bytes(4, "little") + body)
        assert cut_off(tmp_path / "a.avi") is None
    (tmp_path / "a.avi").write_bytes(b"RIFF" + (200).to_bytes(4, "little") + body)
    assert cut_off(tmp_path / "a.avi") == "96 bytes are missing"
