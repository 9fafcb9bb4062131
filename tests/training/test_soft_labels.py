"""Segmenters learn from a teacher's stored logits, seen through the same views as the pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from livevision.datasets import ClassMapSample, open_dataset
from livevision.errors import DataError, UsageError
from livevision.nets import IMAGE_MEAN, IMAGE_STD
from livevision.training.distillation import soft_labels_loss
from livevision.training.jobs import make_job
from livevision.training.processes import Group
from livevision.training.ragged import Ragged
from livevision.training.segmentation import SegmentationJob
from tests.training import small_data

ALONE = Group(0, 1, torch.device("cpu"))
NAMES = ("dark", "bright", "odd")
SOFT: dict[str, Any] = {"weight": 0.5, "temperature": 2.0}


def write_picture(root: Path, name: str, image: Any, logits: Any, classes: Any = 0) -> None:
    """A picture of the split train, with a class map, and soft labels unless None."""
    labels = np.zeros(image.shape[:2], np.uint8) + np.asarray(classes, np.uint8)
    for folder, suffix, content in (("images", "png", image), ("masks", "png", labels)):
        (root / folder / "train").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / folder / "train" / f"{name}.{suffix}"), content)
    if logits is not None:
        write_soft(root, name, np.asarray(logits, np.float16))


def write_soft(root: Path, name: str, logits: Any, key: str = "logits") -> None:
    path = root / "logits" / "train" / f"{name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **{key: logits})


def gradients(root: Path, stride: int = 8, sizes: Any = ((160, 96), (96, 128))) -> Path:
    """Pictures whose red and green are positions, and logits of the same values.

    Linear functions survive bilinear interpolation, so views of both must agree.
    """
    for number, (width, height) in enumerate(sizes):
        y, x = np.mgrid[:height, :width] + 0.5
        image = np.stack((np.full_like(x, 90), 2 * y, 1.5 * x), -1)  # blue, green, red
        rows, columns = np.mgrid[: height // stride, : width // stride] * stride + stride / 2
        logits = np.stack((1.5 * columns, 2 * rows, np.full_like(rows, 90, float))) / 10
        write_picture(root, f"{number}", image.round().astype(np.uint8), logits)
    (root / "classes.txt").write_text("\n".join(NAMES))
    return root


def job_of(root: Path, *, options: Any = None, **changes: Any) -> SegmentationJob:
    """A job on the split train of the folder, with soft labels unless changed."""
    entry = changes.pop("entry", {"path": root.name, "split": "train"})
    given = {"crop": [64, 48], "soft_labels": SOFT, "jitter": 0.0, "aux_weight": 0.0}
    kind = {
        **small_data.SEGMENT,
        "labels": list(NAMES),
        "data": {"train": [entry], "val": [entry]},
        "task_options": {**given, **(options or {})},
    }
    made = make_job(small_data.recipe(kind, **changes), root.parent, ALONE)
    assert isinstance(made, SegmentationJob)
    return made


@pytest.mark.parametrize("memory_gb", [8.0, 0.0], ids=["held", "read"])
@pytest.mark.parametrize("crop", [(64, 48), (61, 46)], ids=["whole", "rest"])
def test_soft_labels_follow_the_views_of_the_pictures(
    crop: tuple[int, int], memory_gb: float, tmp_path: Path
) -> None:
    options = {"crop": list(crop), "scale": [0.7, 2.0], "aspect": [0.8, 1.25]}
    job = job_of(gradients(tmp_path / "g"), options=options, memory_gb=memory_gb, batch_size=8)
    assert job.soft is not None
    assert (job.soft.held is not None) == bool(memory_gb)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGE_MEAN, IMAGE_STD))
    flipped = 0
    for step in range(4):
        batch = job.batch(step)
        assert batch.soft is not None
        shown = ((batch.images * std + mean) * 255)[:, :2, ::4, ::4]
        found = 10 * batch.soft.logits[:, :2]
        assert found.shape == shown.shape
        # Away from the picture's borders, where neither sees what is beyond.
        sure = (batch.soft.shares > 0.999)[:, None].expand_as(found)
        assert sure.float().mean() > 0.3
        # A position is a colour: rounding to 8 bits leaves a half, and logits a little more.
        assert (found - shown)[sure].abs().max() < 1.0
        flipped += int((shown[:, 0, 4].diff() < 0).any(1).sum())
    assert 8 < flipped < 24


def test_nothing_is_learned_beyond_the_picture(tmp_path: Path) -> None:
    job = job_of(gradients(tmp_path / "g"), options={"scale": [0.2, 0.3]}, batch_size=8)
    batch = job.batch(0)
    assert batch.soft is not None
    beyond = batch.labels[:, ::4, ::4] == 255
    assert 0.3 < beyond.float().mean() < 0.99
    assert (batch.soft.shares[beyond] == 0).float().mean() > 0.99  # but for rounding
    assert (batch.soft.shares[~beyond] > 0.2).float().mean() > 0.99


def test_a_gpu_resamples_soft_labels_as_a_cpu_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(gradients(tmp_path / "g"), options={"scale": [0.3, 2.0]}, batch_size=8)
    each = job.batch(1).soft
    monkeypatch.setattr(Ragged, "resample", Ragged.resample_at_once)
    once = job.batch(1).soft
    assert each is not None
    assert once is not None
    torch.testing.assert_close(once.shares, each.shares, atol=1e-3, rtol=0)
    sure = (each.shares > 0.1)[:, None].expand_as(each.logits)
    torch.testing.assert_close(once.logits[sure], each.logits[sure], atol=0.05, rtol=0)


def sample_of(root: Path, labels: list[str] | None = None, **changes: Any) -> ClassMapSample:
    entry = {"path": str(root), "split": "train", **changes}
    (sample,) = open_dataset(entry, kind="segment", labels=labels).samples
    assert isinstance(sample, ClassMapSample)
    assert sample.soft is not None
    return sample


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """A picture of three classes with random logits at an eighth of its size."""
    draw = np.random.default_rng(0)
    image = draw.integers(0, 255, (48, 64, 3), np.uint8)
    write_picture(tmp_path / "one", "a", image, draw.normal(0, 2, (3, 6, 8)))
    (tmp_path / "one" / "classes.txt").write_text("\n".join(NAMES))
    return tmp_path / "one"


def stored(root: Path) -> npt.NDArray[np.float32]:
    return np.load(root / "logits" / "train" / "a.npz")["logits"].astype(np.float32)


def test_channels_are_mapped_by_the_names_of_classes(one: Path) -> None:
    logits = stored(one)
    soft = sample_of(one, ["odd", "new", "dark", "bright"]).soft
    assert soft is not None
    found = soft.read(4)
    assert (found.dtype, found.shape, soft.shape()) == (np.float16, (6, 8, 5), (6, 8))
    assert found[..., [2, 3, 0]] == pytest.approx(logits.transpose(1, 2, 0), abs=1e-2)
    assert (found[..., 1] == 0).all()
    assert (found[..., 4] == 1).all()


def test_merged_classes_add_up_and_ignored_ones_weigh_less(one: Path) -> None:
    shares = torch.from_numpy(stored(one)).softmax(0).numpy()
    merged = sample_of(one, ["dark", "bright"], rename={"odd": "dark"}).soft
    assert merged is not None
    found = torch.from_numpy(merged.read(2)[..., :2].astype(np.float32)).softmax(-1).numpy()
    assert found[..., 0] == pytest.approx(shares[0] + shares[2], abs=5e-3)
    without = sample_of(one, ["dark", "bright"], ignore=["odd"]).soft
    assert without is not None
    rest = without.read(2).astype(np.float32)
    assert rest[..., 2] == pytest.approx(1 - shares[2], abs=2e-3)
    assert rest[..., 0] == pytest.approx(stored(one)[0] * (1 - shares[2]), abs=1e-2)


@pytest.mark.parametrize(
    ("logits", "said"),
    [
        (np.zeros((5, 6, 8), np.float16), "5 classes, and the data set has 3"),
        (np.zeros((6, 8), np.float16), "6×8 of float16; soft labels are classes×h×w"),
        (np.zeros((3, 6, 8), np.int64), "of int64"),
        (None, "cannot be read as soft labels"),
        ("not a zip", "cannot be read as soft labels"),
    ],
    ids=["classes", "dimensions", "dtype", "key", "text"],
)
def test_invalid_soft_labels_are_one_line(one: Path, logits: Any, said: str) -> None:
    path = one / "logits" / "train" / "a.npz"
    if isinstance(logits, str):
        path.write_text(logits)
    elif logits is None:
        write_soft(one, "a", stored(one), "scores")
    else:
        write_soft(one, "a", logits)
    with pytest.raises(DataError) as caught:
        job_of(one)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    job_of(one, options={"soft_labels": None})  # they are only read to learn from them


def test_soft_labels_must_be_finite_and_present(one: Path) -> None:
    logits = stored(one)
    logits[1, 2, 3] = np.inf
    write_soft(one, "a", logits)
    soft = sample_of(one, list(NAMES)).soft
    assert soft is not None
    with pytest.raises(DataError, match="not finite"):
        soft.read(3)
    (one / "logits" / "train" / "a.npz").unlink()
    with pytest.raises(UsageError, match="has no soft labels; write some with livevision label"):
        job_of(one)


def test_weights_of_teacher_and_soft_labels_share_the_loss(one: Path) -> None:
    teacher = {"net": "bisenet-xception39", "weight": 0.6}
    with pytest.raises(UsageError, match=r"teacher and soft_labels are 1\.1 together"):
        job_of(one, options={"teacher": teacher})


class Fixed(nn.Module):
    """A net with the same logits for every batch."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, images: Tensor) -> Tensor:
        assert len(images) == len(self.logits)
        return self.logits


def test_each_picture_weighs_the_same_with_soft_labels_and_without(tmp_path: Path) -> None:
    root, draw = tmp_path / "mixed", np.random.default_rng(0)
    for name in "abcd":
        image = draw.integers(0, 255, (48, 64, 3), np.uint8)
        soft = draw.normal(0, 2, (3, 6, 8)) if name in "bc" else None
        write_picture(root, name, image, soft, draw.integers(0, 3, (48, 64)))
    (root / "classes.txt").write_text("\n".join(NAMES))
    job = job_of(root, batch_size=4, options={"soft_labels": {"weight": 0.7, "temperature": 3.0}})
    assert job.about()[-1].startswith("soft labels of 2 of 4 pictures")
    batch = job.batch(0)
    assert batch.soft is not None
    rows = batch.soft.rows
    assert len(rows) == 2
    net = Fixed(torch.randn(4, 3, 48, 64, generator=torch.Generator().manual_seed(0)))
    losses = job.loss(net, batch)
    rest = [row for row in range(4) if row not in rows]

    def entropy(chosen: list[int]) -> Tensor:
        return F.cross_entropy(net.logits[chosen], batch.labels[chosen], ignore_index=255)

    assert losses["main"].item() == pytest.approx(
        (0.5 * 0.3 * entropy(rows) + 0.5 * entropy(rest)).item(), rel=1e-5
    )
    ours, theirs = net.logits[rows][..., ::4, ::4], batch.soft.logits
    wanted, found = (theirs / 3).softmax(1), (ours / 3).log_softmax(1)
    each = (wanted * (wanted.log() - found)).sum(1)
    mean = (each * batch.soft.shares).sum() / batch.soft.shares.sum()
    assert losses["soft"].item() == pytest.approx((0.5 * 0.7 * 9 * mean).item(), rel=1e-4)


def test_unmarked_classes_are_not_learned_from_soft_labels() -> None:
    torch.manual_seed(0)
    ours, theirs = torch.randn(2, 3, 4, 5, requires_grad=True), torch.randn(2, 3, 4, 5)
    marked = torch.tensor([[True, True, False], [True, True, True]])
    shares = torch.ones(2, 4, 5)
    soft_labels_loss(ours, theirs, shares, 2.0, marked).backward()
    assert ours.grad is not None
    assert (ours.grad[0, 2] == 0).all()
    assert (ours.grad[1, 2] != 0).all()
    same = soft_labels_loss(theirs, theirs, shares, 2.0, marked)
    assert same.item() == pytest.approx(0, abs=1e-6)


class Tiny(nn.Module):
    """Two convolutions with logits at half the size, enlarged."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 3, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return F.interpolate(self.layers(images), images.shape[2:], mode="bilinear")


def test_a_net_learns_from_soft_labels_alone_what_the_teacher_knows(tmp_path: Path) -> None:
    """The class maps say `odd` everywhere; only the soft labels know what is dark and bright."""
    small_data.class_maps(tmp_path / "maps", train=8)
    for path in sorted((tmp_path / "maps" / "images" / "train").iterdir()):
        truth = cv2.imread(str(tmp_path / "maps" / "labels" / "train" / f"{path.stem}.png"), 0)
        bright = cv2.resize((truth == 1).astype(np.float32), (24, 16), interpolation=cv2.INTER_AREA)
        logits = np.stack((4 - 8 * bright, 8 * bright - 4, np.full_like(bright, -8)))
        write_picture(tmp_path / "taught", path.stem, cv2.imread(str(path)), logits, 2)
    (tmp_path / "taught" / "classes.txt").write_text("\n".join(NAMES))
    kind = {
        **small_data.SEGMENT,
        "labels": list(NAMES),
        "data": {
            "train": [{"path": "taught", "split": "train"}],
            "val": [{"path": "maps", "split": "val", "names": ["dark", "bright"]}],
        },
    }
    scores = []
    for weight in (1.0, 0.01):
        soft = {"weight": weight, "temperature": 1.0}
        options = {"crop": [64, 64], "scale": [0.8, 1.5], "soft_labels": soft}
        job = make_job(small_data.recipe(kind, task_options=options, batch_size=4), tmp_path, ALONE)
        torch.manual_seed(0)
        net = Tiny()
        optimizer = torch.optim.AdamW(net.parameters(), 0.02)
        for step in range(60):
            optimizer.zero_grad()
            torch.stack(list(job.loss(net, job.batch(step)).values())).sum().backward()
            optimizer.step()
        scores.append(job.evaluate(net).figures["mIoU"])
    assert scores[0] > 0.85
    assert scores[1] < 0.1
