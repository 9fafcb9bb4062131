"""Classes that a data set does not mark are neither right nor wrong on its pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from livevision.datasets.samples import DataSet
from livevision.training.classification import smoothed_entropy
from livevision.training.detection_losses import second_stage_loss
from livevision.training.jobs import make_job
from livevision.training.marks import Marks, mask_unmarked
from livevision.training.processes import Group
from livevision.training.segmentation_losses import pixel_loss
from tests.training import small_data

MARKED = torch.tensor([[True, False, True], [True, True, True]])


@pytest.mark.parametrize("ohem", [0.0, 0.7])
@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 2, 3])])
def test_pixels_teach_nothing_about_unmarked_classes(
    ohem: float, weights: torch.Tensor | None
) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    labels = torch.zeros(2, 4, 4, dtype=torch.int64)
    pixel_loss(logits, labels, weights, ohem, MARKED).backward()
    assert (logits.grad[0, 1] == 0).all()
    assert (logits.grad[0, 2] != 0).any()
    assert (logits.grad[1, 1] != 0).any()


def test_a_proposals_background_teaches_nothing_about_unmarked_classes() -> None:
    torch.manual_seed(0)
    proposals = torch.tensor([[[0.0, 0, 10, 10], [50, 50, 60, 60]]]).repeat(2, 1, 1)
    boxes = torch.tensor([[[0.0, 0, 10, 10]]]).repeat(2, 1, 1)
    logits = torch.randn(2, 2, 4, requires_grad=True)
    entropy, distance = second_stage_loss(
        logits,
        torch.zeros(2, 2, 4),
        proposals,
        torch.ones(2, 2, dtype=torch.bool),
        boxes,
        torch.zeros(2, 1, dtype=torch.int64),
        hardest=0,
        marked=MARKED,
    )
    (entropy + distance).backward()
    assert (logits.grad[0, :, 2] == 0).all()  # class 1, after the background
    assert (logits.grad[0, :, [0, 1, 3]] != 0).all()
    assert (logits.grad[1] != 0).all()
    expected = logits.detach()[0, 1, [0, 1, 3]].log_softmax(0)[0]
    alone, _ = second_stage_loss(
        logits[:1, 1:], torch.zeros(1, 1, 4), proposals[:1, 1:],
        torch.ones(1, 1, dtype=torch.bool), boxes[:1], torch.zeros(1, 1, dtype=torch.int64),
        hardest=0, marked=MARKED[:1],
    )  # fmt: skip
    assert alone.item() == pytest.approx(-expected.item(), rel=1e-5)


def test_smoothed_labels_are_not_spread_over_unmarked_classes() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, requires_grad=True)
    labels = torch.tensor([2, 0])
    masked = mask_unmarked(logits, MARKED)
    loss = smoothed_entropy(masked, labels, 0.1, MARKED)
    loss.backward()
    assert logits.grad[0, 1] == 0
    two, three = logits.detach()[0, [0, 2]], logits.detach()[1]
    cross_entropy = torch.nn.functional.cross_entropy
    expected = (
        cross_entropy(two, torch.tensor(1), label_smoothing=0.1)
        + cross_entropy(three, torch.tensor(0), label_smoothing=0.1)
    ) / 2
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_each_picture_has_the_marks_of_its_data_set() -> None:
    one = DataSet("detect", ["a", "b", "c"], [None] * 2, frozenset({0, 2}))  # type: ignore[list-item]
    two = DataSet("detect", ["a", "b", "c"], [None] * 3, frozenset({0, 1, 2}))  # type: ignore[list-item]
    marks = Marks([one, two], 3, torch.device("cpu"))
    assert torch.equal(marks.of([1, 2]), MARKED)
    assert Marks([two], 3, torch.device("cpu")).of([0]) is None
    assert Marks([two], 4, torch.device("cpu")).of([0]).tolist() == [[True, True, True, False]]


def test_two_detection_sets_with_other_classes_train_one_net(tmp_path: Path) -> None:
    small_data.boxes(tmp_path / "plates", ("plate",))
    small_data.boxes(tmp_path / "cups", ("cup", "plate"))
    recipe = small_data.recipe(
        small_data.DETECT,
        data={
            "train": [{"path": "plates"}, {"path": "cups"}],
            "val": [{"path": "plates"}, {"path": "cups"}],
        },
        labels=["plate", "cup"],
        batch_size=8,
    )
    job = make_job(recipe, tmp_path, Group(0, 1, torch.device("cpu")))
    batch = job.batch(0)
    indices = job.material.indices(0)  # type: ignore[attr-defined]
    assert batch.marked.tolist() == [[True, i >= 4] for i in indices]
    # Rectangles are plates in one set, cups in the other.
    for row, i in enumerate(indices):
        shown = batch.boxes[row, :, 2] > 0
        assert (batch.shares[row][shown].argmax(1) == (i >= 4)).all()
