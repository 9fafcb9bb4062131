"""Pictures of rare classes come more often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from livevision.datasets.samples import BoxSample, DataSet
from livevision.errors import UsageError
from livevision.training.jobs import make_job
from livevision.training.processes import Group
from livevision.training.repeats import repeat_factors, repeated
from tests.training import small_data


def sample(*classes: int) -> BoxSample:
    count = len(classes)
    no = np.zeros(count, bool)
    boxes = np.tile(np.float32([0, 0, 8, 8]), (count, 1))
    return BoxSample(Path("none.png"), 9, 9, boxes, np.array(classes, np.int64), no, no)


def test_the_rarest_class_of_a_picture_counts() -> None:
    samples = [sample(0), sample(0, 0), sample(0, 1), sample()] + [sample(0)] * 12
    one = DataSet("detect", ["a", "b"], samples, frozenset({0, 1}))
    # b is on one picture of 16; half of them should show it: sqrt(0.5 / (1/16)).
    factors = repeat_factors([one], 2, 0.5)
    assert factors[:4] == pytest.approx([1, 1, 8**0.5, 1])


def test_only_sets_that_mark_a_class_tell_how_rare_it_is() -> None:
    marks_it = DataSet("detect", ["a", "b"], [sample(1), sample(0)], frozenset({0, 1}))
    does_not = DataSet("detect", ["a", "b"], [sample(0)] * 98, frozenset({0}))
    assert repeat_factors([marks_it, does_not], 2, 0.5).max() == 1


def test_a_fraction_is_a_chance_and_a_seed_decides() -> None:
    factors = np.array([1.0] * 50 + [2.5] * 1000)
    epoch = repeated(factors, 3)
    counts = np.bincount(epoch)
    assert set(counts[:50]) == {1}
    assert set(counts[50:]) == {2, 3}
    assert counts[50:].mean() == pytest.approx(2.5, abs=0.06)
    assert (epoch == repeated(factors, 3)).all()
    assert len(epoch) != len(repeated(factors, 4)) or (epoch != repeated(factors, 4)).any()


def test_a_detector_sees_them_so(tmp_path: Path) -> None:
    small_data.boxes(tmp_path / "cups", ("cup", "plate"), train=28)
    small_data.boxes(tmp_path / "plates", ("plate", "cup"), train=2)
    recipe = small_data.recipe(
        small_data.DETECT,
        data={"train": [{"path": "cups"}, {"path": "plates"}], "val": [{"path": "cups"}]},
        labels=["cup", "plate"],
        task_options={**small_data.DETECT["task_options"], "repeat_rare": 0.3},
        batch_size=4,
    )
    job = make_job(recipe, tmp_path, Group(0, 1, torch.device("cpu")))
    material = job.material  # type: ignore[attr-defined]
    # 2 of 30 show a plate where 9 should: each comes sqrt(4.5) times, so 2 or 3 times.
    assert len(material.epoch) in range(28 + 4, 28 + 7)
    seen = np.bincount([i for s in range(len(material.epoch)) for i in material.indices(s)])
    assert seen[:28].tolist() == [4] * 28
    assert all(count in (8, 12) for count in seen[28:])


def test_pictures_of_an_entry_come_as_often_as_it_says(tmp_path: Path) -> None:
    small_data.class_maps(tmp_path / "few", train=3)
    small_data.class_maps(tmp_path / "many", train=5)
    recipe = small_data.recipe(
        small_data.SEGMENT,
        data={"train": [{"path": "few", "repeat": 4}, {"path": "many"}], "val": [{"path": "few"}]},
        batch_size=1,
    )
    job = make_job(recipe, tmp_path, Group(0, 1, torch.device("cpu")))
    material = job.material  # type: ignore[attr-defined]
    seen = np.bincount([i for step in range(4 * 3 + 5) for i in material.indices(step)])
    assert seen.tolist() == [4, 4, 4, 1, 1, 1, 1, 1]
    pixels = small_data.HEIGHT * small_data.WIDTH
    assert material.pictures.bytes == 8 * pixels * (3 + 1), "each is kept once, with its classes"
    assert "few, 4 times (3), many (5)" in material.about()[0]


def test_a_repeated_class_is_less_rare() -> None:
    rare = DataSet("detect", ["a", "b"], [sample(1)] * 2, frozenset({0, 1}))
    other = DataSet("detect", ["a", "b"], [sample(0)] * 12, frozenset({0, 1}))
    twice = np.repeat([2, 1], [2, 12])
    # 4 of the 16 pictures of an epoch show it where 8 should: sqrt(2) times the two that are shown.
    assert repeat_factors([rare, other], 2, 0.5, twice)[:2] == pytest.approx([2**0.5] * 2)


def test_a_repeated_entry_and_rare_classes_multiply(tmp_path: Path) -> None:
    small_data.boxes(tmp_path / "cups", ("cup", "plate"), train=12)
    small_data.boxes(tmp_path / "plates", ("plate", "cup"), train=2)
    recipe = small_data.recipe(
        small_data.DETECT,
        data={
            "train": [{"path": "cups"}, {"path": "plates", "repeat": 2}],
            "val": [{"path": "cups"}],
        },
        labels=["cup", "plate"],
        task_options={**small_data.DETECT["task_options"], "repeat_rare": 0.5},
    )
    job = make_job(recipe, tmp_path, Group(0, 1, torch.device("cpu")))
    counts = np.bincount(job.material.epoch)  # type: ignore[attr-defined]
    assert counts[:12].tolist() == [1] * 12
    assert all(count in (2, 3) for count in counts[12:]), "twice, and sqrt(2) times that"


@pytest.mark.parametrize(
    "where",
    [{"data": {**small_data.SEGMENT["data"], "val": [{"path": "maps", "repeat": 2}]}},
     {"data": {**small_data.SEGMENT["data"], "outside": [{"path": "maps", "repeat": 2}]}}],
)  # fmt: skip
def test_only_training_pictures_are_repeated(where: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"maps: repeat is for entries of data\.train"):
        small_data.recipe(small_data.SEGMENT, **where)


def test_a_segmenter_sees_them_so(tmp_path: Path) -> None:
    root = small_data.class_maps(tmp_path / "maps", train=30)
    for seed in range(2, 30):  # only two of the maps keep their bright class
        dark = np.zeros((small_data.HEIGHT, small_data.WIDTH), np.uint8)
        cv2.imwrite(str(root / "labels" / "train" / f"{seed}.png"), dark)
    options = {**small_data.SEGMENT["task_options"], "repeat_rare": 0.3}
    recipe = small_data.recipe(small_data.SEGMENT, task_options=options, batch_size=4)
    job = make_job(recipe, tmp_path, Group(0, 1, torch.device("cpu")))
    epoch = job.material.epoch  # type: ignore[attr-defined]
    # 2 of 30 where 9 should: each comes sqrt(4.5) times, so 2 or 3 times.
    assert sorted(np.bincount(epoch))[:-2] == [1] * 28
    assert set(np.bincount(epoch)) in ({1, 2}, {1, 3}, {1, 2, 3})
