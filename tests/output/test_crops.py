"""The best crop of each track: which one, where, and how much is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from livevision.errors import OutputError
from livevision.frame import Rendered
from livevision.output import crops
from livevision.output.crops import CropsSink
from livevision.output.options import OutputOptions
from tests.analysis.making import detections
from tests.output.feeding import plain_info, rendered


def sink(folder: Path, **options: Any) -> CropsSink:
    return CropsSink(str(folder), plain_info(name="rtsp://cam/door"), OutputOptions(**options))


def seen(
    index: int, boxes: list[list[float]], numbers: list[int], confidence: float = 0.8, **more: Any
) -> Rendered:
    image = np.full((240, 320, 3), index % 200, np.uint8)
    names = more.pop("names", None)
    found = detections(boxes, names, numbers, confidence)
    return rendered(index, image, results={"net": found}, **more)


def kept(folder: Path) -> dict[int, dict[str, Any]]:
    """By number of the track what is written beside its crop, and the crop's picture."""
    found: dict[int, dict[str, Any]] = {}
    for path in sorted(folder.rglob("*.json")):
        about = json.loads(path.read_text())
        picture = cv2.imread(str(path.with_suffix(".jpg")))
        assert picture is not None
        assert about["track_id"] not in found, "one crop a track"
        found[about["track_id"]] = {**about, "picture": picture}
    return found


def test_the_largest_and_surest_is_kept_and_one_cut_off_is_worth_half(tmp_path: Path) -> None:
    made = sink(tmp_path / "c")
    made.write(seen(10, [[50, 50, 90, 130], [200, 50, 230, 110]], [1, 2]))
    made.write(seen(20, [[50, 50, 110, 170]], [1]))  # larger
    made.write(seen(30, [[50, 50, 115, 175]], [1], confidence=0.3))  # but a guess
    made.write(seen(40, [[0, 50, 80, 200]], [1]))  # but cut off
    made.write(seen(50, [[50, 50, 60, 60]], [-1]))  # of no track yet
    made.close()
    found = kept(tmp_path / "c")
    assert sorted(found) == [1, 2]
    assert (found[1]["frame"], found[2]["frame"]) == (20, 10)
    assert found[1]["box"] == [50, 50, 110, 170]
    assert found[1]["confidence"] == 0.8
    picture = found[1]["picture"]
    assert picture.shape == (144, 72, 3), "a tenth more on each side"
    assert np.abs(picture.astype(int) - 20).max() <= 3
    (one, _) = sorted(path.name for path in (tmp_path / "c").rglob("*-1-*"))
    assert one.endswith("-1-person.jpg")
    assert {path.parent.parent.name for path in (tmp_path / "c").rglob("*.jpg")} == {"cam-door"}


def test_one_is_written_when_its_track_has_ended(tmp_path: Path) -> None:
    made = sink(tmp_path / "c")
    made.write(seen(0, [[50, 50, 90, 130]], [1]))
    made.write(seen(140, [[50, 50, 90, 130]], [2]))  # 4.7 s later
    assert not kept(tmp_path / "c")
    made.write(seen(160, [[50, 50, 90, 130]], [2]))
    assert sorted(kept(tmp_path / "c")) == [1]
    made.write(seen(160, [[50, 50, 90, 130]], [1], source=1))
    made.close()


def test_memory_and_disk_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crops, "_MOST_BYTES", 100_000)
    made = sink(tmp_path / "c", max_disk=40_000)
    for n in range(60):
        made.write(seen(n, [[50, 50, 90, 130]], [n]))
        held = sum(best.crop.nbytes for best in made._best.values())
        assert held == made._bytes <= 100_000
    made.close()
    files = [path for path in (tmp_path / "c").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 40_000
    left = sorted(kept(tmp_path / "c"))
    assert left == list(range(60 - len(left), 60)), "the newest stay"
    assert len(left) > 10


def test_large_ones_are_made_smaller(tmp_path: Path) -> None:
    made = CropsSink(str(tmp_path / "c"), plain_info(), OutputOptions())
    image = np.zeros((2000, 3000, 3), np.uint8)
    found = detections([[500, 200, 1500, 1800]], numbers=[1])
    made.write(rendered(0, image, results={"net": found}))
    made.close()
    assert max(kept(tmp_path / "c")[1]["picture"].shape) == 640


def test_of_what_is_hidden_there_is_none(tmp_path: Path) -> None:
    made = sink(tmp_path / "c", hidden=frozenset({"person"}))
    boxes = [[50.0, 50, 90, 130], [150.0, 50, 190, 130]]
    made.write(seen(0, boxes, [1, 2], names=["person", "car"]))
    made.close()
    assert [about["class"] for about in kept(tmp_path / "c").values()] == ["car"]


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write crops"):
        sink(tmp_path / "file" / "c")
