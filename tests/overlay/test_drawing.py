"""What the overlays put on a picture, pixel by pixel, and what they leave alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import supervision as sv

from livevision.errors import UsageError
from livevision.overlay import hud
from livevision.overlay.boxes import BoxOverlay
from livevision.overlay.class_map import ClassMapOverlay
from livevision.overlay.hud import HudOverlay
from livevision.overlay.labels import LabelsOverlay
from livevision.overlay.palette import bright, palette
from livevision.protocols import Rates
from livevision.results import ClassMap, Label

RATES = Rates(29.97, 45.1, 28.4, 33.0, 12, "bisenet-xception39-camvid", "openvino cpu fp32")
FIRST = tuple(bright()[0].tolist())
SIZES = [(1, 1), (3, 2), (16, 16), (64, 48), (160, 120), (641, 359), (1280, 720)]


def grey(width: int, height: int, value: int = 100) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def guarded(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture that is the middle of a larger array, and that array: a stray write shows."""
    whole = np.full((height + 40, width + 40, 3), 77, np.uint8)
    return whole, whole[20 : 20 + height, 20 : 20 + width]


def border_untouched(whole: np.ndarray) -> bool:
    rim = whole.copy()
    rim[20:-20, 20:-20] = 77
    return bool((rim == 77).all())


def detections(boxes: list[list[float]], **more: Any) -> sv.Detections:
    n = len(boxes)
    return sv.Detections(
        xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        confidence=np.linspace(0.9, 0.5, n, dtype=np.float32),
        class_id=np.arange(n),
        data={"class_name": np.array([f"thing{i}" for i in range(n)])},
        **more,
    )


class TestBoxes:
    def test_the_outline_lies_on_the_box_in_the_colour_of_its_class(self) -> None:
        image = grey(400, 300)
        BoxOverlay().draw(image, detections([[100, 120, 300, 250]]))
        for x, y in [(100, 200), (300, 200), (200, 250), (250, 120)]:
            assert tuple(image[y, x]) == FIRST
        assert (image[125:246, 105:296] == 100).all()
        assert (image[260:] == 100).all()
        assert (image[:, 310:] == 100).all()

    def test_the_label_stands_on_the_top_edge_or_inside_where_there_is_no_room(self) -> None:
        image = grey(400, 300)
        BoxOverlay().draw(image, detections([[100, 120, 300, 250]]))
        assert tuple(image[117, 101]) == FIRST
        image = grey(400, 300)
        BoxOverlay().draw(image, detections([[100, 2, 300, 250]]))
        assert tuple(image[5, 101]) == FIRST

    def test_lines_grow_with_the_picture(self) -> None:
        def width_of_left_edge(scale: int) -> int:
            image = grey(640 * scale, 360 * scale)
            box = [100.0 * scale, 100.0 * scale, 300.0 * scale, 300.0 * scale]
            BoxOverlay().draw(image, detections([box]))
            return int((image[200 * scale, : 200 * scale] == FIRST).all(axis=1).sum())

        assert width_of_left_edge(6) >= 3 * width_of_left_edge(1) > 0

    def test_no_detections_change_nothing(self) -> None:
        image = grey(64, 48)
        BoxOverlay().draw(image, sv.Detections.empty())
        assert (image == 100).all()

    def test_boxes_without_class_or_confidence_are_drawn(self) -> None:
        image = grey(64, 48)
        BoxOverlay().draw(image, sv.Detections(xyxy=np.array([[10, 10, 40, 40]], np.float32)))
        assert (image[25, 10] != 100).any()

    @pytest.mark.parametrize("size", SIZES)
    def test_boxes_beyond_the_picture_are_cut_off(self, size: tuple[int, int]) -> None:
        whole, image = guarded(*size)
        boxes = [[-50, -50, 5, 5], [-1e9, 1, 1e9, 1e9], [size[0] - 1, 0, size[0] + 90, 4000]]
        BoxOverlay().draw(image, detections(boxes, tracker_id=np.array([1, 2, 3])))
        assert border_untouched(whole)
        assert (image != 77).any()

    def test_a_box_around_everything_does_not_show_inside(self) -> None:
        image = grey(200, 200)
        BoxOverlay().draw(image, detections([[-1e9, -1e9, 1e9, 1e9]]))
        assert (image[60:] == 100).all()


class TestClassMap:
    def test_colours_are_blended_by_alpha(self) -> None:
        labels = ["sky", "road", "car"]
        image = grey(120, 60, 100)
        class_map = np.repeat(np.arange(3, dtype=np.uint8), 40)[None].repeat(60, 0)
        ClassMapOverlay(0.25, legend=False, lines=False).draw(image, ClassMap(class_map, labels))
        colours = palette(labels).astype(float)
        expected = 0.75 * 100 + 0.25 * colours[class_map]
        assert np.abs(image - expected).max() <= 1

    def test_background_and_unknown_ids_let_the_picture_through(self) -> None:
        image = grey(90, 30, 60)
        class_map = np.repeat(np.array([0, 15, 255], np.uint8), 30)[None].repeat(30, 0)
        labels = ["background", *(f"c{i}" for i in range(20))]
        ClassMapOverlay(0.5, legend=False).draw(image, ClassMap(class_map, labels))
        assert (image[:, :30] == 60).all()
        assert (image[:, 30:60] != 60).any()
        assert (image[:, 60:] == 60).all()

    def test_islands_are_coloured_and_nothing_around_them(self) -> None:
        labels = ["background", "person"]
        class_map = np.zeros((90, 120), np.uint8)
        overlay = ClassMapOverlay(0.25, legend=False, lines=False)
        assert (overlay.draw(grey(120, 90, 60), ClassMap(class_map, labels)) == 60).all()
        class_map[20:30, 5:40] = class_map[60:61, 100:101] = 1
        image = overlay.draw(grey(120, 90, 60), ClassMap(class_map, labels))
        expected = 0.75 * 60 + 0.25 * palette(labels)[1].astype(float)
        assert np.abs(image[class_map == 1] - expected).max() <= 1
        assert (image[class_map == 0] == 60).all()

    def test_the_ends_of_alpha(self) -> None:
        labels = ["sky", "road"]
        result = ClassMap(np.zeros((16, 16), np.uint8), labels)
        result.class_map[:, 8:] = 1
        assert (ClassMapOverlay(0).draw(grey(16, 16, 60), result) == 60).all()
        image = ClassMapOverlay(1, lines=False).draw(grey(16, 16, 60), result)
        assert (image == palette(labels)[result.class_map]).all()

    @pytest.mark.parametrize("size", [(320, 180), (1280, 720), (720, 1280)])
    @pytest.mark.parametrize("labels", [["sky", "road"], ["background", "person"]])
    def test_a_line_runs_between_classes_and_nowhere_else(
        self, size: tuple[int, int], labels: list[str]
    ) -> None:
        class_map = np.zeros(size[::-1], np.uint8)
        middle = size[0] // 2
        class_map[:, middle:] = 1
        image = ClassMapOverlay(1, legend=False).draw(grey(*size), ClassMap(class_map, labels))
        white = (image == 255).all(axis=2)
        width = int(white[0].sum())
        assert 1 <= width <= max(1, min(size) // 180)
        assert (white == white[0]).all()
        assert white[0, middle : middle + width].all(), "on the side of the later class"
        assert (ClassMapOverlay(0).draw(grey(*size), ClassMap(class_map, labels)) == 100).all()

    def test_a_class_map_of_one_class_has_no_line(self) -> None:
        result = ClassMap(np.ones((180, 320), np.uint8), ["sky", "road"])
        image = ClassMapOverlay(1, legend=False).draw(grey(320, 180), result)
        assert (image == palette(["sky", "road"])[1]).all()

    def test_the_class_map_itself_is_not_changed(self) -> None:
        class_map = np.full((300, 400), 1, np.uint8)
        ClassMapOverlay().draw(grey(400, 300), ClassMap(class_map, ["sky", "road"]))
        assert (class_map == 1).all()

    def test_the_legend_shows_the_pure_colour_of_what_is_seen_and_nothing_else(self) -> None:
        labels = ["sky", "road", "car"]
        class_map = np.full((300, 400), 1, np.uint8)
        image = ClassMapOverlay(0.5).draw(grey(400, 300), ClassMap(class_map, labels))
        colours = {tuple(c) for c in image[150:, :100].reshape(-1, 3).tolist()}
        sky, road, car = (tuple(c) for c in palette(labels).tolist())
        assert road in colours
        assert sky not in colours
        assert car not in colours

    def test_other_labels_bring_other_colours(self) -> None:
        overlay = ClassMapOverlay(1.0, legend=False)
        class_map = np.zeros((8, 8), np.uint8)
        for labels in (["sky"], ["thing"]):
            image = overlay.draw(grey(8, 8), ClassMap(class_map, labels))
            assert image[0, 0].tolist() == palette(labels)[0].tolist()
        assert palette(["sky"]).tolist() != palette(["thing"]).tolist()

    @pytest.mark.parametrize("size", SIZES)
    def test_any_size(self, size: tuple[int, int]) -> None:
        whole, image = guarded(*size)
        class_map = np.zeros(image.shape[:2], np.uint8)
        ClassMapOverlay().draw(image, ClassMap(class_map, ["road"]))
        assert border_untouched(whole)
        assert (image != 77).any()

    def test_a_map_of_another_size_is_refused(self) -> None:
        with pytest.raises(ValueError, match="class map"):
            ClassMapOverlay().draw(grey(8, 8), ClassMap(np.zeros((4, 4), np.uint8), ["road"]))

    @pytest.mark.parametrize("alpha", [-0.1, 1.5, float("nan")])
    def test_an_alpha_outside_its_range_is_refused(self, alpha: float) -> None:
        with pytest.raises(UsageError, match="between 0 and 1"):
            ClassMapOverlay(alpha)


class TestLabels:
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("name", ["cat", "a very long name of a thing, and its other names"])
    def test_any_size_and_nothing_outside_the_picture(
        self, size: tuple[int, int], name: str
    ) -> None:
        whole, image = guarded(*size)
        LabelsOverlay().draw(image, label(name))
        assert border_untouched(whole)
        assert (image[: size[1] // 2] == 77).all(), "the rates stand in the upper half"

    @pytest.mark.parametrize("ground", [0, 128, 255])
    @pytest.mark.parametrize("size", [(320, 180), (1280, 720), (720, 1280)])
    def test_white_letters_stand_out_from_any_ground(
        self, ground: int, size: tuple[int, int]
    ) -> None:
        image = LabelsOverlay().draw(grey(*size, ground), label())
        assert image[-40:, :60].max() >= 240
        assert image[-1, 0].max() < 90

    def test_every_class_has_a_line_and_the_likeliest_stands_first(self) -> None:
        five = LabelsOverlay().draw(grey(640, 360), label())
        two = LabelsOverlay().draw(grey(640, 360), label(count=2))
        written = [int((i[:, 0] != 100).any(axis=1).sum()) for i in (two, five)]
        assert written[1] > 2 * written[0]
        other = LabelsOverlay().draw(grey(640, 360), label(first=0.123))
        changed = np.flatnonzero((five != other).any(axis=(1, 2)))
        top = np.flatnonzero((five[:, 0] != 100).any(axis=1))[0]
        assert changed.max() < top + written[1] / 4

    def test_a_long_name_is_cut_and_the_probability_stays(self) -> None:
        long = LabelsOverlay().draw(grey(160, 120), label("x" * 80))
        longer = LabelsOverlay().draw(grey(160, 120), label("x" * 90))
        assert (long == longer).all()
        assert (long[-20:].max(axis=2) > 200).any()

    def test_no_classes_change_nothing(self) -> None:
        image = LabelsOverlay().draw(grey(64, 48), label(count=0))
        assert (image == 100).all()


def label(name: str = "thing", count: int = 5, first: float = 0.9) -> Label:
    names = [f"{name} {number}" for number in range(9)]
    probabilities = np.array([first, 0.05, 0.02, 0.01, 0.001], np.float32)
    return Label(np.array([3, 1, 4, 0, 8])[:count], probabilities[:count], names)


class TestHud:
    @pytest.mark.parametrize("size", SIZES)
    def test_any_size_and_nothing_outside_the_picture(self, size: tuple[int, int]) -> None:
        whole, image = guarded(*size)
        HudOverlay().draw(image, RATES)
        assert border_untouched(whole)

    @pytest.mark.parametrize("size", [(160, 120), (320, 180), (1280, 720), (720, 1280)])
    def test_it_is_there_from_160_by_120_up(self, size: tuple[int, int]) -> None:
        image = HudOverlay().draw(grey(*size), RATES)
        assert (image[0:4, 0:4] < 100).all()
        assert (image.max(axis=2) > 200).any()

    @pytest.mark.parametrize("ground", [0, 128, 255])
    def test_white_letters_stand_out_from_any_ground(self, ground: int) -> None:
        image = HudOverlay().draw(grey(1280, 720, ground), RATES)
        text = image[:20, :300]
        assert text.max() >= 250
        assert text[0, 0].max() < 90

    def test_it_grows_with_the_picture(self) -> None:
        def height(scale: int) -> int:
            image = HudOverlay().draw(grey(1280 * scale, 720 * scale), RATES)
            return int((image[:, 0, 0] != 100).sum())

        assert height(3) > 2 * height(1)

    def test_figures_not_known_yet_are_dashes(self) -> None:
        unknown = HudOverlay().draw(grey(640, 360), Rates())
        endless = HudOverlay().draw(grey(640, 360), Rates(float("inf"), float("nan")))
        assert (unknown == endless).all()

    def test_a_lag_is_shown_where_there_is_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        written: list[list[str]] = []
        monkeypatch.setattr(hud, "panel", lambda image, lines, *rest: written.append(lines))
        for lag in (None, 12.0, 430.0):
            HudOverlay().draw(grey(1280, 720), replace(RATES, lag_ms=lag))
        assert ["lag" in lines[0] for lines in written] == [False, False, True]
        assert "lag 430 ms" in written[2][0]

    def test_each_figure_stands_beside_its_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        written: list[list[str]] = []
        monkeypatch.setattr(hud, "panel", lambda image, lines, *rest: written.append(lines))
        HudOverlay().draw(grey(1280, 720), RATES)
        HudOverlay().draw(grey(1280, 720), Rates(30.0, 90.4, 29.0, model="net"))
        assert written == [
            [
                "capture 30.0   model 45.1   delivered 28.4 fps   latency 33 ms   dropped 12",
                "bisenet-xception39-camvid   openvino cpu fp32",
            ],
            ["capture 30.0   model 90.4   delivered 29.0 fps", "net"],
        ]

    def test_what_is_written_follows_the_figures(self) -> None:
        one = HudOverlay().draw(grey(640, 360), Rates(30.0, 30.0, 30.0, 10.0))
        two = HudOverlay().draw(grey(640, 360), Rates(30.0, 30.0, 29.0, 10.0))
        assert (one != two).any()
