"""Where objects were over a run, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from livevision.errors import OutputError
from livevision.output.heat_map import HeatMapSink
from livevision.output.options import OutputOptions
from tests.analysis.making import detections
from tests.output.feeding import plain_info, rendered


def sink(folder: Path, **options: Any) -> HeatMapSink:
    return HeatMapSink(str(folder), plain_info(name="door"), OutputOptions(**options))


def feed(made: HeatMapSink, moments: list[float], boxes: list[list[float]], **more: Any) -> None:
    image = more.pop("image", np.full((240, 320, 3), 100, np.uint8))
    for n, time in enumerate(moments):
        made.write(rendered(n, image, time=time, results={"net": detections(boxes)}, **more))


def warmth(image: Any, x: int, y: int) -> int:
    """Red over blue: the hottest is red, the coolest blue, and grey has none."""
    return int(image[y, x, 2]) - int(image[y, x, 0])


def test_it_is_hottest_where_objects_stood_longest(tmp_path: Path) -> None:
    made = sink(tmp_path / "heat")
    feed(made, [n / 10 for n in range(100)], [[40, 100, 60, 200]])
    feed(made, [10 + n / 10 for n in range(25)], [[240, 100, 260, 200]])
    made.close()
    image = cv2.imread(str(tmp_path / "heat" / "door.png"))
    assert image is not None
    assert image.shape == (240, 320, 3)
    assert warmth(image, 50, 199) > 100
    assert warmth(image, 250, 199) < -20, "a quarter of the time is cool"
    assert np.ptp(image[50, 150].astype(int)) == 0, "grey, where nobody was"
    assert abs(int(image[50, 150, 0]) - 60) <= 2, "the source itself, darker"
    assert np.ptp(image[110, 50].astype(int)) == 0, "feet count, not heads"


def test_time_counts_and_not_the_number_of_frames(tmp_path: Path) -> None:
    made = sink(tmp_path / "heat")
    # The same ten seconds, at 20 and at 2 frames a second.
    feed(made, [n / 20 for n in range(200)], [[40, 100, 60, 200]])
    feed(made, [10 + n / 2 for n in range(20)], [[240, 100, 260, 200]])
    seconds = made._maps[0].seconds
    assert abs(seconds[50, 12] - seconds[50, 62]) < 0.6
    # A gap of an hour counts a second.
    feed(made, [3600.0], [[140, 100, 160, 200]])
    assert made._maps[0].seconds[50, 37] == 1.0
    made.close()


def test_of_what_is_hidden_no_frame_shows(tmp_path: Path) -> None:
    made = sink(tmp_path / "heat", hidden=frozenset({"person"}))
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    feed(made, [n / 10 for n in range(30)], [[40, 100, 60, 200]], image=noise)
    made.close()
    image = cv2.imread(str(tmp_path / "heat" / "door.png"))
    assert image is not None
    assert len(np.unique(image[:150, 100:].reshape(-1, 3), axis=0)) == 1


def test_several_sources_and_what_stands_there(tmp_path: Path) -> None:
    folder = tmp_path / "heat"
    made = sink(folder, sources=("a/door.mp4", "b/door.mp4"))
    feed(made, [0.0, 0.1], [[40, 100, 60, 200]])
    feed(made, [0.0, 0.1], [], source=1)
    made.close()
    assert sorted(path.name for path in folder.iterdir()) == ["door.mp4-2.png", "door.mp4.png"]
    again = sink(folder, sources=("a/door.mp4", "b/door.mp4"))
    with pytest.raises(OutputError, match="add --overwrite"):
        feed(again, [0.0], [])
    feed(sink(folder, sources=("a/door.mp4",), overwrite=True), [0.0], [])
