"""Anchors lie where they should, and codes lead back to the boxes they were made of."""

from __future__ import annotations

import math

import torch

from livevision.nets.anchors import decode_boxes, encode_boxes, grid_anchors


def test_order_place_area_and_ratio() -> None:
    anchors = grid_anchors(2, 3, 16, (32.0, 64.0), (0.5, 1.0, 2.0))
    assert anchors.shape == (2 * 3 * 6, 4)
    assert anchors[1].tolist() == [-16, -16, 16, 16]
    # Row 1, column 2 is cell 5; its second size and third ratio are anchor 5.
    x1, y1, x2, y2 = anchors[5 * 6 + 5].tolist()
    assert (round((x1 + x2) / 2, 3), round((y1 + y2) / 2, 3)) == (32, 16)
    assert math.isclose((x2 - x1) * (y2 - y1), 64**2, rel_tol=1e-5)
    assert math.isclose((y2 - y1) / (x2 - x1), 2, rel_tol=1e-5)


def test_decoding_inverts_encoding() -> None:
    torch.manual_seed(0)
    corners = torch.rand(2, 50, 2) * 200
    boxes = torch.cat((corners, corners + 5 + torch.rand(2, 50, 2) * 90), -1)
    references = boxes[0]
    codes = encode_boxes(boxes[1], references)
    torch.testing.assert_close(
        decode_boxes(codes, references, 320, 320), boxes[1], atol=1e-3, rtol=0
    )


def test_decoded_boxes_are_finite_and_inside_the_image() -> None:
    codes = torch.tensor([[0.0, 0, 100, 100], [-50, 50, 0, 0]])
    boxes = decode_boxes(codes, torch.tensor([10.0, 10, 40, 40]), 100, 200)
    assert boxes[0].tolist() == [0, 0, 200, 100]
    assert boxes[1].tolist() == [0, 100, 0, 100]
