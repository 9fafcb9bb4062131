"""Looks of boxes, and that nothing of what is hidden is left in what is written."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import supervision as sv

from livevision.analysis.regions import Ignoring
from livevision.config import Settings
from livevision.errors import UsageError
from livevision.frame import Frame, Image, Inferred, Rendered
from livevision.output.images import ImagesSink
from livevision.output.options import OutputOptions
from livevision.output.video_file import VideoFileSink
from livevision.overlay.boxes import BoxOverlay
from livevision.overlay.hiding import HidingOverlay
from livevision.overlay.palette import box_palette
from livevision.overlay.room import Memory, Room
from livevision.overlay.styles import STYLES, styled
from livevision.protocols import SourceInfo
from livevision.results import ClassMap
from livevision.runtime.metering import Meter
from livevision.runtime.overlay_stage import OverlayStage
from tests import clips
from tests.output.feeding import plain_info

LABELS = ["person", "car"]
BOX = (100.4, 60.6, 181.5, 219.7)


def noise(seed: int, width: int = 320, height: int = 240) -> Image:
    """Fine black and white dots, each seed's others, of the same mean."""
    dots = np.random.default_rng(seed).permutation(np.arange(width * height) % 2)
    return np.repeat(dots.reshape(height, width, 1), 3, 2).astype(np.uint8) * 255


def found(*boxes: tuple[str, tuple[float, ...]], numbers: Any = None) -> sv.Detections:
    return sv.Detections(
        xyxy=np.array([box for _, box in boxes], np.float32).reshape(-1, 4),
        confidence=np.full(len(boxes), 0.9, np.float32),
        class_id=np.array([LABELS.index(name) for name, _ in boxes], int),
        tracker_id=None if numbers is None else np.array(numbers),
        data={"class_name": np.array([name for name, _ in boxes], dtype="U9")},
    )


def likeness(a: Image, b: Image) -> float:
    """Correlation of two pictures, brightness left out: 1 the same, 0 nothing in common."""
    return abs(float(np.corrcoef(a.reshape(-1).astype(float), b.reshape(-1).astype(float))[0, 1]))


def inner(image: Image, box: tuple[float, ...] = BOX) -> Image:
    """Every pixel that a box touches."""
    x1, y1, x2, y2 = np.floor(box[:2]).astype(int).tolist() + np.ceil(box[2:]).astype(int).tolist()
    return image[y1:y2, x1:x2]


def drawn(image: Image, results: dict[str, Any], **settings: Any) -> Image:
    """A frame as a run draws it."""
    task = "both" if len(results) > 1 else next(iter(results))
    added, copy = settings.pop("added", []), settings.pop("copy", True)
    ignored = settings.pop("ignored", ())
    of = {"task": task, "hud": False, "headless": True, **settings}
    models: list[Any] = [SimpleNamespace(task=task, labels=LABELS, name=task) for task in results]
    stage = OverlayStage(Settings.of(source="a.mp4", **of), models, Meter(), copy=copy)
    stage._added = added
    stage.opened(0, SourceInfo("a.mp4", False, (image.shape[1], image.shape[0])))
    frame = Frame(0, 0, 0.0, 0.0, image)
    return stage(Inferred(frame, results, ignored=ignored)).image


@pytest.mark.parametrize("fields", [False, True], ids=["blur", "pixelate"])
def test_nothing_of_what_is_hidden_is_left_and_the_rest_is_as_it_was(fields: bool) -> None:
    seen = noise(0)
    image = HidingOverlay({"person"}, fields=fields).draw(seen.copy(), found(("person", BOX)))
    assert likeness(inner(image), inner(seen)) < 0.1
    # Whoever stands there, the same is left of them.
    other = HidingOverlay({"person"}, fields=fields).draw(noise(1), found(("person", BOX)))
    assert np.abs(inner(image).astype(int) - inner(other)).max() < 16
    outside = np.ones(image.shape[:2], bool)
    outside[40:245, 90:195] = False
    assert (image[outside] == seen[outside]).all()


def test_letters_as_large_as_the_object_cannot_be_read() -> None:
    pictures = []
    for text in ("WM", "IL"):
        image = np.full((240, 320, 3), 128, np.uint8)
        cv2.putText(image, text, (102, 130), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (255,) * 3, 3)
        pictures.append(HidingOverlay().draw(image, found(("person", BOX))))
    edges = [float(np.abs(cv2.Laplacian(inner(p), cv2.CV_64F)).max()) for p in pictures]
    assert max(edges) < 10


def test_boxes_over_the_edge_tiny_and_none() -> None:
    boxes = [(-50.0, -20.0, 10.0, 15.0), (310.0, 230.0, 400.0, 300.0), (150.0, 100.0, 150.4, 100.4)]
    outside = [(400.0, 300.0, 500.0, 400.0), (-90.0, 5.0, -50.0, 50.0)]
    seen = noise(0)
    marked = found(*(("person", box) for box in (*boxes, *outside)))
    image = HidingOverlay().draw(seen.copy(), marked)
    assert likeness(image[:15, :10], seen[:15, :10]) < 0.35
    assert not (image[230:, 310:] == seen[230:, 310:]).all()
    assert not (image[100, 150] == seen[100, 150]).all()
    same = HidingOverlay().draw(seen.copy(), sv.Detections.empty())
    assert (same == seen).all()


def test_of_a_class_map_the_grown_mask_is_hidden() -> None:
    pixels = np.ones((240, 320), np.uint8)
    cv2.ellipse(pixels, (120, 130), (40, 80), 0, 0, 360, 0, -1)
    pixels[20:50, 250:300] = 0
    seen = noise(0)
    image = HidingOverlay({"person"}).draw(seen.copy(), ClassMap(pixels, LABELS))
    person = cv2.dilate((pixels == 0).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    assert likeness(image[person], seen[person]) < 0.1
    far = cv2.dilate((pixels == 0).astype(np.uint8), np.ones((21, 21), np.uint8)) == 0
    assert (image[far] == seen[far]).all()


@pytest.mark.parametrize("suffix", ["png", "mp4"])
def test_nothing_of_a_marked_person_is_left_in_the_written_frame(
    tmp_path: Path, suffix: str
) -> None:
    seen = noise(0)
    car = (220.0, 20.0, 300.0, 90.0)
    results = {"detect": found(("person", BOX), ("car", car))}
    image = drawn(seen, results, blur="person", style="none")
    frame = Rendered(Frame(0, 0, 0.0, 0.0, seen), results, image)
    if suffix == "png":
        sink: Any = ImagesSink(str(tmp_path / "f%03d.png"), plain_info(), OutputOptions())
    else:
        info = SourceInfo("a.mp4", False, (320, 240))
        sink = VideoFileSink(str(tmp_path / "f.mp4"), info, OutputOptions())
    sink.write(frame)
    sink.close()
    if suffix == "png":
        written = cv2.imread(str(next(tmp_path.glob("*.png"))))
    else:
        written = clips.read_clip(tmp_path / "f.mp4")[0].image
    assert written is not None
    assert likeness(inner(written), inner(seen)) < 0.1
    assert likeness(inner(written, car), inner(seen, car)) > 0.5


def test_it_lies_under_boxes_and_over_the_frame_and_the_frame_stays() -> None:
    seen = noise(0)
    before = seen.copy()
    image = drawn(seen, {"detect": found(("person", BOX))}, blur=["person"])
    assert (seen == before).all()
    assert tuple(image[150, 100]) == tuple(box_palette(LABELS)[0])
    assert likeness(inner(image), inner(seen)) < 0.15


def test_boxes_and_pixels_of_two_models_are_hidden() -> None:
    pixels = np.ones((240, 320), np.uint8)
    pixels[20:50, 250:300] = 0
    seen = noise(0)
    results = {"segment": ClassMap(pixels, LABELS), "detect": found(("person", BOX))}
    image = drawn(seen, results, blur="person", style="none", alpha=0)
    assert likeness(image[20:50, 250:300], seen[20:50, 250:300]) < 0.2
    assert likeness(inner(image), inner(seen)) < 0.1


def test_what_would_not_be_hidden_is_refused() -> None:
    results = {"detect": found(("person", BOX))}
    with pytest.raises(UsageError, match=r"unknown class 'persn'. Did you mean 'person'"):
        drawn(noise(0), results, blur="persn")
    with pytest.raises(UsageError, match="--classes excludes person"):
        drawn(noise(0), results, blur="person", classes="car")
    assert drawn(noise(0), results, blur="person", classes=[0]) is not None


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [(1, 1), (16, 16), (641, 359)], ids=str)
def test_every_style_draws_inside_the_picture(style: str, size: tuple[int, int]) -> None:
    width, height = size
    whole = np.full((height + 40, width + 40, 3), 77, np.uint8)
    image = whole[20 : 20 + height, 20 : 20 + width]
    boxes = [("person", (-5.0, -5.0, width * 0.4, height * 0.6)), ("car", (2.0, 2.0, 9e3, 9e3))]
    memory = Memory()
    overlay = styled(style, LABELS)
    for result in (found(*boxes, numbers=[1, -1]), found(*boxes), found()):
        room = Room(image, memory)
        room.draw(image, [overlay.plan(result, room)])
    rim = whole.copy()
    rim[20:-20, 20:-20] = 77
    assert (rim == 77).all()


def test_styles_differ_and_none_is_none() -> None:
    result = found(("person", BOX), numbers=[4])
    grey = np.full((240, 320, 3), 90, np.uint8)
    grey[100:140, 120:160] = 200
    pictures = {}
    for style in STYLES:
        image, memory, overlay = grey.copy(), Memory(), styled(style, LABELS)
        for shift in range(3):
            moved = found(("person", tuple(v - 9 * shift for v in BOX)), numbers=[4])
            image = grey.copy()
            room = Room(image, memory)
            room.draw(image, [overlay.plan(moved, room)])
        pictures[style] = image
    assert (pictures["none"] == grey).all()
    drawn = [picture.tobytes() for picture in pictures.values()]
    assert len(set(drawn)) == len(STYLES)
    assert result.tracker_id is not None


def test_corners_are_the_boxs_own_without_the_middles() -> None:
    grey = np.full((240, 320, 3), 90, np.uint8)
    box, corner = grey.copy(), grey.copy()
    result = found(("person", (60.0, 40.0, 260.0, 200.0)))
    BoxOverlay(LABELS, confidence=False).draw(box, result)
    styled("corner", LABELS).draw(corner, result)  # type: ignore[attr-defined]
    colour = tuple(box_palette(LABELS)[0])
    for x, y in ((60, 60), (259, 60), (60, 199), (259, 199), (70, 199), (60, 190)):
        assert tuple(corner[y, x]) == tuple(box[y, x]) == colour
    for x, y in ((160, 199), (60, 120), (259, 120)):
        assert tuple(box[y, x]) == colour
        assert tuple(corner[y, x]) == (90, 90, 90)


def test_the_way_of_a_track_is_drawn_and_that_of_another_source_is_not() -> None:
    overlay = styled("trace", LABELS)
    memories = [Memory(), Memory()]
    for step in range(10):
        for memory, y in zip(memories, (60, 160), strict=True):
            image = np.full((240, 320, 3), 90, np.uint8)
            room = Room(image, memory)
            x = 30.0 + 20 * step
            result = found(("person", (x, y, x + 20.0, y + 20.0)), numbers=[1])
            room.draw(image, [overlay.plan(result, room)])
    changed = (image != 90).any(2)
    # The feet of the second source's track walked along y = 180.
    assert changed[178:183, 60:200].any(0).all()
    assert not changed[60:100].any()


def test_heat_gathers_where_objects_are() -> None:
    overlay, memory = styled("heatmap", LABELS), Memory()
    for _ in range(5):
        image = np.full((240, 320, 3), 90, np.uint8)
        room = Room(image, memory)
        room.draw(image, [overlay.plan(found(("car", (100.0, 50.0, 140.0, 120.0))), room)])
    assert (image[120, 120] != 90).any()
    assert (image[:, 200:] == 90).all()


class _Magnifier:
    """What another package may draw: parts of the frame itself, where they were and elsewhere."""

    def plan(self, result: Rendered, room: Room) -> Any:
        def draw(image: Image) -> None:
            for source in (result.image, result.frame.image):
                part = inner(source).copy()
                height, width = part.shape[:2]
                image[60 : 60 + height, 100 : 100 + width] = part
                image[:height, 200 : 200 + width] = part

        return draw


@pytest.mark.parametrize("copy", [True, False], ids=["copied", "in-place"])
def test_nothing_is_left_though_a_plug_in_draws_the_frame_again(copy: bool) -> None:
    seen = noise(0)
    image = drawn(
        seen.copy(),
        {"detect": found(("person", BOX))},
        blur="person",
        style="none",
        added=[_Magnifier()],
        copy=copy,
    )
    part = inner(seen)
    height, width = part.shape[:2]
    assert likeness(inner(image), part) < 0.1
    assert likeness(image[:height, 200 : 200 + width], part) < 0.1
    assert likeness(image[:40, :90], seen[:40, :90]) > 0.99, "and the rest is as it was"


def test_what_lies_in_an_ignored_region_is_hidden_too() -> None:
    seen = noise(0)
    people = found(("person", BOX), ("person", (220.0, 20.0, 300.0, 90.0)))
    region = ((200.0, 0.0), (319.0, 0.0), (319.0, 239.0), (200.0, 239.0))
    before = Inferred(Frame(0, 0, 0.0, 0.0, seen), {"detect": people})
    after = Ignoring([region])(before)
    left = after.results["detect"]
    assert isinstance(left, sv.Detections)
    assert len(left) == 1
    image = drawn(seen, after.results, blur="person", style="none", ignored=after.ignored)
    assert likeness(inner(image), inner(seen)) < 0.1
    ignored = (220.0, 20.0, 300.0, 90.0)
    assert likeness(inner(image, ignored), inner(seen, ignored)) < 0.1
