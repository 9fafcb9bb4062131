"""What segmenters and detectors learn from a teacher besides the labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from livevision.errors import ModelError, UsageError
from livevision.nets import build
from livevision.training.distillation import answers_loss, features_loss, maps_loss
from livevision.training.jobs import Job, make_job
from livevision.training.processes import Group
from livevision.training.starting import start_from
from livevision.training.weights import load_weights, save_weights
from tests.training import small_data

ALONE = Group(0, 1, torch.device("cpu"))
KINDS = {"segment": small_data.SEGMENT, "detect": small_data.DETECT}


def taught(root: Path, task: str, teacher: str, weight: float = 0.75, **options: Any) -> Job:
    """A job of a task with a teacher whose weights are in the file of that net's name."""
    small_data.all_kinds(root)
    kind = KINDS[task]
    given = {"net": teacher, "weights": str(root / teacher), "weight": weight, **options}
    recipe = small_data.recipe(kind, task_options={**kind["task_options"], "teacher": given})
    return make_job(recipe, root, ALONE)


def write_teacher(root: Path, net: str, num_classes: int) -> nn.Module:
    torch.manual_seed(1)
    made = build(net, num_classes=num_classes)
    save_weights(made, root / net)
    load_weights(made, root / net)  # as float16 keeps it
    return made


def test_a_segmenter_that_answers_like_its_teacher_has_only_the_labels_to_learn(
    tmp_path: Path,
) -> None:
    net = write_teacher(tmp_path, "bisenet-xception39", 2)
    job = taught(tmp_path, "segment", "bisenet-xception39")
    plain = make_job(small_data.recipe(small_data.SEGMENT), tmp_path, ALONE)
    batch = job.batch(0)
    same = job.loss(net.eval(), batch)
    assert same["teacher"].item() == pytest.approx(0, abs=1e-6)
    assert same["main"].item() == pytest.approx(0.25 * plain.loss(net, batch)["main"].item())
    net.head[1].weight.data.mul_(-1)
    net.head[1].bias.data += torch.tensor([1.0, -1.0])
    assert job.loss(net, batch)["teacher"] > 0.05


def test_a_detector_learns_its_teachers_maps_and_classes(tmp_path: Path) -> None:
    net = write_teacher(tmp_path, "thundernet-snet49", 1)
    job = taught(tmp_path, "detect", "thundernet-snet49", weight=0.5)
    plain = make_job(small_data.recipe(small_data.DETECT), tmp_path, ALONE)
    batch = job.batch(0)
    same = job.loss(net.eval(), batch)
    assert same["teacher_maps"].item() == pytest.approx(0, abs=1e-6)
    assert same["teacher_classes"].item() == pytest.approx(0, abs=1e-6)
    for name, loss in plain.loss(net, batch).items():
        assert same[name].item() == loss.item()  # the labels' losses stay as they are

    net.classes.bias.data[1] += 2.0
    other = job.loss(net, batch)
    assert other["teacher_maps"].item() == pytest.approx(0, abs=1e-6)
    assert other["teacher_classes"] > 0.05
    net.attention.gate[1].bias.data += 1.0
    assert job.loss(net, batch)["teacher_maps"] > 0.05


def test_only_the_student_learns(tmp_path: Path) -> None:
    write_teacher(tmp_path, "thundernet-snet49", 1)
    job = taught(tmp_path, "detect", "thundernet-snet49", weight=1.0)
    torch.manual_seed(2)
    student = build("thundernet-snet49", num_classes=1)
    losses = job.loss(student, job.batch(0))
    (losses["teacher_maps"] + losses["teacher_classes"]).backward()
    before = losses["teacher_maps"].item()
    assert next(student.backbone.parameters()).grad.abs().sum() > 0
    optimizer = torch.optim.SGD(student.parameters(), 0.01)
    for _ in range(4):
        optimizer.zero_grad()
        losses = job.loss(student, job.batch(0))
        losses["teacher_maps"].backward()
        optimizer.step()
    assert losses["teacher_maps"].item() < before


def test_a_detector_of_another_kind_teaches_classes_alone(tmp_path: Path) -> None:
    write_teacher(tmp_path, "light-head-s", 1)
    job = taught(tmp_path, "detect", "light-head-s", weight=1.0)
    torch.manual_seed(2)
    student = build("thundernet-snet49", num_classes=1)
    losses = job.loss(student, job.batch(0))
    assert "teacher_maps" not in losses
    losses["teacher_classes"].backward()
    assert student.classes.weight.grad.abs().sum() > 0
    assert next(student.backbone.parameters()).grad.abs().sum() > 0


def test_a_detector_with_maps_of_its_own_learns_the_classes_alone(tmp_path: Path) -> None:
    write_teacher(tmp_path, "thundernet-snet49", 1)
    job = taught(tmp_path, "detect", "thundernet-snet49", maps=False)
    losses = job.loss(build("thundernet-snet49", num_classes=1), job.batch(0))
    assert "teacher_maps" not in losses
    assert losses["teacher_classes"] > 0


def test_a_teacher_of_another_task_is_refused(tmp_path: Path) -> None:
    write_teacher(tmp_path, "snet49", 1)
    with pytest.raises(UsageError, match="no detector"):
        taught(tmp_path, "detect", "snet49")


def test_a_teacher_of_other_labels_is_refused(tmp_path: Path) -> None:
    write_teacher(tmp_path, "bisenet-xception39", 5)
    with pytest.raises(ModelError, match=r"head\.1\.weight"):
        taught(tmp_path, "segment", "bisenet-xception39")


def test_softened_answers_differ_less_and_weigh_the_same() -> None:
    torch.manual_seed(0)
    ours, theirs = torch.randn(64, 5), torch.randn(64, 5)
    by_hand = (theirs.softmax(1) * (theirs.log_softmax(1) - ours.log_softmax(1))).sum(1).mean()
    assert answers_loss(ours, theirs, 1.0).item() == pytest.approx(by_hand.item(), rel=1e-5)
    # Made up for by the temperature's square, the loss of soft answers keeps its order.
    assert 0.3 < answers_loss(ours, theirs, 4.0) / by_hand < 3


def test_maps_are_compared_as_a_share_of_the_teachers() -> None:
    theirs = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert maps_loss(theirs * 0, theirs).item() == pytest.approx(1)
    assert maps_loss(theirs * 30, theirs * 10).item() == pytest.approx(4, rel=1e-4)
    assert maps_loss(theirs * 0, theirs * 0) == 0


def test_a_later_file_of_initial_weights_goes_over_those_before_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first, second = build("thundernet-snet49", num_classes=1), build("snet49", num_classes=3)
    save_weights(first, tmp_path / "first.safetensors")
    save_weights(second, tmp_path / "second.safetensors")
    files = [str(tmp_path / "first.safetensors"), str(tmp_path / "second.safetensors")]
    net = build("thundernet-snet49", num_classes=1)
    told = start_from(small_data.recipe(small_data.DETECT, initial_weights=files), net)
    assert [line.split(":")[0] for line in told] == [f"began from {file}" for file in files]
    state, theirs = net.state_dict(), second.state_dict()
    shared = [name for name in state if name in theirs and state[name].shape == theirs[name].shape]
    assert len(shared) > 50
    assert all(torch.equal(state[name].half(), theirs[name].half()) for name in shared)
    assert torch.equal(state["fc.weight"].half(), first.state_dict()["fc.weight"].half())


def test_features_count_alike_however_strong_they_are() -> None:
    torch.manual_seed(0)
    theirs = torch.randn(4, 3, 2, 2)
    scaled = (theirs - theirs.mean((0, 2, 3), keepdim=True)) / theirs.std((0, 2, 3), keepdim=True)
    strong = theirs * torch.tensor([1.0, 50.0, 0.02])[:, None, None] + 7
    assert features_loss(scaled, strong).item() == pytest.approx(0, abs=1e-5)
    assert features_loss(torch.zeros(4, 3, 2, 2), strong).item() == pytest.approx(1, rel=0.1)
    one_unknown = scaled.clone()
    one_unknown[:, 2] = 0
    assert features_loss(one_unknown, strong).item() == pytest.approx(1 / 3, rel=0.1)


def test_a_finer_map_is_compared_by_its_means() -> None:
    theirs = torch.randn(2, 3, 2, 2)
    finer = torch.randn(2, 3, 4, 4)
    means = finer.unfold(2, 2, 2).unfold(3, 2, 2).mean((-2, -1))
    assert features_loss(finer, theirs).item() == pytest.approx(
        features_loss(means, theirs).item(), rel=1e-5
    )
