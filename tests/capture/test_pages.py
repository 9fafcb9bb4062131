"""Files of several pictures: each is read, and what cannot be read is told and counted."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest

from livevision.capture.images import ImagesSource
from livevision.capture.options import SourceOptions
from livevision.capture.pages import page_count
from livevision.errors import SourceError
from livevision.frame import Frame
from tests.clips import frame_number, numbered

NAMES = ["a.webp", "a.png", "a.tiff", "deflated.tif"]


def several(path: Path, count: int = 5) -> Path:
    pictures = [PIL.Image.fromarray(numbered(number)[..., ::-1]) for number in range(count)]
    more: dict[str, Any] = {"duration": 100}
    if path.suffix.startswith(".tif"):
        more = {"compression": "tiff_adobe_deflate"} if path.stem == "deflated" else {}
    if path.suffix == ".webp":
        more["lossless"] = True
    pictures[0].save(path, save_all=True, append_images=pictures[1:], **more)
    return path


@pytest.mark.parametrize("name", NAMES)
def test_every_picture_of_a_file_is_a_frame(tmp_path: Path, name: str) -> None:
    path = several(tmp_path / name)
    assert page_count(path) == 5
    source = ImagesSource(str(path))
    frames = list(source)
    assert source.info.frames == 5
    assert [(f.index, frame_number(f.image)) for f in frames] == [(n, n) for n in range(5)]
    assert [f.picture for f in frames] == [(str(path), n) for n in range(5)]
    assert source.losses == {"broken": 0}


def test_pages_of_16_bits_come_out_as_the_first_does(tmp_path: Path) -> None:
    pages = [np.full((20, 30), level * 257, np.uint16) for level in (50, 150, 250)]
    good, data = cv2.imencodemulti(".tiff", pages)
    assert good
    (tmp_path / "deep.tiff").write_bytes(data.tobytes())
    frames = list(ImagesSource(str(tmp_path / "deep.tiff")))
    assert [int(f.image.mean()) for f in frames] == pytest.approx([50, 150, 250], abs=1)


def test_a_stride_and_a_loop_count_pictures(tmp_path: Path) -> None:
    several(tmp_path / "a.tiff", 3)
    cv2.imwrite(str(tmp_path / "b.png"), numbered(3))
    several(tmp_path / "c.webp", 3)
    strided = ImagesSource(str(tmp_path), SourceOptions(stride=2))
    assert strided.info.frames == 4
    seen = [(f.index, frame_number(f.image)) for f in strided]
    assert seen == [(0, 0), (2, 2), (4, 0), (6, 2)]
    looped = ImagesSource(str(tmp_path), SourceOptions(loop=True))
    numbers = [frame_number(f.image) for f, _ in zip(looped, range(9), strict=False)]
    assert numbers == [0, 1, 2, 3, 0, 1, 2, 0, 1]


@pytest.mark.parametrize("name", ["a.png", "a.tiff", "deflated.tif"])
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_what_a_cut_file_has_lost_is_told_and_counted(
    tmp_path: Path, name: str, share: float, caplog: pytest.LogCaptureFixture
) -> None:
    path = several(tmp_path / name)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    caplog.set_level(logging.WARNING)
    try:
        source = ImagesSource(str(path))
    except SourceError as error:
        assert "cut off" in str(error)  # noqa: PT017  # its first picture is lost already
        return
    frames: list[Frame] = []
    with pytest.raises(SourceError, match=rf"pictures cannot be read: .*{name}"):
        frames.extend(source)
    numbers = [frame_number(f.image) for f in frames]
    assert numbers == list(range(len(numbers)))
    assert 1 <= len(numbers) < 5
    assert source.losses["broken"] >= 1
    assert any(
        name in r.getMessage() and "cannot be read" in r.getMessage() for r in caplog.records
    )
    if page_count(path) is not None:
        assert source.losses["broken"] == 5 - len(numbers)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff", ".bmp", ".ppm", ".jp2"])
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_a_cut_picture_is_no_picture(
    tmp_path: Path, suffix: str, share: float, caplog: pytest.LogCaptureFixture
) -> None:
    good, data = cv2.imencode(suffix, numbered(1))
    assert good
    (tmp_path / f"b{suffix}").write_bytes(data.tobytes()[: int(share * len(data))])
    cv2.imwrite(str(tmp_path / "a.png"), numbered(0))
    source = ImagesSource(str(tmp_path))
    frames: list[Frame] = []
    with pytest.raises(SourceError, match=r"1 of 2 pictures cannot be read"):
        frames.extend(source)
    assert [f.index for f in frames] == [0]
    assert source.losses == {"broken": 1}
    assert f"b{suffix}" in caplog.text
    with pytest.raises(SourceError, match="cut off"):
        ImagesSource(str(tmp_path / f"b{suffix}"))
