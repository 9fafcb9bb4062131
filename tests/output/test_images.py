"""Pictures that are written, read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from livevision.errors import OutputError
from livevision.frame import Picture, Rendered
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


def of_picture(path: str, page: int | None = None) -> Rendered:
    frame = rendered(0)
    return replace(frame, frame=replace(frame.frame, picture=Picture(path, page)))


def test_pictures_keep_their_names(tmp_path: Path) -> None:
    sink = ImagesSink(str(tmp_path / "*.*"), plain_info(still=True))
    for name in ("cat.jpg", "dog 1.PNG", "50%d.png", "cat.webp", "caf\udce9.jpeg", "cat.bmp"):
        sink.write(of_picture(f"photos/{name}"))
    for page in (0, 1):
        sink.write(of_picture("scan.tiff", page))
    sink.close()
    names = {"cat.jpg", "dog 1.PNG", "50%d.png", "cat-2.jpg", "caf\udce9.jpeg", "cat-3.jpg"}
    assert {p.name for p in tmp_path.iterdir()} == {*names, "scan-1.jpg", "scan-2.jpg"}


def test_a_star_is_the_name_of_a_picture(tmp_path: Path) -> None:
    sink = ImagesSink(str(tmp_path / "seen-*.png"), plain_info(still=True))
    sink.write(of_picture("photos/cat.jpg"))
    sink.close()
    assert [p.name for p in tmp_path.iterdir()] == ["seen-cat.png"]


def test_a_picture_that_stands_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"mine")
    (tmp_path / "dog.jpg").write_bytes(b"mine")
    sink = ImagesSink(str(tmp_path / "*.*"), plain_info(still=True))
    with pytest.raises(OutputError, match=r"cat\.jpg exists; add --overwrite"):
        sink.write(of_picture("cat.jpg"))
    sink = ImagesSink(str(tmp_path / "*.*"), plain_info(still=True), OutputOptions(overwrite=True))
    sink.write(of_picture("cat.jpg"))
    assert (tmp_path / "cat.jpg").read_bytes() != b"mine"
    assert (tmp_path / "dog.jpg").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "é" * 125 + ".png", "[a]-%d.png"])
def test_names_as_long_as_allowed_and_odd_ones(tmp_path: Path, name: str) -> None:
    sink = ImagesSink(str(tmp_path / name), plain_info(frames=1))
    sink.write(rendered(0))
    sink.close()
    assert [p.name for p in tmp_path.iterdir()] == [name.replace("%d", "0")]
    if "%d" in name:
        with pytest.raises(OutputError, match="holds pictures"):
            ImagesSink(str(tmp_path / name), plain_info())


def test_a_full_disk_leaves_no_half_picture(tmp_path: Path) -> None:
    sink = ImagesSink(str(tmp_path / "%06d.png"), plain_info(), OutputOptions())
    sink.write(rendered(0))
    with largest_file(500), pytest.raises(OutputError, match="cannot go on"):
        sink.write(rendered(1))
    sink.close()
    assert [p.name for p in tmp_path.iterdir()] == ["000000.png"]
