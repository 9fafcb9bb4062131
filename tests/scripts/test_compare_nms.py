"""NMS and Soft-NMS on the same boxes: what each way leaves, and that the net runs once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.training import small_data


class Detector(nn.Module):
    """Two boxes of a class with an IoU of 0.6, one of another class on them, one empty row."""

    candidates, detections = 4, 1

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, images: Tensor, iou_threshold: float) -> tuple[Tensor, Tensor, Tensor]:
        assert iou_threshold > 1
        assert self.detections == 4
        self.calls += 1
        boxes = torch.tensor([[0, 0, 10, 10], [0, 2.5, 10, 12.5], [0, 0, 10, 10], [0, 0, 0, 0]])
        scores, classes = torch.tensor([0.9, 0.8, 0.7, -1]), torch.tensor([1, 1, 0, 0])
        return boxes[None], scores[None], classes[None]


@pytest.mark.parametrize(
    ("way", "scores"),
    [
        ("NMS at 0.5", [0.9, 0.7]),
        ("linear from 0.5", [0.9, 0.7, 0.8 * 0.4]),
        ("Gaussian, sigma 0.5", [0.9, 0.7, 0.8 * 0.48675]),
    ],
)
def test_each_way_leaves_its_boxes(script: Any, way: str, scores: list[float]) -> None:
    suppressed = script.Suppressed(Detector())
    suppressed.again(script.WAYS[way])
    boxes, found, classes = suppressed(torch.zeros(1, 3, 32, 32))
    assert boxes.shape == (1, 100, 4)
    assert found[0, : len(scores)].tolist() == pytest.approx(scores, abs=1e-4)
    assert (found[0, len(scores) :] == -1).all()
    assert classes[0, :3].tolist() == ([1, 0, 0] if len(scores) == 2 else [1, 0, 1])


def test_the_net_runs_once_for_all_ways(script: Any) -> None:
    net = Detector()
    suppressed = script.Suppressed(net)
    images = torch.zeros(1, 3, 32, 32)
    for way in script.WAYS.values():
        suppressed.again(way)
        suppressed(images)
        suppressed(images)
    assert net.calls == 2


def test_a_table_has_a_row_for_each_way(
    script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_data.boxes(tmp_path / "set", names=("person",))
    assert script.main(["thundernet-snet49", f"{tmp_path / 'set'}:train"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0] == "| thundernet-snet49 | AP50 | AP |"
    assert [row.split(" | ")[0].strip("| ") for row in rows[2:]] == list(script.WAYS)
