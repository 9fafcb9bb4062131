"""Pictures that are written, read back."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from livevision.errors import OutputError
from livevision.output.images import ImagesSink
from livevision.output.options import OutputOptions
from tests import clips
from tests.output.feeding import plain_info, rendered
from tests.output.test_video_file import largest_file


def test_names_carry_the_number_of_the_frame(tmp_path: Path) -> None:
    sink = ImagesSink(str(tmp_path / "a-%04d.png"), plain_info())
    for index in (0, 5, 12345):
        sink.write(rendered(index))
    sink.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a-0000.png", "a-0005.png", "a-12345.png"]
    assert (cv2.imread(str(tmp_path / "a-0005.png")) == clips.numbered(5)).all()


def test_a_jpeg_looks_like_the_frame(tmp_path: Path) -> None:
    sink = ImagesSink(str(tmp_path / "*.jpg"), plain_info())
    sink.write(rendered(3))
    sink.close()
    image = cv2.imread(str(tmp_path / "000003.jpg"))
    assert image is not None
    assert np.abs(image.astype(int) - clips.numbered(3)).mean() < 5


def test_a_source_of_one_picture_needs_no_number(tmp_path: Path) -> None:
    target = tmp_path / "photo.jpg"
    sink = ImagesSink(str(target), plain_info(frames=1))
    sink.write(rendered(0))
    sink.close()
    assert sink.where == str(target)
    assert target.exists()


@pytest.mark.parametrize("frames", [2, None])
def test_several_pictures_do(tmp_path: Path, frames: int | None) -> None:
    with pytest.raises(OutputError, match=r"holds one picture.*photo-%06d\.jpg"):
        ImagesSink(str(tmp_path / "photo.jpg"), plain_info(frames=frames))
    sink = ImagesSink(str(tmp_path / "photo.jpg"), plain_info(frames=1))
    sink.write(rendered(0))
    with pytest.raises(OutputError, match="holds one picture"):
        sink.write(rendered(1))


def test_other_files_of_the_folder_are_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    sink = ImagesSink(str(tmp_path / "%06d.jpg"), plain_info())
    sink.write(rendered(0))
    sink.close()
    assert (tmp_path / "holiday.jpg").read_bytes() == b"mine"


def test_a_full_disk_leaves_no_half_picture(tmp_path: Path) -> None:
    sink = ImagesSink(str(tmp_path / "%06d.png"), plain_info(), OutputOptions())
    sink.write(rendered(0))
    with largest_file(500), pytest.raises(OutputError, match="cannot go on"):
        sink.write(rendered(1))
    sink.close()
    assert [p.name for p in tmp_path.iterdir()] == ["000000.png"]
