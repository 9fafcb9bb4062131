"""A coarse class is the sum of its labels: what a net learns of its pixels, and in which sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from livevision.datasets import IGNORED, open_dataset
from livevision.training.coarse import fine, with_common_numbers
from livevision.training.jobs import make_job
from livevision.training.processes import Group
from livevision.training.segmentation_losses import pixel_loss
from tests.datasets.making import SIZE, picture, png
from tests.training import small_data
from tests.training.test_soft_labels import write_picture

LABELS = ["road", "pavement", "car", "sky"]
GROUPS = [frozenset({0, 1}), frozenset({2})]


def test_only_the_sum_of_the_labels_is_learned() -> None:
    logits = torch.tensor([0.3, -1.2, 0.8, 0.1]).view(1, 4, 1, 1).requires_grad_()
    loss = pixel_loss(logits, torch.tensor([[[4]]]), None, groups=GROUPS)  # road or pavement
    shares = logits.detach().softmax(1)[0, :, 0, 0]
    assert loss.item() == pytest.approx(-(shares[0] + shares[1]).log().item(), abs=1e-6)
    loss.backward()
    slope = logits.grad[0, :, 0, 0]  # type: ignore[index]
    assert slope[2] > 0
    assert slope[3] > 0
    # Both grow in step: the more probable of the two stays so by the same ratio of shares.
    assert slope[0] / slope[1] == pytest.approx((shares[0] / shares[1]).item(), abs=1e-4)


def test_a_coarse_class_of_one_label_is_that_label() -> None:
    logits = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(1))
    weights = torch.tensor([0.5, 1.0, 2.0, 1.5])
    labels = torch.full((2, 3, 5), 2)
    labels[0, 0] = IGNORED
    for ohem in (0.0, 0.6):
        expected = pixel_loss(logits, labels, weights, ohem)
        coarse = labels.masked_fill(labels == 2, 5)
        assert pixel_loss(logits, coarse, weights, ohem, groups=GROUPS) == pytest.approx(expected)


def test_pixels_weigh_as_the_mean_of_their_labels() -> None:
    logits = torch.randn(1, 4, 1, 2, generator=torch.Generator().manual_seed(2))
    weights = torch.tensor([0.5, 1.5, 2.0, 4.0])
    labels = torch.tensor([[[4, 3]]])
    each = [
        pixel_loss(
            logits, torch.where(torch.tensor([[keep]]), labels, IGNORED), None, groups=GROUPS
        )
        for keep in ([True, False], [False, True])
    ]
    expected = (1.0 * each[0] + 4.0 * each[1]) / 5
    assert pixel_loss(logits, labels, weights, groups=GROUPS) == pytest.approx(expected.item())


def test_the_iou_loss_leaves_coarse_pixels_out() -> None:
    labels = torch.tensor([[[0, 3, 4, 5, IGNORED]]])
    assert fine(labels, 4).flatten().tolist() == [0, 3, IGNORED, IGNORED, IGNORED]


def test_data_sets_with_other_coarse_classes_get_common_numbers(tmp_path: Path) -> None:
    opened = []
    for name, coarse in (
        ("a", {"ground": ["road", "pavement"]}),
        ("b", {"above": ["sky", "car"], "ground": ["pavement", "road"]}),
        ("c", {}),
    ):
        picture(tmp_path / name / "images" / "val" / "a.jpg")
        png(tmp_path / name / "labels" / "val" / "a.png", torch.zeros(SIZE[::-1]).numpy() + 1)
        names = [*coarse, "car"] if coarse else LABELS
        entry = {"path": str(tmp_path / name), "names": names, "coarse": coarse}
        opened.append(open_dataset(entry, kind="segment", labels=LABELS))
    sets, groups = with_common_numbers(opened)
    assert groups == [frozenset({0, 1}), frozenset({2, 3})]
    stored = [s.samples[0].meaning[:3].tolist() for s in sets]  # type: ignore[union-attr]
    assert stored == [[4, 2, IGNORED], [5, 4, 2], [0, 1, 2]]
    assert [s.marked for s in sets] == [{0, 1, 2}, {0, 1, 2, 3}, {0, 1, 2, 3}]


def test_a_net_learns_from_coarse_and_fine_pictures_together(tmp_path: Path) -> None:
    small_data.class_maps(tmp_path / "maps", train=2, val=1)
    for number in range(2):
        image, _ = small_data.drawn(number)
        write_picture(tmp_path / "other", f"{number}", image, None, classes=0)
    coarse: dict[str, Any] = {
        **{"path": "other", "split": "train", "names": ["any", "more"]},
        **{"coarse": {"any": ["dark", "bright"]}, "ignore": ["more"]},
    }
    recipe = small_data.recipe(
        small_data.SEGMENT,
        data={"train": [{"path": "maps"}, coarse], "val": [{"path": "maps"}]},
        task_options={"crop": [64, 64], "iou_weight": 0.5, "rare_weight": 1.1},
        batch_size=4,
    )
    job = make_job(recipe, tmp_path, Group(0, 1, torch.device("cpu")))
    assert any("other train: any is any of dark, bright" in line for line in job.about())
    from livevision.training.starting import build_net

    losses = job.loss(build_net(recipe, 2).train(), job.batch(0))
    assert all(torch.isfinite(loss) for loss in losses.values())
