"""Boxes, pooling and suppression against definitions written out one number at a time.

Random boxes by the thousand, in float64, among them empty and tiny ones, ones at the border and
ones that reach outside the image or lie there.
"""

from __future__ import annotations

import math
import random

import pytest
import torch

from livevision.nets.anchors import decode_boxes, encode_boxes, grid_anchors
from livevision.nets.light_head_rcnn import classic_anchors
from livevision.nets.nms import box_iou, soft_suppress, suppress
from livevision.nets.roi import ps_roi_align, roi_align

HEIGHT, WIDTH, STRIDE = 9, 12, 16
Box = tuple[float, float, float, float]


def random_boxes(count: int, seed: int) -> list[Box]:
    """x1 y1 x2 y2 around an image of WIDTH x HEIGHT map pixels."""
    draw = random.Random(seed)
    width, height = WIDTH * STRIDE, HEIGHT * STRIDE
    boxes: list[Box] = []
    for i in range(count):
        x, y = draw.uniform(-40, width + 40), draw.uniform(-40, height + 40)
        w, h = draw.uniform(0, 150), draw.uniform(0, 150)
        kind = i % 8
        if kind == 0:
            w = h = 0.0
        elif kind == 1:
            w, h = draw.uniform(0, 1), draw.uniform(0, 1)
        elif kind == 2:
            x, y = 0.0, height - h
        elif kind == 3:
            x, y, w, h = 16.0 * int(x / 16), 16.0 * int(y / 16), 16.0 * int(w / 16), 16.0
        boxes.append((x, y, x + w, y + h))
    return boxes


def bilinear(values: list[list[float]], x: float, y: float) -> float:
    x, y = min(max(x, 0.0), WIDTH - 1.0), min(max(y, 0.0), HEIGHT - 1.0)
    left, top = min(int(x), WIDTH - 2), min(int(y), HEIGHT - 2)
    dx, dy = x - left, y - top
    above = values[top][left] * (1 - dx) + values[top][left + 1] * dx
    below = values[top + 1][left] * (1 - dx) + values[top + 1][left + 1] * dx
    return above * (1 - dy) + below * dy


def pooled(
    values: list[list[float]], box: Box, bins: int, row: int, column: int, offset: float, how: str
) -> float:
    """One bin of one box."""
    x1, y1, x2, y2 = (v / STRIDE - offset for v in box)
    samples = [
        bilinear(
            values,
            x1 + (x2 - x1) * (2 * column + i + 0.5) / (2 * bins),
            y1 + (y2 - y1) * (2 * row + j + 0.5) / (2 * bins),
        )
        for j in range(2)
        for i in range(2)
    ]
    return max(samples) if how == "max" else sum(samples) / 4


@pytest.mark.parametrize("half_pixel", [True, False])
@pytest.mark.parametrize("how", ["mean", "max"])
def test_ps_roi_align(how: str, half_pixel: bool) -> None:
    torch.manual_seed(0)
    bins, channels = 3, 2
    maps = torch.randn(1, channels * bins**2, HEIGHT, WIDTH, dtype=torch.float64)
    boxes = random_boxes(2000, seed=1)
    ours = ps_roi_align(
        maps, torch.tensor([boxes], dtype=torch.float64), STRIDE, bins, how, half_pixel
    )
    values, result = maps[0].tolist(), ours[0].tolist()
    offset = 0.5 if half_pixel else 0.0
    for k, box in enumerate(boxes):
        for c in range(channels):
            for i in range(bins):
                for j in range(bins):
                    channel = values[(c * bins + i) * bins + j]
                    expected = pooled(channel, box, bins, i, j, offset, how)
                    assert abs(result[k][c][i][j] - expected) < 1e-9, (box, c, i, j)


@pytest.mark.parametrize("how", ["mean", "max"])
def test_roi_align(how: str) -> None:
    torch.manual_seed(0)
    bins, channels = 3, 2
    maps = torch.randn(1, channels, HEIGHT, WIDTH, dtype=torch.float64)
    boxes = random_boxes(2000, seed=2)
    ours = roi_align(maps, torch.tensor([boxes], dtype=torch.float64), STRIDE, bins, how)
    values, result = maps[0].tolist(), ours[0].tolist()
    for k, box in enumerate(boxes):
        for c in range(channels):
            for i in range(bins):
                for j in range(bins):
                    expected = pooled(values[c], box, bins, i, j, 0.5, how)
                    assert abs(result[k][c][i][j] - expected) < 1e-9, (box, c, i, j)


def test_roi_align_keeps_images_apart_and_passes_gradients() -> None:
    maps = torch.randn(2, 3, HEIGHT, WIDTH, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([random_boxes(5, 3), random_boxes(5, 4)], dtype=torch.float64)
    together = roi_align(maps, boxes, STRIDE)
    torch.testing.assert_close(together[1:], roi_align(maps[1:], boxes[1:], STRIDE))
    together[0].sum().backward()
    assert maps.grad is not None
    # Four samples a bin and the mean of them: each bin hands on a gradient of 1.
    assert float(maps.grad[0].sum()) == pytest.approx(5 * 3 * 49)
    assert not maps.grad[1].any()


@pytest.mark.parametrize("pool", [ps_roi_align, roi_align])
def test_what_cannot_be_pooled_is_refused(pool: object) -> None:
    boxes = torch.zeros(1, 1, 4)
    with pytest.raises(ValueError, match="pooled"):
        pool(torch.zeros(1, 49, 1, 6), boxes, 16)
    with pytest.raises(ValueError, match="'median'"):
        pool(torch.zeros(1, 49, 6, 6), boxes, 16, reduction="median")


def iou(a: Box, b: Box) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    shared = width * height
    return shared / (areas - shared) if areas > shared else 0.0


def test_iou() -> None:
    a, b = random_boxes(120, 5), random_boxes(100, 6)
    ours = box_iou(*(torch.tensor([x], dtype=torch.float64) for x in (a, b)))[0].tolist()
    for i, first in enumerate(a):
        for j, second in enumerate(b):
            assert abs(ours[i][j] - iou(first, second)) < 1e-6


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7])
def test_suppression(threshold: float) -> None:
    for seed in range(5):
        boxes = random_boxes(200, seed)
        kept: list[int] = []
        for i, box in enumerate(boxes):
            if all(iou(box, boxes[k]) <= threshold for k in kept):
                kept.append(i)
        ours = suppress(torch.tensor([boxes], dtype=torch.float64), threshold)[0]
        assert ours.nonzero().flatten().tolist() == kept


@pytest.mark.parametrize("sigma", [0.5, 0.1, None])
def test_soft_suppression(sigma: float | None) -> None:
    for seed in range(5):
        boxes, draw = random_boxes(200, seed), random.Random(seed)
        scores = [draw.random() for _ in boxes]
        left, expected = dict(enumerate(scores)), []
        while left:
            best = max(left, key=lambda i: left[i])
            score = left.pop(best)
            if score < 0.05:
                break
            expected.append((best, score))
            for i in left:
                overlap = iou(boxes[best], boxes[i])
                if sigma is not None:
                    left[i] *= math.exp(-(overlap**2) / sigma)
                elif overlap > 0.3:
                    left[i] *= 1 - overlap
        order, new = soft_suppress(
            torch.tensor(boxes, dtype=torch.float64),
            torch.tensor(scores, dtype=torch.float64),
            sigma,
            smallest=0.05,
        )
        assert order.tolist() == [i for i, _ in expected]
        assert new.tolist() == pytest.approx([score for _, score in expected], abs=1e-6)


def test_soft_suppression_of_nothing() -> None:
    order, scores = soft_suppress(torch.zeros(0, 4), torch.zeros(0))
    assert order.shape == scores.shape == (0,)
    assert order.dtype == torch.int64


def test_suppression_of_one_box_and_of_none() -> None:
    assert suppress(torch.tensor([[[3.0, 3, 3, 3]]]), 0.5).tolist() == [[1]]
    assert suppress(torch.zeros(1, 0, 4), 0.5).shape == (1, 0)


def test_a_chain_of_boxes_is_settled_as_far_as_the_rounds_go() -> None:
    # Each overlaps its neighbours alone, so that every second one stays; a box is settled a round
    # after the one before it. What twenty rounds leave unsettled stays rather than goes.
    chain = torch.tensor([[[4.0 * i, 0, 4 * i + 10, 10] for i in range(30)]])
    every_second = [float(i % 2 == 0) for i in range(30)]
    assert suppress(chain, 0.4)[0, :20].tolist() == every_second[:20]
    assert (suppress(chain, 0.4)[0] >= torch.tensor(every_second)).all()
    assert suppress(chain, 0.4, rounds=30)[0].tolist() == every_second


def test_decoding() -> None:
    draw = random.Random(7)
    references = random_boxes(2000, 7)
    codes = [tuple(draw.uniform(-3, 6) for _ in range(4)) for _ in references]
    ours = decode_boxes(
        torch.tensor(codes, dtype=torch.float64),
        torch.tensor(references, dtype=torch.float64),
        HEIGHT * STRIDE,
        WIDTH * STRIDE,
    ).tolist()
    for (dx, dy, dw, dh), (x1, y1, x2, y2), box in zip(codes, references, ours, strict=True):
        w, h = x2 - x1, y2 - y1
        x, y = x1 + w / 2 + dx * w, y1 + h / 2 + dy * h
        w, h = w * min(math.exp(dw), 1000 / 16), h * min(math.exp(dh), 1000 / 16)
        expected = (
            min(max(x - w / 2, 0), WIDTH * STRIDE),
            min(max(y - h / 2, 0), HEIGHT * STRIDE),
            min(max(x + w / 2, 0), WIDTH * STRIDE),
            min(max(y + h / 2, 0), HEIGHT * STRIDE),
        )
        assert box == pytest.approx(expected, abs=1e-6)


def test_encoding() -> None:
    references, boxes = random_boxes(2000, 8), random_boxes(2000, 9)
    ours = encode_boxes(
        torch.tensor(boxes, dtype=torch.float64), torch.tensor(references, dtype=torch.float64)
    ).tolist()
    for (x1, y1, x2, y2), (bx1, by1, bx2, by2), codes in zip(references, boxes, ours, strict=True):
        w, h = max(x2 - x1, 1), max(y2 - y1, 1)  # sides below a pixel count as one
        expected = (
            ((bx1 + bx2) / 2 - (x1 + x2) / 2) / w,
            ((by1 + by2) / 2 - (y1 + y2) / 2) / h,
            math.log(max(bx2 - bx1, 1) / w),
            math.log(max(by2 - by1, 1) / h),
        )
        assert codes == pytest.approx(expected, abs=1e-9)


def test_classic_anchors() -> None:
    ours = iter(classic_anchors(3, 4).tolist())
    for row in range(3):
        for column in range(4):
            for ratio in (0.5, 1.0, 2.0):
                for scale in (2, 4, 8, 16, 32):
                    # A box of pixels 0 to 15, brought to the ratio, rounded, and enlarged; it
                    # includes its last pixel, which ours does not.
                    w = round(math.sqrt(256 / ratio))
                    w, h = w * scale, round(w * ratio) * scale
                    x, y = 16 * column + 7.5, 16 * row + 7.5
                    first = (x - (w - 1) / 2, y - (h - 1) / 2)
                    last = (x + (w - 1) / 2, y + (h - 1) / 2)
                    assert next(ours) == [*first, last[0] + 1, last[1] + 1]
    assert next(ours, None) is None


def test_anchors() -> None:
    sizes, ratios = (32.0, 100.0), (0.5, 1.0, 4 / 3)
    ours = iter(grid_anchors(5, 7, 16, sizes, ratios).tolist())
    for row in range(5):
        for column in range(7):
            for size in sizes:
                for ratio in ratios:
                    w, h = size / math.sqrt(ratio), size * math.sqrt(ratio)
                    x, y = 16 * column, 16 * row
                    expected = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
                    assert next(ours) == pytest.approx(expected, abs=1e-4)
    assert next(ours, None) is None
