"""The losses of segmenters on maps small enough to work out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from livevision.datasets.samples import IGNORED
from livevision.nets import build
from livevision.training.jobs import make_job
from livevision.training.processes import Group
from livevision.training.segmentation_losses import (
    class_weights,
    detail_loss,
    detail_target,
    iou_loss,
    pixel_loss,
    thinned,
)
from tests.training import small_data


def logits_of(probabilities: list[float]) -> torch.Tensor:
    """A row of pixels whose class 0 has these probabilities of two."""
    p = torch.tensor(probabilities).view(1, 1, 1, -1)
    return torch.cat((p.log(), (1 - p).log()), 1).requires_grad_()


def test_without_hard_pixels_it_is_the_weighted_cross_entropy() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 3, 5, 5), torch.randint(0, 3, (2, 5, 5))
    labels[0, 0] = IGNORED
    weights = torch.tensor([0.5, 1.0, 3.0])
    expected = F.cross_entropy(logits, labels, weights, ignore_index=IGNORED)
    torch.testing.assert_close(pixel_loss(logits, labels, weights), expected)
    expected = F.cross_entropy(logits, labels, ignore_index=IGNORED)
    torch.testing.assert_close(pixel_loss(logits, labels, None), expected)


def test_hard_pixels_are_those_below_the_probability() -> None:
    logits = logits_of([0.9, 0.6, 0.2, 0.75, 0.5])
    labels = torch.tensor([[[0, 0, 0, 0, IGNORED]]])
    loss = pixel_loss(logits, labels, None, ohem=0.7)
    assert loss.item() == pytest.approx(-(math.log(0.6) + math.log(0.2)) / 2, rel=1e-5)
    loss.backward()
    assert (logits.grad[0, 0, 0] != 0).tolist() == [False, True, True, False, False]


def test_a_sixteenth_of_the_pixels_is_learned_from_however_easy() -> None:
    probabilities = [0.90 + 0.001 * i for i in range(64)]
    labels = torch.zeros(1, 1, 64, dtype=torch.int64)
    loss = pixel_loss(logits_of(probabilities), labels, None, ohem=0.7)
    expected = -sum(math.log(p) for p in probabilities[:4]) / 4
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_a_picture_without_any_class_costs_nothing() -> None:
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    labels = torch.full((1, 4, 4), IGNORED)
    loss = pixel_loss(logits, labels, None, ohem=0.7)
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


def test_of_certain_answers_the_loss_is_one_minus_the_mean_iou() -> None:
    labels = torch.tensor([[[0, 0, 0, 1, 1, IGNORED]]])
    answers = torch.tensor([[[0, 0, 1, 1, 2, 0]]])  # class 2 does not occur
    logits = 100 * F.one_hot(answers, 3).movedim(-1, 1).float()
    assert iou_loss(logits, labels).item() == pytest.approx(1 - (2 / 3 + 1 / 3) / 2)


def test_the_loss_of_the_iou_between_right_and_wrong() -> None:
    # Class 0 errs by 0.4 on the second pixel, which costs half its IoU, then by 0.3 on its own;
    # class 1 by 0.4 on its only pixel, after which nothing is left to lose.
    loss = iou_loss(logits_of([0.7, 0.4]), torch.tensor([[[0, 1]]]))
    assert loss.item() == pytest.approx((0.4 * 0.5 + 0.3 * 0.5 + 0.4 * 1.0) / 2)


def test_the_loss_of_the_iou_leaves_out_what_is_void_or_not_marked() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    labels = torch.randint(0, 2, (2, 4, 4))
    labels[0, 0] = IGNORED
    marked = torch.tensor([[True, True, False], [True, True, True]])
    iou_loss(logits, labels, marked).backward()
    assert (logits.grad[0, :, 0] == 0).all()
    assert (logits.grad[0, 2] == 0).all()
    assert (logits.grad[1, 2] != 0).any()
    nothing = iou_loss(logits, torch.full((2, 4, 4), IGNORED))
    assert nothing.item() == 0


def test_a_segmenter_learns_from_its_iou_where_a_recipe_says_so(tmp_path: Path) -> None:
    small_data.class_maps(tmp_path / "maps")
    options = {**small_data.SEGMENT["task_options"], "iou_weight": 2.0}
    alone = Group(0, 1, torch.device("cpu"))
    recipe = small_data.recipe(small_data.SEGMENT, task_options=options)
    job = make_job(recipe, tmp_path, alone)
    plain = make_job(small_data.recipe(small_data.SEGMENT), tmp_path, alone)
    batch, net = job.batch(0), build("bisenet-xception39", num_classes=2).eval()
    losses = job.loss(net, batch)
    # Every fourth pixel each way is looked at, of the main head alone.
    labels, logits = batch.labels[:, ::4, ::4], net(batch.images)[..., ::4, ::4]
    assert losses["iou"].item() == pytest.approx(2 * iou_loss(logits, labels).item())
    assert set(losses) - set(plain.loss(net, batch)) == {"iou"}


def test_thinned_labels_are_those_in_the_middle_of_each_cell() -> None:
    labels = torch.zeros(1, 8, 8, dtype=torch.int64)
    labels[:, :, 4:] = 7
    small = thinned(labels, torch.zeros(1, 3, 2, 2))
    assert small.tolist() == [[[0, 7], [0, 7]]]


def test_details_are_where_classes_meet() -> None:
    labels = torch.zeros(1, 16, 16, dtype=torch.int64)
    assert detail_target(labels).sum() == 0
    labels[:, :, 8:] = 1
    target = detail_target(labels)[0, 0]
    assert (target[:, 7:9].sum(1) >= 1).all()  # along the whole border
    assert target[:, :4].sum() == target[:, 12:].sum() == 0


def test_the_loss_of_details_is_small_for_the_right_answer() -> None:
    labels = torch.zeros(1, 16, 16, dtype=torch.int64)
    labels[:, 5:11, 4:12] = 1
    target = detail_target(labels)
    right, wrong = detail_loss(20 * target - 10, labels), detail_loss(10 - 20 * target, labels)
    assert right < 0.05
    assert wrong > 1


def test_rare_classes_weigh_more() -> None:
    weights = class_weights(torch.tensor([900, 90, 10]), 1.02)
    assert weights.mean().item() == pytest.approx(1)
    assert weights[2] > weights[1] > weights[0]
    assert weights[1] / weights[0] == pytest.approx(math.log(1.92) / math.log(1.11), rel=1e-4)
