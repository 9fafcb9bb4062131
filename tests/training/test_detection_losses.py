"""Which anchors and proposals are taken for objects, and which of them the losses look at."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from livevision.training.detection_losses import (
    ANCHOR_SAMPLES,
    first_stage_loss,
    match_anchors,
    sample,
    second_stage_loss,
    unknown_boxes,
)


def test_anchors_are_objects_by_overlap_or_by_being_the_closest() -> None:
    anchors = torch.tensor(
        [
            [0.0, 0, 10, 10],  # is object 0
            [0, 0, 10, 8],  # overlaps it by 0.8
            [0, 0, 10, 5],  # by 0.5
            [50, 50, 60, 60],  # overlaps object 1 by 0.25, more than any other
            [80, 80, 90, 90],  # nothing
        ]
    )
    boxes = torch.tensor([[[0.0, 0, 10, 10], [50, 50, 55, 55], [0, 0, 0, 0]]])
    labels, match = match_anchors(anchors, boxes)
    assert labels.tolist() == [[1, 1, -1, 1, 0]]
    assert match[0, :4].tolist() == [0, 0, 0, 1]


def test_an_image_without_objects_has_background_only() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [5, 5, 20, 20]])
    labels, _ = match_anchors(anchors, torch.zeros(1, 1, 4))
    assert labels.tolist() == [[0, 0]]


@pytest.mark.parametrize(("objects", "expected"), [(10, 10), (300, 128)])
def test_256_anchors_are_sampled_and_at_most_half_are_objects(objects: int, expected: int) -> None:
    labels = torch.zeros(1, 2000, dtype=torch.int64)
    labels[0, :objects] = 1
    labels[0, 1000:1500] = -1
    places, counted = sample(labels, torch.Generator().manual_seed(0))
    chosen = places[0][counted[0]]
    assert len(chosen.unique()) == len(chosen) == ANCHOR_SAMPLES
    assert int((labels[0, chosen] == 1).sum()) == expected
    assert not (labels[0, chosen] == -1).any()


def test_the_hardest_proposals_are_learned_from() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10]]])
    proposals = torch.tensor([[[0.0, 0, 10, 10], [50, 50, 60, 60], [70, 70, 80, 80]]])
    logits = torch.tensor([[[0.0, 9], [9, 0], [0, 9]]], requires_grad=True)  # the last is wrong
    codes = torch.zeros(1, 3, 4, requires_grad=True)
    entropy, distance = second_stage_loss(
        logits, codes, proposals, torch.ones(1, 3, dtype=torch.bool), boxes,
        torch.zeros(1, 1, dtype=torch.int64), hardest=1,
    )  # fmt: skip
    assert entropy.item() == pytest.approx(9, abs=0.01)
    assert distance.item() == 0
    entropy.backward()
    assert logits.grad is not None
    assert (logits.grad[0].abs().sum(1) > 0).tolist() == [False, False, True]


def test_proposals_that_do_not_exist_are_not_counted() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10]]])
    proposals = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 0, 0]]])
    logits = torch.tensor([[[0.0, 9], [0, 9]]])
    entropy, _ = second_stage_loss(
        logits, torch.zeros(1, 2, 4), proposals, torch.tensor([[True, False]]), boxes,
        torch.zeros(1, 1, dtype=torch.int64), hardest=2,
    )  # fmt: skip
    assert float(entropy) < 0.01


def test_each_proposal_learns_the_box_of_its_own_class() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10]]])
    proposals = torch.tensor([[[0.0, 0, 10, 8], [50, 50, 60, 60]]])
    codes = torch.zeros(1, 2, 4 * 4, requires_grad=True)  # the background and three classes
    _, distance = second_stage_loss(
        torch.zeros(1, 2, 4), codes, proposals, torch.ones(1, 2, dtype=torch.bool), boxes,
        torch.tensor([[1]]), hardest=0,
    )  # fmt: skip
    distance.backward()
    reached = codes.grad.view(1, 2, 4, 4).abs().sum(-1) > 0
    assert reached.tolist() == [[[False, False, True, False], [False] * 4]]
    agnostic = torch.zeros(1, 2, 4, requires_grad=True)
    _, same = second_stage_loss(
        torch.zeros(1, 2, 4), agnostic, proposals, torch.ones(1, 2, dtype=torch.bool), boxes,
        torch.tensor([[1]]), hardest=0,
    )  # fmt: skip
    assert same.item() == pytest.approx(distance.item())


def test_anchors_across_the_border_are_left_out_on_request() -> None:
    anchors = torch.tensor([[-1.0, 0, 10, 10], [0, 0, 10, 10], [20, 20, 30, 31], [20, 20, 30, 30]])
    # Sampling takes as many as it can of what there is, so there have to be enough anchors.
    many = torch.cat((anchors, torch.tensor([[1.0, 1, 2, 2]]).expand(300, 4)))
    objectness = torch.zeros(1, 304, 2, requires_grad=True)
    codes = torch.zeros(1, 304, 4)
    boxes = torch.tensor([[[0.0, 0, 10, 10]]])
    random = torch.Generator().manual_seed(0)
    entropy, _ = first_stage_loss(objectness, codes, many, boxes, random, inside=(30, 30))
    entropy.backward()
    seen = objectness.grad[0].abs().sum(1) > 0
    assert not seen[0]
    assert seen[1]
    assert not seen[2]


def test_sampled_proposals_are_a_quarter_objects_at_most() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10]]])
    near = torch.tensor([[0.0, 0, 10, 10]]).expand(40, 4)
    far = torch.tensor([[50.0, 50, 60, 60]]).expand(60, 4)
    none = torch.zeros(20, 4)
    proposals = torch.cat((near, far, none)).unsqueeze(0)
    valid = torch.arange(120)[None] < 100
    logits = torch.zeros(1, 120, 2, requires_grad=True)
    entropy, _ = second_stage_loss(
        logits, torch.zeros(1, 120, 4), proposals, valid, boxes,
        torch.zeros(1, 1, dtype=torch.int64), hardest=0, sampled=32,
        random=torch.Generator().manual_seed(0),
    )  # fmt: skip
    entropy.backward()
    seen = logits.grad[0].abs().sum(1) > 0
    assert [int(part.sum()) for part in seen.split((40, 60, 20))] == [8, 24, 0]


def test_a_teachers_shares_are_learned_as_they_are() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10]]])
    proposals = torch.tensor([[[0.0, 0, 10, 10], [50, 50, 60, 60]]])
    shares = torch.tensor([[[0.0, 0.75, 0.25]]])
    exists = torch.ones(1, 2, dtype=torch.bool)
    # The background row is as sure as can be, so the object's row alone has a loss.
    right = torch.tensor([[[-50.0, -50, 0.75, 0.25], [50, 0, 0, 0]]])
    right[0, 0, 2:] = right[0, 0, 2:].log()
    found, _ = second_stage_loss(
        right, torch.zeros(1, 2, 4), proposals, exists, boxes, shares, hardest=1
    )
    entropy_of_shares = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert float(found) == pytest.approx(entropy_of_shares, abs=1e-4)
    surer = right.clone()
    surer[0, 0, 2:] = torch.tensor([0.999, 0.001]).log()
    worse, _ = second_stage_loss(
        surer, torch.zeros(1, 2, 4), proposals, exists, boxes, shares, hardest=1
    )
    assert worse > found + 0.5


def test_whole_shares_are_the_same_as_classes() -> None:
    random = torch.Generator().manual_seed(1)
    boxes = torch.tensor([[[0.0, 0, 10, 10], [20, 20, 40, 40]]])
    proposals = torch.tensor([[[0.0, 0, 10, 9], [21, 20, 40, 40], [50, 50, 60, 60]]])
    logits, codes = torch.randn(1, 3, 4, generator=random), torch.randn(1, 3, 4, generator=random)
    classes = torch.tensor([[2, 0]])
    exists = torch.ones(1, 3, dtype=torch.bool)
    hard = second_stage_loss(logits, codes, proposals, exists, boxes, classes, hardest=0)
    shares = torch.eye(3)[classes]
    soft = second_stage_loss(logits, codes, proposals, exists, boxes, shares, hardest=0)
    assert [float(v) for v in soft] == pytest.approx([float(v) for v in hard], abs=1e-5)


def test_what_lies_in_a_crowd_is_neither_object_nor_background() -> None:
    objects = torch.tensor([[[0.0, 0, 10, 10]]])
    crowds = torch.tensor([[[0.0, 0, 40, 40], [0, 0, 0, 0]]])
    proposals = torch.tensor(
        [
            [
                [0.0, 0, 10, 9],  # the object, which lies in the crowd
                [20, 20, 30, 30],  # in the crowd
                [30, 0, 48, 10],  # 10 of 18 columns of it
                [32, 0, 52, 10],  # 8 of 20 columns of it
                [60, 60, 70, 70],
                [0, 0, 0, 0],  # padding
            ]
        ]
    )
    found = unknown_boxes(proposals, objects, crowds)[0].tolist()
    assert found[:5] == [False, True, True, False, False]


def test_anchors_in_a_crowd_are_no_background() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30], [60, 60, 70, 70]])
    boxes, crowds = torch.zeros(1, 1, 4), torch.tensor([[[15.0, 15, 40, 40]]])
    objectness = torch.zeros(1, 3, 2, requires_grad=True)
    random = torch.Generator().manual_seed(0)
    entropy, _ = first_stage_loss(
        objectness, torch.zeros(1, 3, 4), anchors, boxes, random, crowds=crowds
    )
    entropy.backward()
    assert objectness.grad is not None
    assert (objectness.grad[0].abs().sum(1) > 0).tolist() == [True, False, True]
