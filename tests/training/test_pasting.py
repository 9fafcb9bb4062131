"""Cut-outs set into views: their boxes, what they hide, and that a seed decides it all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from livevision.datasets.samples import DataSet
from livevision.errors import DataError, UsageError
from livevision.training.jobs import make_job
from livevision.training.objects import Objects, exists
from livevision.training.pasting import Pasting
from livevision.training.processes import Group
from livevision.training.ragged import Ragged
from livevision.training.recipe import Paste
from tests.training import small_data

CPU = torch.device("cpu")
LABELS = ["cat", "dog", "cow"]


def cut_out(path: Path, size: tuple[int, int] = (60, 100), round_: bool = True) -> None:
    """Write a red left and a blue right half, an ellipse or a whole rectangle; beside it green."""
    width, height = size
    image = np.zeros((height + 10, width + 10, 4), np.uint8)
    image[..., 1] = 255
    image[5:-5, 5:-5, 3] = 255
    image[..., :3][image[..., 3] > 0] = 0
    half = (width + 10) // 2
    image[5:-5, 5:half, 2], image[5:-5, half:-5, 0] = 255, 255
    if round_:
        mask = np.zeros(image.shape[:2], np.uint8)
        axes = (width // 2 - 1, height // 2 - 1)
        cv2.ellipse(mask, ((width + 10) // 2, (height + 10) // 2), axes, 0, 0, 360, 255, -1)
        image[..., 3] = mask
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def pasting(root: Path, marked: tuple[int, ...] = (0, 1, 2), **options: Any) -> Pasting:
    sets = [DataSet("detect", LABELS, [], frozenset(marked))]
    given = {"share": 1.0, "most": 1, **options}
    return Pasting(Paste(data=[{"path": "cuts"}], **given), sets, LABELS, root, CPU)


def nothing(count: int) -> Objects:
    return Objects(torch.zeros(count, 1, 4), torch.zeros(count, 1, 3), torch.zeros(count, 1, 4))


def dark(count: int, width: int = 160, height: int = 120) -> torch.Tensor:
    return torch.full((count, 3, height, width), 40.0)


def test_boxes_enclose_what_was_set_in(tmp_path: Path) -> None:
    cut_out(tmp_path / "cuts" / "dog" / "1.png")
    cut_out(tmp_path / "cuts" / "cow" / "1.png", (100, 40))
    images = dark(60)
    found = pasting(tmp_path)(images, nothing(60), [0] * 60, np.random.default_rng(0))
    longest, mirrored, classes = [], 0, set()
    for image, boxes, shares in zip(images, found.boxes, found.shares, strict=True):
        assert exists(boxes).sum() == 1
        changed = ((image[0] > 140) | (image[2] > 140)).numpy()
        rows, columns = np.nonzero(changed)
        edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        box = boxes[exists(boxes)][0].numpy()
        assert np.abs(np.array(edges) - box).max() < 2
        assert image[1].max() < 60  # nothing of what was around it
        sides = box[2:] - box[:2]
        longest.append(sides.max())
        label = int(shares[exists(boxes)][0].argmax())
        assert float(shares.sum()) == 1
        assert label == (1 if sides[1] > sides[0] else 2)
        classes.add(label)
        middle = (edges[0] + edges[2]) // 2
        mirrored += bool(image[2, :, : middle - 1].sum() > image[0, :, : middle - 1].sum())
    assert classes == {1, 2}
    assert 15.9 < min(longest) < 24
    assert 50 < max(longest) <= 64
    assert 15 < mirrored < 45


def test_edges_are_soft(tmp_path: Path) -> None:
    cut_out(tmp_path / "cuts" / "dog" / "1.png", round_=True)
    images = dark(8)
    pasting(tmp_path, pixels=(30, 60))(images, nothing(8), [0] * 8, np.random.default_rng(0))
    red_and_blue = images[:, 0] + images[:, 2]
    between = (red_and_blue > 95) & (red_and_blue < 240)
    assert (between.flatten(1).sum(1) > 10).all()


def test_cut_outs_go_where_they_hide_least(tmp_path: Path) -> None:
    cut_out(tmp_path / "cuts" / "dog" / "1.png", (50, 50), round_=False)
    box = torch.tensor([[[0.0, 0, 80, 120]]]).expand(40, 1, 4)
    before = Objects(box, torch.tensor([[[0.7, 0.0, 0.3]]]).expand(40, 1, 3), torch.zeros(40, 1, 4))
    found = pasting(tmp_path, pixels=(50, 50))(dark(40), before, [0] * 40, np.random.default_rng(0))
    assert torch.equal(found.boxes[:, 1], box[:, 0])  # it stays, and so do its soft classes
    assert torch.equal(found.shares[:, 1], before.shares[:, 0])
    beside = (found.boxes[:, 0, 0] >= 70).sum()
    assert beside > 30  # by chance alone it were a quarter


def test_what_is_covered_mostly_becomes_a_crowd(tmp_path: Path) -> None:
    cut_out(tmp_path / "cuts" / "dog" / "1.png", (50, 50), round_=False)
    # In a view of 40 pixels the cut-out has 36: it hides all of the first box, and none of what
    # lies outside of it.
    boxes = torch.tensor([[[12.0, 12, 28, 28], [0, 0, 40, 2], [0, 0, 0, 0]]]).expand(6, 3, 4)
    crowds = torch.tensor([[[1.0, 2, 30, 40]]]).expand(6, 1, 4)
    before = Objects(boxes, torch.eye(3).expand(6, 3, 3).clone(), crowds)
    before.shares[:, 2] = 0
    found = pasting(tmp_path, pixels=(50, 50))(
        dark(6, 40, 40), before, [0] * 6, np.random.default_rng(0)
    )
    for row in range(6):
        real = found.boxes[row][exists(found.boxes[row])]
        assert len(real) in (1, 2)  # the one set in, and the edge if it shows
        assert (real[0, 2:] - real[0, :2]).tolist() == [36, 36]
        kept = found.crowds[row][exists(found.crowds[row])].tolist()
        assert [1.0, 2, 30, 40] in kept
        assert [12.0, 12, 28, 28] in kept
        assert found.shares[row].sum() == len(real)
    together = found.first(4)
    assert exists(together.boxes)[:, 0].all()
    assert together.crowds.shape[1] <= 3


def test_a_half_hidden_box_stays(tmp_path: Path) -> None:
    cut_out(tmp_path / "cuts" / "dog" / "1.png", (50, 50), round_=False)
    boxes = torch.tensor([[[0.0, 0, 160, 36]]])  # 36 of 160 columns are hidden at most
    found = pasting(tmp_path, pixels=(36, 36))(
        dark(1, 160, 36), Objects(boxes, torch.ones(1, 1, 3) / 3, torch.zeros(1, 1, 4)), [0],
        np.random.default_rng(0),
    )  # fmt: skip
    assert found.boxes[0, 1].tolist() == [0, 0, 160, 36]


def test_only_classes_that_a_set_marks_are_set_into_its_pictures(tmp_path: Path) -> None:
    cut_out(tmp_path / "cuts" / "dog" / "1.png")
    cut_out(tmp_path / "cuts" / "cow" / "1.png")
    sets = [DataSet("detect", LABELS, [], frozenset(m)) for m in ((0, 2), (0,))]
    paste = Paste(data=[{"path": "cuts"}], share=1.0, most=3)
    found = Pasting(paste, sets, LABELS, tmp_path, CPU)(
        dark(30), nothing(30), [0, 1] * 15, np.random.default_rng(0)
    )
    assert found.shares[..., 1].sum() == 0
    assert (found.shares[::2, :, 2].sum(1) >= 1).all()
    assert found.shares[1::2].sum() == 0
    with pytest.raises(DataError, match="no training set marks any of the cut-outs' classes: cow"):
        Pasting(paste, sets[1:], LABELS, tmp_path, CPU)


def test_pictures_without_transparency_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cuts" / "dog").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "cuts" / "dog" / "a.png"), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(DataError, match=r"a.png: is not a cut-out, which is an 8-bit PNG with"):
        pasting(tmp_path)
    (tmp_path / "cuts" / "dog").rename(tmp_path / "cuts" / "dgo")
    with pytest.raises(UsageError, match="lacks 1 of its classes: dgo"):
        pasting(tmp_path)


def job_of(root: Path, **options: Any) -> Any:
    small_data.boxes(root / "boxes", train=6)
    cut_out(root / "cuts" / "plate" / "1.png")
    recipe = small_data.recipe(
        small_data.DETECT,
        task_options={
            **small_data.DETECT["task_options"],
            "most_objects": 12, "mosaic": 0.5, "hue": 10,
            "paste": {"data": [{"path": "cuts"}], "share": 0.7, "most": 3},
            **options,
        },
        batch_size=8,
    )  # fmt: skip
    return make_job(recipe, root, Group(0, 1, CPU))


def test_a_seed_decides_what_is_pasted(tmp_path: Path) -> None:
    job = job_of(tmp_path)
    assert "pasting 1 cut-outs (plate 1)" in job.about()
    one, again, other = job.batch(3), job.batch(3), job.batch(4)
    assert torch.equal(one.images, again.images)
    assert torch.equal(one.boxes, again.boxes)
    assert not torch.equal(one.images, other.images)
    counts = torch.cat([exists(job.batch(step).boxes).sum(1) for step in range(4)])
    assert counts.max() > 4  # a mosaic shows four at most


def test_a_batch_is_the_same_in_the_way_of_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(tmp_path)
    here = [job.batch(step) for step in range(3)]
    monkeypatch.setattr(Ragged, "resample", Ragged.resample_at_once)
    there = [job.batch(step) for step in range(3)]
    for mine, theirs in zip(here, there, strict=True):
        assert torch.equal(mine.boxes, theirs.boxes)
        assert torch.equal(mine.shares, theirs.shares)
        assert torch.equal(mine.crowds, theirs.crowds)
        torch.testing.assert_close(mine.images, theirs.images, atol=0.02, rtol=0)
