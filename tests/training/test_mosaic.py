"""Mosaics of four pictures: their boxes lie where their objects do, and sets are not mixed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from livevision.nets import IMAGE_MEAN, IMAGE_STD
from livevision.training.jobs import make_job
from livevision.training.processes import Group
from tests.training import small_data

SETS = [{"path": "plates"}, {"path": "cups"}]


def job_of(root: Path, mosaic: float) -> Any:
    small_data.boxes(root / "plates", ("plate",))
    small_data.boxes(root / "cups", ("cup", "plate"))
    recipe = small_data.recipe(
        small_data.DETECT,
        data={"train": SETS, "val": SETS},
        labels=["plate", "cup"],
        task_options={**small_data.DETECT["task_options"], "mosaic": mosaic, "jitter": 0.0},
        batch_size=8,
    )
    return make_job(recipe, root, Group(0, 1, torch.device("cpu")))


def test_boxes_of_mosaics_enclose_their_objects(tmp_path: Path) -> None:
    batch = job_of(tmp_path, 1.0).batch(0)
    # Red is bright in the rectangles alone; beside pictures there is a middle grey.
    red = batch.images[:, 0] * IMAGE_STD[0] + IMAGE_MEAN[0]
    for picture, boxes in zip(red, batch.boxes, strict=True):
        assert (boxes[:, 2] > boxes[:, 0]).sum() == 4  # every tile shows its picture's only object
        bright = picture > 0.7
        inside = torch.zeros_like(bright)
        for x1, y1, x2, y2 in boxes.round().int().tolist():
            inside[max(0, y1 - 1) : y2 + 1, max(0, x1 - 1) : x2 + 1] = True
            assert bright[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1].float().mean() > 0.9
        assert not (bright & ~inside).any()


def test_a_mosaic_is_of_one_data_set(tmp_path: Path) -> None:
    job = job_of(tmp_path, 1.0)
    for step in range(4):
        batch = job.batch(step)
        for row, index in enumerate(job.material.indices(step)):
            shown = batch.boxes[row, :, 2] > 0
            assert (batch.shares[row][shown].argmax(1) == (index >= 4)).all()


def test_only_some_views_become_mosaics(tmp_path: Path) -> None:
    job = job_of(tmp_path, 0.5)
    counts = torch.stack([(job.batch(s).boxes[..., 2] > 0).sum(1) for s in range(8)]).flatten()
    assert set(counts.tolist()) == {1, 4}
    assert 16 < (counts == 4).sum() < 48


def test_the_same_step_has_the_same_mosaics(tmp_path: Path) -> None:
    job = job_of(tmp_path, 0.5)
    assert torch.equal(job.batch(3).images, job.batch(3).images)
    assert not torch.equal(job.batch(3).images, job.batch(4).images)
