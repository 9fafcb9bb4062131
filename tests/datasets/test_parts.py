"""A split without a val part, made into two."""

from __future__ import annotations

from pathlib import Path

import pytest

from livevision.datasets import DataSet, kinds_of, open_dataset, splits_of
from livevision.errors import DataError, UsageError
from tests.datasets import making


def _parts(path: Path, **entry: object) -> tuple[DataSet, DataSet]:
    kind = entry.pop("kind", "detect")
    train, val = (
        open_dataset({"path": str(path), "part": part, **entry}, None, kind)  # type: ignore
        for part in ("train", "val")
    )
    return train, val


def _folders(root: Path, counts: dict[str, int]) -> Path:
    for name, count in counts.items():
        for n in range(count):
            making.picture(root / name / f"{n}.jpg", (16, 16))
    return root


def _boxes(root: Path, classes: list[str]) -> Path:
    """VOC's form without splits: one object in each picture, or none for ''."""
    for n, name in enumerate(classes):
        making.picture(root / f"{n:03}.jpg")
        making.voc(root / f"{n:03}.xml", *([making.voc_object(name)] if name else []))
    making.text(root / "classes.txt", "cat\ndog\n")
    return root


def test_every_tenth_picture_is_for_val(tmp_path: Path) -> None:
    train, val = _parts(_boxes(tmp_path, ["cat"] * 30))
    assert (len(train), len(val)) == (27, 3)
    places = {s.path for s in train.samples} | {s.path for s in val.samples}
    assert len(places) == 30
    assert [s.path for s in train.samples] == sorted(s.path for s in train.samples)
    numbers = sorted(int(s.path.stem) for s in val.samples)
    assert numbers not in ([0, 10, 20], [5, 15, 25], [27, 28, 29])  # order does not choose them


def test_they_are_the_same_wherever_the_folder_lies(tmp_path: Path) -> None:
    names = [
        [s.path.name for s in _parts(_boxes(tmp_path / place, ["cat", "dog"] * 15))[1].samples]
        for place in ("a", "b/c")
    ]
    assert names[0] == names[1]


def test_a_rare_class_has_its_share(tmp_path: Path) -> None:
    train, val = _parts(_boxes(tmp_path, ["cat"] * 80 + ["dog"] * 20))
    seen = [int(s.classes[0]) for s in val.samples]  # type: ignore[union-attr]
    assert (seen.count(0), seen.count(1)) == (8, 2)
    assert train.labels == val.labels == ["cat", "dog"]


def test_pictures_without_objects_are_in_both(tmp_path: Path) -> None:
    train, val = _parts(_boxes(tmp_path, ["cat"] * 20 + [""] * 20))
    assert [sum(len(s.boxes) == 0 for s in part.samples) for part in (train, val)] == [18, 2]  # type: ignore[union-attr]


def test_val_is_never_without_a_box(tmp_path: Path) -> None:
    train, val = _parts(_boxes(tmp_path, ["cat", "cat", *[""] * 8]))
    assert all(any(len(s.boxes) for s in part.samples) for part in (train, val))  # type: ignore[union-attr]


@pytest.mark.parametrize("zipped", [False, True])
def test_each_class_of_a_classifier_is_in_both(zipped: bool, tmp_path: Path) -> None:
    root = _folders(tmp_path / "data", {"ant": 40, "bee": 4, "cow": 2})
    path = root
    if zipped:
        import shutil

        path = Path(shutil.make_archive(str(tmp_path / "data"), "zip", root))
    train, val = _parts(path, kind="classify")
    counts = [[s.class_id for s in part.samples].count for part in (train, val)]  # type: ignore
    assert [counts[0](c) for c in range(3)] == [36, 3, 1]
    assert [counts[1](c) for c in range(3)] == [4, 1, 1]


def test_a_named_split_is_parted(tmp_path: Path) -> None:
    for n in range(20):
        making.picture(tmp_path / "train" / "images" / f"{n}.jpg")
        making.text(tmp_path / "train" / "labels" / f"{n}.txt", "0 0.5 0.5 0.2 0.2\n")
    making.text(tmp_path / "data.yaml", "names: [cat]\ntrain: train/images\n")
    train, val = _parts(tmp_path, split="train")
    assert (len(train), len(val)) == (18, 2)
    assert splits_of(tmp_path, "detect") == ["train"]


def test_one_picture_cannot_be_parted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 pictures are too few"):
        _parts(_boxes(tmp_path, ["cat"]))


def test_another_part_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown part 'vaal'\. Did you mean 'val'"):
        open_dataset({"path": str(_boxes(tmp_path, ["cat"] * 3)), "part": "vaal"})


def test_kinds_and_splits_of_every_format(tmp_path: Path) -> None:
    _boxes(tmp_path / "voc", ["cat"])
    assert (kinds_of(tmp_path / "voc"), splits_of(tmp_path / "voc", "detect")) == (["detect"], [])

    coco = tmp_path / "coco"
    making.picture(coco / "a.jpg")
    making.coco(coco / "instances_train.json", [{"bbox": [1, 1, 5, 5]}])
    making.coco(coco / "instances_val2017.json", [{"bbox": [1, 1, 5, 5]}])
    assert kinds_of(coco) == kinds_of(coco / "instances_train.json") == ["detect"]
    assert splits_of(coco, "detect") == ["train", "val"]
    assert splits_of(coco / "instances_train.json", "detect") == []

    maps = tmp_path / "maps"
    for split in ("train", "valid"):
        making.picture(maps / "images" / split / "a.jpg")
        making.png(maps / "labels" / split / "a.png", [[0, 1]])
    assert (kinds_of(maps), sorted(splits_of(maps, "segment"))) == (["segment"], ["train", "valid"])

    folders = _folders(tmp_path / "folders" / "train", {"ant": 1}).parent
    assert (kinds_of(folders), splits_of(folders, "classify")) == (["classify"], ["train"])

    yolo = tmp_path / "yolo"
    making.text(yolo / "data.yaml", "names: [cat]\ntrain: a\nval: b\ntest:\n")
    assert kinds_of(yolo) == kinds_of(yolo / "data.yaml") == ["detect"]
    assert splits_of(yolo / "data.yaml", "detect") == ["train", "val"]

    making.picture(tmp_path / "bare" / "a.jpg")
    assert kinds_of(tmp_path / "bare") == []
