"""Scenes on pictures: what is watched shows, in its place, with what was counted."""

from __future__ import annotations

import numpy as np
import pytest

from livevision.config.scene import scene_of
from livevision.frame import Counts, Image
from livevision.overlay.room import Room
from livevision.overlay.scene import SceneOverlay

SCENE = scene_of(
    {
        "lines": {"gate": {"points": [[0.1, 0.5], [0.6, 0.5]]}},
        "zones": {"till": {"points": [[0.2, 0.1], [0.5, 0.1], [0.5, 0.4], [0.2, 0.4]]}},
        "ignore": [[[0.8, 0], [1, 0], [1, 0.2], [0.8, 0.2]]],
    }
)


def counts(come: int = 0, gone: int = 0, inside: int = 0) -> Counts:
    return Counts(SCENE, {"gate": (come, gone)}, {"till": inside})


def grey(value: int = 128, size: tuple[int, int] = (640, 480)) -> Image:
    return np.full((size[1], size[0], 3), value, np.uint8)


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_lines_and_zones_show_on_any_ground(ground: int) -> None:
    image = SceneOverlay().draw(grey(ground), counts())
    for x, y in ((330, 240), (128, 100), (320, 100), (220, 192)):
        around = image[y - 4 : y + 5, x - 4 : x + 5]
        assert int(around.max()) - int(around.min()) > 150, (x, y)
    # The arrow stands above the middle of the line, on the side of "in".
    assert (image[226:236, 218:231] != ground).any()
    assert (image[246:258, 218:231] == ground).all()
    assert (image[280:, 400:] == ground).all()


def test_ignored_regions_are_grey() -> None:
    image = SceneOverlay().draw(grey(255), counts())
    assert image[50, 512].tolist() == [128] * 3


def test_figures_are_written_and_take_their_room() -> None:
    room = Room(grey())
    SceneOverlay().draw(grey(), counts(), room)
    tags = room.rects("scene")
    assert len(tags) == 2
    empty, some = (SceneOverlay().draw(grey(), counts(*n)) for n in ((), (3, 1, 2)))
    changed = np.argwhere((empty != some).any(-1))
    assert len(changed) > 20
    outside = [
        (y, x)
        for y, x in changed.tolist()
        if not any(left <= x < right + 8 and top <= y < bottom for left, top, right, bottom in tags)
    ]
    assert not outside


def test_small_pictures_and_shapes_that_leave_them_are_no_trouble() -> None:
    far = scene_of(
        {
            "lines": {"l": {"points": [[500, 20], [9000, 20]]}},
            "zones": {"z": {"points": [[0, 0], [50, 0], [20, 400]]}},
        }
    )
    for size in ((2, 2), (16, 16), (60, 40)):
        before = grey(90, size)
        image = SceneOverlay().draw(before.copy(), Counts(far, {}, {}))
        assert image.shape == before.shape
