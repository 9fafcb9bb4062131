"""Proposals and detections against loops that do what the words say."""

from __future__ import annotations

import pytest
import torch

from livevision.nets.nms import box_iou
from livevision.nets.two_stage import by_anchor, choose, propose, refine


def random_boxes(*shape: int) -> torch.Tensor:
    corners = torch.rand(*shape, 2) * 80
    return torch.cat((corners, corners + 10 + torch.rand(*shape, 2) * 40), -1)


def expected_detections(
    boxes: torch.Tensor, scores: torch.Tensor, threshold: float, candidates: int
) -> list[tuple[float, int, list[float]]]:
    """(score, class, box) of one image: R x classes x 4 boxes, R x classes scores."""
    rows, classes = scores.shape
    pairs = [(float(scores[r, c]), r, c) for r in range(rows) for c in range(classes)]
    kept: list[tuple[float, int, list[float]]] = []
    for score, r, c in sorted(pairs, reverse=True)[:candidates]:
        box = boxes[r, c]
        rivals = [torch.tensor(b) for _, other, b in kept if other == c]
        if all(float(box_iou(box[None, None], b[None, None])) <= threshold for b in rivals):
            kept.append((score, c, box.tolist()))
    return kept


@pytest.mark.parametrize("own_boxes", [False, True])
def test_choose(own_boxes: bool) -> None:
    torch.manual_seed(0)
    boxes = random_boxes(2, 30, 3 if own_boxes else 1)
    scores = torch.rand(2, 30, 3)
    found = choose(boxes, scores, (130, 130), 0.4, candidates=60, detections=70)
    for n in range(2):
        expected = expected_detections(boxes[n].expand(30, 3, 4), scores[n], 0.4, 60)
        rows = [x[n] for x in found]
        assert (rows[1] >= 0).sum() == len(expected)
        assert (rows[1][len(expected) :] == -1).all()
        for k, (score, kind, box) in enumerate(expected):
            assert float(rows[1][k]) == pytest.approx(score)
            assert int(rows[2][k]) == kind
            assert rows[0][k].tolist() == pytest.approx(box)


def test_refine_reads_codes_class_by_class_after_the_background() -> None:
    proposals = torch.tensor([[[20.0, 20, 40, 60]]])
    codes = torch.tensor([[[9.0, 9, 9, 9, 0.5, 0, 0, 0, 0, 0.25, 0, 0]]])
    logits = torch.tensor([[[0.0, 1, 2]]])
    boxes, scores, classes = refine(logits, codes, proposals, (100, 100), 0.5, 10, 3)
    assert classes[0, :2].tolist() == [1, 0]
    assert boxes[0, :2].tolist() == [[20, 30, 40, 70], [30, 20, 50, 60]]
    assert scores[0].tolist() == pytest.approx([0.66524, 0.24473, -1], abs=1e-4)


def test_propose_takes_the_best_suppresses_and_fills_up() -> None:
    anchors = torch.tensor([[0.0, 0, 20, 20], [1, 0, 21, 20], [50, 50, 70, 70], [30, 0, 40, 10]])
    logits = torch.tensor([[[0.0, 5], [0, 4], [0, 3], [9, 2]]])
    codes = torch.zeros(1, 4, 4)
    order = propose(logits, codes, anchors, (100, 100), pre_nms=4, proposals=4)[0].tolist()
    # The second is the first again, and only comes back because four were asked for.
    assert order == [anchors[i].tolist() for i in (0, 2, 3, 1)]
    fewer = propose(logits, codes, anchors, (100, 100), pre_nms=2, proposals=4)
    assert fewer[0].tolist() == [anchors[0].tolist(), anchors[1].tolist()]


def test_by_anchor_goes_cell_by_cell() -> None:
    # Channel 4 a + v of cell (i, j) is value v of anchor a there.
    x = torch.arange(2 * 4 * 3 * 5).view(1, 8, 3, 5)
    ours = by_anchor(x, 4)
    assert ours.shape == (1, 3 * 5 * 2, 4)
    for i, j, a, v in ((0, 0, 0, 0), (2, 4, 1, 3), (1, 3, 0, 2)):
        assert ours[0, (i * 5 + j) * 2 + a, v] == x[0, 4 * a + v, i, j]
