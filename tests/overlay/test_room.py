"""Texts on a picture: clear of each other and of what was found, and where they were before."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
import supervision as sv

from livevision.overlay.boxes import BoxOverlay
from livevision.overlay.class_map import ClassMapOverlay
from livevision.overlay.hud import HudOverlay
from livevision.overlay.labels import LabelsOverlay
from livevision.overlay.palette import bright
from livevision.overlay.room import Memory, Rect, Room
from livevision.protocols import Rates
from livevision.results import ClassMap, Label

RATES = Rates(29.97, 45.1, 28.4, 33.0, 12, "thundernet-mobilenetv2", "openvino cpu fp32")
SIZES = [(640, 360), (640, 272), (360, 640), (641, 359), (1280, 720), (3840, 2160)]


def detections(boxes: Sequence[Sequence[float]], name: str = "motorbike") -> sv.Detections:
    n = len(boxes)
    return sv.Detections(
        xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        confidence=np.linspace(0.9, 0.3, n, dtype=np.float32),
        class_id=np.arange(n) % 7,
        data={"class_name": np.array([name] * n)},
    )


def random_boxes(n: int, width: int, height: int, seed: int = 0) -> sv.Detections:
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0, 1, (n, 2)) * [width, height]
    half = rng.uniform(0.02, 0.1, (n, 2)) * [width, height]
    boxes = np.hstack((centre - half, centre + half)).clip(0, [width, height] * 2)
    return detections(boxes.tolist())


def drawn(
    found: sv.Detections, size: tuple[int, int], memory: Memory | None = None, **more: Any
) -> tuple[np.ndarray, Room]:
    """A picture with everything on it, planned and drawn as in a run."""
    image = np.full((size[1], size[0], 3), 120, np.uint8)
    room = Room(image, memory)
    steps = [BoxOverlay().plan(found, room)]
    if "class_map" in more:
        steps.insert(0, ClassMapOverlay().plan(more["class_map"], room))
    if "label" in more:
        steps.append(LabelsOverlay().plan(more["label"], room))
    steps.append(HudOverlay().plan(RATES, room))
    room.draw(image, steps)
    return image, room


def meet(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def check(room: Room) -> None:
    """No text on another, and each wholly in the picture."""
    for (_, a), (_, b) in combinations(room.taken, 2):
        assert not meet(a, b)
    for _, (left, top, right, bottom) in room.taken:
        assert 0 <= left < right <= room.width
        assert 0 <= top < bottom <= room.height


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [1, 5, 20, 100])
def test_no_text_lies_on_another(size: tuple[int, int], count: int) -> None:
    _, room = drawn(random_boxes(count, *size), size)
    check(room)
    assert len(room.rects("hud")) == 1
    if count <= 20:
        assert len(room.rects("box label")) == count, "there is room for all"


@pytest.mark.parametrize("count", [2, 3, 4])
def test_objects_on_each_other_have_a_label_each(count: int) -> None:
    _, room = drawn(detections([[300, 200, 330, 215]] * count), (640, 360))
    check(room)
    assert len(room.rects("box label")) == count


def test_a_label_stays_by_its_box() -> None:
    found = random_boxes(30, 1280, 720)
    for i in range(30):
        one = found[i : i + 1]
        image = np.zeros((720, 1280, 3), np.uint8)
        room = Room(image)
        room.take("hud", (0, 0, 700, 60))
        BoxOverlay().draw(image, one, room)
        (left, top, right, bottom) = room.rects("box label")[0]
        x1, y1, x2, y2 = one.xyxy[0]
        near = 4 * (bottom - top) + 4
        assert left <= x2 + 4
        assert right >= x1 - 4
        assert top <= y2 + near
        assert bottom >= y1 - near


def test_labels_that_find_no_room_are_left_out_and_sure_ones_come_first() -> None:
    found = detections([[20, 20, 140, 110]] * 61)
    found.confidence[:] = 0.3
    found.confidence[-1] = 0.9
    image, room = drawn(found, (160, 120))
    check(room)
    labels = room.rects("box label")
    assert 3 <= len(labels) < 61
    left, top, _, _ = labels[0]
    colour = bright()[found.class_id[-1]].tolist()
    assert image[top, left].tolist() == colour, "the first place is the sure one's"


CORNERS = {
    "top left": [0, 0, 320, 150],
    "top": [0, 0, 640, 120],
    "left": [0, 0, 200, 360],
    "all but the bottom right": [0, 0, 640, 240],
    "bottom": [0, 200, 640, 360],
    "right": [400, 0, 640, 360],
}


@pytest.mark.parametrize("where", CORNERS)
def test_the_rates_stand_where_nothing_is(where: str) -> None:
    box = CORNERS[where]
    _, room = drawn(detections([box]), (640, 360))
    check(room)
    assert not meet(room.rects("hud")[0], tuple(int(v) for v in box))  # type: ignore[arg-type]


def test_the_rates_stand_between_boxes_at_all_corners() -> None:
    boxes = [[0, 0, 90, 90], [550, 0, 640, 90], [0, 270, 90, 360], [550, 270, 640, 360]]
    _, room = drawn(detections(boxes), (640, 360))
    check(room)
    hud = room.rects("hud")[0]
    assert not any(meet(hud, tuple(box)) for box in boxes)  # type: ignore[arg-type]


def test_a_small_thing_is_not_hidden_for_a_large_one() -> None:
    """A sixth of a bus may go under the rates, a bird may not."""
    boxes = [[0, 0, 640, 300], [400, 300, 640, 360], [0, 320, 30, 350]]
    _, room = drawn(detections(boxes), (640, 360))
    hud = room.rects("hud")[0]
    assert not meet(hud, (0, 320, 30, 350))


def test_the_rates_do_not_follow_every_box() -> None:
    memory = Memory()
    size = (640, 360)
    first = drawn(detections([]), size, memory)[1].rects("hud")
    assert first[0][:2] == (0, 0), "the top left is where one looks first"
    for n in range(40):
        boxes = [[0, 0, 200, 300]] if n % 20 == 0 else []
        assert drawn(detections(boxes), size, memory)[1].rects("hud") == first


def test_the_rates_make_room_for_what_stays_and_then_stay_themselves() -> None:
    memory = Memory()
    size = (640, 360)
    drawn(detections([]), size, memory)
    places = [drawn(detections([[0, 0, 90, 90]]), size, memory)[1].rects("hud") for _ in range(40)]
    assert not meet(places[-1][0], (0, 0, 90, 90))
    assert sum(a != b for a, b in pairwise(places)) <= 1
    for _ in range(60):
        assert drawn(detections([]), size, memory)[1].rects("hud") == places[-1]


def test_a_thing_that_jitters_moves_nothing() -> None:
    memory = Memory()
    rng = np.random.default_rng(1)
    places = set()
    for _ in range(60):
        x, y = rng.uniform(0, 12, 2)
        room = drawn(detections([[180 + x, y, 330 + x, 160 + y]]), (640, 360), memory)[1]
        check(room)
        places.add(tuple(room.rects("hud")))
    assert len(places) == 1


def test_pictures_of_another_size_begin_anew() -> None:
    memory = Memory()
    for size in ((640, 360), (360, 640), (64, 48), (640, 360)):
        check(drawn(random_boxes(4, *size), size, memory)[1])


def test_the_rates_and_the_legend_keep_clear_of_a_person_in_a_class_map() -> None:
    class_map = np.zeros((360, 640), np.uint8)
    class_map[:, :330] = 1
    result = ClassMap(class_map, ["background", "person"])
    _, room = drawn(detections([]), (640, 360), class_map=result)
    check(room)
    for name in ("hud", "legend"):
        assert room.rects(name)[0][0] >= 330


def test_the_legend_keeps_clear_of_boxes() -> None:
    result = ClassMap(np.ones((360, 640), np.uint8), ["sky", "road"])
    box = (0, 240, 300, 360)
    _, room = drawn(detections([box]), (640, 360), class_map=result)
    check(room)
    assert not meet(room.rects("legend")[0], box)
    assert not meet(room.rects("hud")[0], box)


def test_a_class_at_the_edge_of_being_named_does_not_come_and_go() -> None:
    """Half a percent brings a name in, and it goes at a fifth of that only."""
    memory = Memory()
    heights = set()
    for n in range(20):
        class_map = np.zeros((400, 400), np.uint8)
        class_map[:40, : 24 if n % 2 == 0 else 16] = 1
        image = np.zeros((400, 400, 3), np.uint8)
        room = Room(image, memory)
        room.draw(image, [ClassMapOverlay().plan(ClassMap(class_map, ["sky", "car"]), room)])
        _, top, _, bottom = room.rects("legend")[0]
        heights.add(bottom - top)
    assert len(heights) == 1


def test_the_classes_of_the_whole_picture_are_text_too() -> None:
    label = Label(np.array([1, 0]), np.array([0.9, 0.1], np.float32), ["cat", "dog"])
    _, room = drawn(random_boxes(20, 640, 360), (640, 360), label=label)
    check(room)
    assert len(room.rects("labels")) == 1


@pytest.mark.parametrize("size", [(64, 64), (64, 48), (100, 64)])
def test_a_tiny_picture_has_labels_one_can_read_and_still_shows_something(
    size: tuple[int, int],
) -> None:
    image, room = drawn(detections([[10, 20, 50, 44]]), size)
    check(room)
    (left, top, right, bottom) = room.rects("box label")[0]
    assert bottom - top >= 10
    ink = image[top:bottom, left:right].reshape(-1, 3)
    assert np.ptp(ink.astype(int).sum(1)) > 250, "letters in another brightness than their plate"
    assert (image == 120).all(axis=2).mean() > 0.3


@pytest.mark.parametrize("ground", [0, 128, 255])
@pytest.mark.parametrize("name", ["Größe", "собака", "piñata", "line\nbreak", "狗", ""])
def test_any_name_on_any_ground(ground: int, name: str) -> None:
    image = np.full((360, 640, 3), ground, np.uint8)
    room = Room(image)
    BoxOverlay().draw(image, detections([[100, 100, 300, 300]], name), room)
    left, top, right, bottom = room.rects("box label")[0]
    plate = image[top:bottom, left:right]
    assert len(np.unique(plate.reshape(-1, 3), axis=0)) > 2, "something is written"
    assert (image[:top] == ground).all()


def test_what_differs_in_accents_is_written_differently() -> None:
    plates = []
    for name in ("piñata", "pinata"):
        image = np.zeros((360, 640, 3), np.uint8)
        BoxOverlay(confidence=False).draw(image, detections([[100, 100, 300, 300]], name))
        plates.append(image)
    assert (plates[0] != plates[1]).any()


def test_letters_grow_with_the_picture() -> None:
    def height(size: tuple[int, int]) -> int:
        _, top, _, bottom = drawn(detections([[40, 60, 60, 80]]), size)[1].rects("box label")[0]
        return bottom - top

    assert height((640, 360)) >= 12
    assert height((3840, 2160)) >= 4 * height((640, 360))
    assert height((720, 1280)) == height((1280, 720))


def test_labels_stay_where_they_were_though_confidence_and_boxes_waver() -> None:
    memory = Memory()
    rng = np.random.default_rng(2)
    beside = []
    for n in range(30):
        boxes = np.array([[200, 150, 260, 190], [230, 152, 290, 192]]) + rng.integers(-1, 2, (2, 4))
        found = detections(boxes.tolist())
        found.confidence[:] = (0.8, 0.7) if n % 2 else (0.7, 0.8)
        room = drawn(found, (640, 360), memory)[1]
        check(room)
        left, right = sorted(room.rects("box label"))
        beside.append((left[1] > 170, right[1] > 170, left[0] < 215, right[0] > 215))
    assert len(set(beside)) == 1, "each above or below its box, at its left or right, as before"
