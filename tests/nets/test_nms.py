"""Suppression by matrix products gives what the greedy algorithm gives."""

from __future__ import annotations

import torch

from livevision.nets.nms import best_boxes, box_iou, suppress


def random_boxes(count: int, seed: int) -> torch.Tensor:
    """Boxes crowded around a few places, so that many overlap."""
    random = torch.Generator().manual_seed(seed)
    places = torch.rand(8, 2, generator=random) * 250
    corners = places[torch.randint(8, (count,), generator=random)]
    corners = corners + torch.randn(count, 2, generator=random) * 12
    return torch.cat((corners, corners + 20 + torch.rand(count, 2, generator=random) * 60), 1)


def greedy(boxes: torch.Tensor, threshold: float) -> list[int]:
    kept: list[int] = []
    overlapping = (box_iou(boxes[None], boxes[None])[0] > threshold).tolist()
    for i in range(len(boxes)):
        if not any(overlapping[i][k] for k in kept):
            kept.append(i)
    return kept


def test_keeps_what_greedy_suppression_keeps() -> None:
    for seed in range(10):
        for threshold in (0.3, 0.5, 0.7):
            boxes = random_boxes(300, seed)
            kept = suppress(boxes[None], torch.tensor(threshold))[0]
            assert kept.nonzero().flatten().tolist() == greedy(boxes, threshold)


def test_many_boxes_are_settled_in_blocks_as_all_at_once() -> None:
    for seed in range(3):
        boxes = random_boxes(1200, seed)
        kept = suppress(boxes[None], 0.7)[0]
        assert kept.nonzero().flatten().tolist() == greedy(boxes, 0.7)


def test_a_chain_goes_on_from_block_to_block() -> None:
    # 1,100 boxes in chains of forty, dealt out so that every block holds a part of each chain: more
    # than twenty rounds could settle at once.
    links, chains = 40, 30
    corners = torch.tensor([[4.0 * i, 30.0 * c] for i in range(links) for c in range(chains)])
    boxes = torch.cat((corners, corners + 10), 1)
    kept = suppress(boxes[None], 0.4)[0]
    assert kept.nonzero().flatten().tolist() == greedy(boxes, 0.4)


def test_a_suppressed_box_suppresses_nothing() -> None:
    # The second overlaps the first and the third; the third does not overlap the first.
    boxes = torch.tensor([[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]])
    assert suppress(boxes[None], 0.3)[0].tolist() == [1, 0, 1]


def test_images_of_a_batch_do_not_suppress_each_other() -> None:
    box = torch.tensor([[0.0, 0, 10, 10]])
    assert suppress(torch.stack((box, box)), 0.5).tolist() == [[1], [1]]


def test_iou_of_known_boxes() -> None:
    a = torch.tensor([[[0.0, 0, 10, 10], [5, 5, 5, 5]]])
    b = torch.tensor([[[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [5, 5, 5, 5]]])
    torch.testing.assert_close(box_iou(a, b), torch.tensor([[[1, 1 / 3, 0, 0], [0, 0, 0, 0.0]]]))


def test_best_boxes_gives_all_where_there_are_fewer() -> None:
    scores, boxes = best_boxes(torch.tensor([[1.0, 3, 2]]), torch.arange(12.0).view(1, 3, 4), 5)
    assert scores.tolist() == [[3, 2, 1]]
    assert boxes[0, 0].tolist() == [4, 5, 6, 7]
