"""Pictures in folders and patterns."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from livevision.capture.images import ImagesSource
from livevision.capture.options import SourceOptions
from livevision.errors import SourceError
from tests.clips import frame_number, numbered


def _write(path: Path, number: int, size: tuple[int, int] = (320, 240)) -> None:
    good, data = cv2.imencode(path.suffix, numbered(number, size))
    assert good
    path.write_bytes(data.tobytes())


def test_pictures_by_name_each_in_its_size(tmp_path: Path) -> None:
    for name, number, size in (("b.jpg", 1, (640, 360)), ("a.png", 0, (320, 240))):
        _write(tmp_path / name, number, size)
    (tmp_path / "list.txt").write_text("no picture")
    source = ImagesSource(str(tmp_path))
    frames = list(source)
    assert [frame_number(f.image) for f in frames] == [0, 1]
    assert [f.image.shape for f in frames] == [(240, 320, 3), (360, 640, 3)]
    assert [f.picture for f in frames] == [
        (str(tmp_path / "a.png"), None),
        (str(tmp_path / "b.jpg"), None),
    ]
    assert source.info.still
    assert (source.info.size, source.info.frames) == ((320, 240), 2)


@pytest.mark.parametrize("name", ["straße 北京.png", "[1].png"])
def test_unusual_names(name: str, tmp_path: Path) -> None:
    _write(tmp_path / name, 5)
    assert [frame_number(f.image) for f in ImagesSource(str(tmp_path / name))] == [5]
    assert len(list(ImagesSource(str(tmp_path)))) == 1


def test_numbers_in_names_are_in_their_order(tmp_path: Path) -> None:
    for number in range(12):
        _write(tmp_path / f"frame{number}.png", number)
    for words in (tmp_path, tmp_path / "*.png"):
        frames = list(ImagesSource(str(words)))
        assert [frame_number(f.image) for f in frames] == list(range(12))


def test_a_pattern(tmp_path: Path) -> None:
    for number in range(12):
        _write(tmp_path / f"{number:02d}.png", number)
    frames = list(ImagesSource(str(tmp_path / "1*.png")))
    assert [frame_number(f.image) for f in frames] == [10, 11]


@pytest.mark.parametrize(
    ("pixels", "name"),
    [
        (np.full((20, 30), 77, np.uint8), "grey.png"),
        (np.full((20, 30, 4), 77, np.uint8), "alpha.png"),
        (np.full((20, 30, 3), 77 * 257, np.uint16), "deep.png"),
        (np.full((20, 30, 3), 77, np.uint8), "plain.webp"),
        (np.full((20, 30, 3), 77, np.uint8), "plain.TIFF"),
    ],
)
def test_every_kind_of_pixel_becomes_bgr(pixels: np.ndarray, name: str, tmp_path: Path) -> None:
    _, data = cv2.imencode(Path(name).suffix, pixels)
    (tmp_path / name).write_bytes(data.tobytes())
    (frame,) = ImagesSource(str(tmp_path / name))
    assert frame.image.dtype == np.uint8
    assert frame.image.shape == (20, 30, 3)
    assert np.abs(frame.image.astype(int) - 77).max() <= 3


def test_a_photo_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    stored = np.ascontiguousarray(np.rot90(numbered(9, (240, 320))))
    _, data = cv2.imencode(".jpg", stored)
    # Orientation 6: turn clockwise by a quarter.
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    exif = b"Exif\0\0" + tiff
    jpeg = data.tobytes()
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + segment + jpeg[2:])
    source = ImagesSource(str(tmp_path / "a.jpg"))
    assert source.info.size == (240, 320)
    assert [frame_number(f.image) for f in source] == [9]


def test_a_broken_picture_is_left_out_counted_and_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (0, 2, 4):
        _write(tmp_path / f"{number}.png", number)
    (tmp_path / "1.png").write_text("no picture")
    (tmp_path / "3.jpg").touch()
    source = ImagesSource(str(tmp_path))
    frames = []
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(SourceError, match=r"2 of 5 .*1\.png.*3\.jpg"),
    ):
        frames.extend(source)
    assert [(f.index, frame_number(f.image)) for f in frames] == [(0, 0), (2, 2), (4, 4)]
    assert source.losses == {"broken": 2}
    assert "1.png" in caplog.text
    assert "3.jpg" in caplog.text


def test_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no picture there"):
        ImagesSource(str(tmp_path))
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(SourceError, match=r"a\.png: it cannot be read"):
        ImagesSource(str(tmp_path / "a.png"))


def test_a_loop(tmp_path: Path) -> None:
    for number in range(2):
        _write(tmp_path / f"{number}.png", number)
    source = ImagesSource(str(tmp_path), SourceOptions(loop=True))
    frames = [frame for frame, _ in zip(source, range(5), strict=False)]
    assert [f.index for f in frames] == [0, 1, 2, 3, 4]
    assert [frame_number(f.image) for f in frames] == [0, 1, 0, 1, 0]
    assert source.info.frames is None
