"""Scores of whole models on data sets: figures worked out by hand from what a model answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import supervision as sv

import livevision
from livevision.datasets import ClassMapSample, open_dataset
from livevision.errors import DataError, UsageError
from livevision.evaluation.models import write_plots
from livevision.protocols import EngineSpec, TensorSpec
from livevision.results import ClassMap, Label
from tests import small_models
from tests.datasets.making import coco, picture, png, text

needs_scorer = pytest.mark.skipif(
    find_spec("faster_coco_eval") is None, reason="faster-coco-eval is not installed"
)


class Answers:
    """Stands in for a model: gives prepared answers, one a picture, and keeps what it was shown."""

    name = "answers"
    class_agnostic = True
    engine_spec = EngineSpec("none", "cpu", "fp32", {"image": TensorSpec((1, 48, 64, 3), "uint8")})

    def __init__(self, task: str, labels: Sequence[str], answers: Sequence[Any]) -> None:
        self.task = task
        self.labels = list(labels)
        self.answers: Iterator[Any] = iter(answers)
        self.shown: list[Any] = []
        self.conf: list[float | None] = []

    def open(self) -> None:
        """Nothing to load."""

    def __call__(
        self, image: Any, conf: float | None = None, class_agnostic: bool | None = None
    ) -> Any:
        self.shown.append(image)
        self.conf.append(conf)
        return next(self.answers)


def boxes(*rows: tuple[list[float], float, int]) -> sv.Detections:
    """Detections of a box, a score and a class each."""
    return sv.Detections(
        np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4),
        confidence=np.array([score for _, score, _ in rows], np.float32),
        class_id=np.array([number for _, _, number in rows], np.int64),
    )


@needs_scorer
def test_boxes_of_any_score_make_ap_and_those_above_conf_precision(tmp_path: Path) -> None:
    files = ["a.jpg", "b.jpg"]
    for file in files:
        picture(tmp_path / "images" / file)
    rows: list[dict[str, Any]] = [
        {"bbox": [0, 0, 20, 20]},
        {"bbox": [30, 0, 20, 20], "difficult": 1},
        {"bbox": [0, 0, 20, 20], "image_id": 2},
    ]
    coco(tmp_path / "instances_val.json", rows, names=["cat"], files=files)
    first, second, other = [0.0, 0, 20, 20], [30.0, 0, 50, 20], [0.0, 25, 20, 45]
    model = Answers(
        "detect",
        ["dog", "cat"],
        [
            # A dog, which the data do not mark, is not held against the model.
            boxes((first, 0.9, 1), (second, 0.8, 1), (other, 0.7, 0)),
            boxes((other, 0.5, 1), (first, 0.1, 1)),
        ],
    )
    scores = livevision.evaluate(model, tmp_path)  # type: ignore[arg-type]
    assert model.conf == [0.0, 0.0]
    assert scores.figures["precision"] == pytest.approx(1 / 2)
    assert scores.figures["recall"] == pytest.approx(1 / 2)
    # Right, wrong, right: precision 1 up to a recall of 1/2 (51 points), then 2/3 (50 points).
    assert scores.figures["AP50"] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert np.isnan(scores.by_class["AP50"]["dog"])
    assert scores.counts == {"dog": 0, "cat": 2}
    assert scores.confusion.tolist() == [[0, 0, 0], [0, 1, 1], [0, 1, 0]]
    told = scores.to_dict()
    assert told["classes"]["dog"]["AP50"] is None
    assert told["scores"]["precision"] == 0.5
    assert (told["pictures"], told["engine"], told["input_size"]) == (2, "none cpu fp32", [64, 48])
    write_plots(scores, tmp_path / "plots")
    names = sorted(p.name for p in (tmp_path / "plots").iterdir())
    assert names == ["classes.png", "confusion.png", "precision_recall.png"]


@needs_scorer
@pytest.mark.parametrize(("agnostic", "precision"), [(True, 1.0), (False, 0.5)])
def test_ap_takes_all_classes_of_an_object_and_precision_what_is_shown(
    tmp_path: Path, agnostic: bool, precision: float
) -> None:
    picture(tmp_path / "images" / "a.jpg")
    rows: list[dict[str, Any]] = [
        {"bbox": [0, 0, 20, 20], "category_id": 10},
        {"bbox": [30, 0, 20, 20], "category_id": 11},
    ]
    coco(tmp_path / "instances_val.json", rows, names=["cat", "dog"], files=["a.jpg"])
    first, second = [0.0, 0, 20, 20], [30.0, 0, 50, 20]
    answer = boxes((first, 0.9, 0), (first, 0.8, 1), (second, 0.7, 1), (second, 0.6, 0))
    model = Answers("detect", ["cat", "dog"], [answer])
    model.class_agnostic = agnostic
    scores = livevision.evaluate(model, tmp_path)  # type: ignore[arg-type]
    assert scores.figures["precision"] == pytest.approx(precision)
    assert scores.figures["recall"] == 1
    # A dog is found behind a wrong one: a precision of 1/2 at every recall.
    assert scores.by_class["AP50"] == pytest.approx({"cat": 1.0, "dog": 0.5})


def test_class_maps_make_one_matrix_without_void(tmp_path: Path) -> None:
    stored = np.zeros((48, 64), np.uint8)
    stored[:, 32:], stored[:8] = 1, 255
    for name in "ab":
        picture(tmp_path / "images" / "val" / f"{name}.png")
        png(tmp_path / "labels" / "val" / f"{name}.png", stored)
    labels = ["road", "car", "sky"]
    half = np.zeros((48, 64), np.uint8)
    half[:, 32:] = 1
    model = Answers("segment", labels, [ClassMap(half, labels), ClassMap(half * 0, labels)])
    scores = livevision.evaluate(model, tmp_path)  # type: ignore[arg-type]
    # Each class has 40 x 32 pixels a picture that count; all of the second picture was called road.
    assert scores.by_class["IoU"] == pytest.approx(
        {"road": 2 / 3, "car": 1 / 2, "sky": np.nan}, nan_ok=True
    )
    assert scores.figures == pytest.approx({"mIoU": (2 / 3 + 1 / 2) / 2, "pixel_accuracy": 3 / 4})
    sample = open_dataset(tmp_path, kind="segment", labels=labels).samples[0]
    assert isinstance(sample, ClassMapSample)
    shown = cv2.imread(str(sample.path))
    assert shown is not None
    assert (model.shown[0] == shown).all()  # BGR, as models take it


def test_classes_that_the_data_do_not_mark_are_not_scored(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "val" / "a.png")
    png(tmp_path / "labels" / "val" / "a.png", np.zeros((48, 64)))
    text(tmp_path / "classes.txt", "road\n")
    labels = ["road", "lane"]
    guess = np.zeros((48, 64), np.uint8)
    guess[:, :16] = 1
    model = Answers("segment", labels, [ClassMap(guess, labels)])
    scores = livevision.evaluate(model, tmp_path)  # type: ignore[arg-type]
    assert scores.figures["mIoU"] == pytest.approx(3 / 4)
    assert np.isnan(scores.by_class["IoU"]["lane"])


def test_coarse_classes_are_scored_as_any_of_their_labels(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "val" / "a.png")
    stored = np.zeros((48, 64), np.uint8)
    stored[:, 32:] = 1  # half ground, half car
    png(tmp_path / "labels" / "val" / "a.png", stored)
    labels = ["road", "pavement", "car"]
    guess = np.zeros((48, 64), np.uint8)
    guess[:, 16:32], guess[:, 32:48], guess[:, 48:] = 1, 2, 1
    model = Answers("segment", labels, [ClassMap(guess, labels)])
    scores = livevision.evaluate(
        model,  # type: ignore[arg-type]
        {"path": tmp_path, "names": ["ground", "car"], "coarse": {"ground": labels[:2]}},
    )
    # Of 64 columns 32 are ground, all found, and 16 more are taken for it; half of car is found.
    assert scores.labels == [*labels, "any ground"]
    assert scores.by_class["IoU"] == pytest.approx(
        {"road": np.nan, "pavement": np.nan, "car": 1 / 2, "any ground": 2 / 3}, nan_ok=True
    )
    assert scores.figures == pytest.approx({"mIoU": (1 / 2 + 2 / 3) / 2, "pixel_accuracy": 3 / 4})
    assert scores.counts["any ground"] == 48 * 32


def test_guesses_make_top1_and_top5(tmp_path: Path) -> None:
    labels = ["a", "b", "c", "d", "e", "f"]
    for name in labels[:3]:
        picture(tmp_path / "val" / name / "1.jpg", (16, 16))
    text(tmp_path / "classes.txt", "a\nb\nc\n")
    guesses = [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [0, 1, 5, 3, 4]]
    answers = [Label(np.array(g), np.zeros(5, np.float32), labels) for g in guesses]
    model = Answers("classify", labels, answers)
    scores = livevision.evaluate(model, tmp_path)  # type: ignore[arg-type]
    assert scores.figures == pytest.approx({"top1": 1 / 3, "top5": 2 / 3})
    assert scores.by_class["top1"]["a"] == 1
    assert np.isnan(scores.by_class["top1"]["f"])


def test_wrong_settings_and_data_are_told(tmp_path: Path) -> None:
    model: Any = Answers("segment", ["a"], [])
    with pytest.raises(UsageError, match=r"conf is 2; it takes a number from 0 to 1"):
        livevision.evaluate(model, tmp_path, conf=2)
    with pytest.raises(DataError, match=r"no labels for the task segment"):
        livevision.evaluate(model, tmp_path)
    picture(tmp_path / "val" / "a" / "1.jpg")
    data = open_dataset(tmp_path, kind="classify")
    with pytest.raises(UsageError, match=r"open it with kind='segment' and labels=model.labels"):
        livevision.evaluate(model, data)


def test_a_real_net_is_scored_as_it_runs(tmp_path: Path) -> None:
    """The matrix is that of the model's own answers, at the pictures' size and not the net's."""
    card = small_models.CARDS["segment"]
    random = np.random.default_rng(0)
    stored = random.integers(0, 12, (80, 100)).astype(np.uint8)
    picture(tmp_path / "images" / "val" / "a.png", (100, 80))
    png(tmp_path / "labels" / "val" / "a.png", stored)
    with livevision.Model(
        card, small_models.files("segment"), {}, ("torch", "cpu", "fp32")
    ) as model:
        scores = livevision.evaluate(model, tmp_path)
        answer = model(cv2.imread(str(tmp_path / "images" / "val" / "a.png"))).class_map
    counted = stored < 11
    right = (answer == stored) & counted
    assert scores.figures["pixel_accuracy"] == pytest.approx(right.sum() / counted.sum())
    assert (scores.engine, scores.input_size) == ("torch cpu fp32", (96, 64))
