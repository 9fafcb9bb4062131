"""Class folders, on disk and in a zip."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livevision.datasets import ClassSample, DataSet, open_dataset
from livevision.errors import DataError, UsageError
from tests.datasets.making import picture, text


def small(root: Path) -> Path:
    """Two classes in two splits."""
    for i, (split, name) in enumerate((("train", "cat"), ("train", "dog"), ("val", "dog"))):
        picture(root / split / name / f"{i}.png", (8, 8), seed=i)
    return root


def zipped(root: Path, archive: Path, inside: str = "") -> Path:
    with zipfile.ZipFile(archive, "w") as out:
        for file in sorted(root.rglob("*")):
            out.write(file, f"{inside}{file.relative_to(root)}")
    return archive


def opened(path: Path, labels: list[str] | None = None, **changes: Any) -> DataSet:
    return open_dataset({"path": str(path), **changes}, kind="classify", labels=labels)


@pytest.mark.parametrize("kind", ["folder", "zip", "zip of a folder", "folder of a zip"])
def test_every_picture_is_read(tmp_path: Path, kind: str) -> None:
    path = small(tmp_path / "data")
    if kind != "folder":
        (tmp_path / "z").mkdir()
        inside = "data/" if kind == "zip of a folder" else ""
        path = zipped(path, tmp_path / "z" / "data.zip", inside)
        path = path.parent if kind == "folder of a zip" else path
    data = opened(path, split="train")
    assert (data.kind, data.labels, data.marked) == ("classify", ["cat", "dog"], {0, 1})
    assert [s.class_id for s in data.samples if isinstance(s, ClassSample)] == [0, 1]
    # A split that lacks a class has the same numbers.
    (sample,) = opened(path).samples
    assert isinstance(sample, ClassSample)
    assert sample.class_id == 1
    noise = np.random.default_rng(2).integers(0, 255, (8, 8, 3), np.uint8)
    assert (sample.read() == noise[..., ::-1]).all()  # written BGR, read RGB


def test_without_splits_all_is_taken(tmp_path: Path) -> None:
    picture(tmp_path / "cat" / "deep" / "a.jpg")
    picture(tmp_path / "dog" / "b.JPG".lower())
    data = opened(tmp_path)
    assert (data.labels, len(data)) == (["cat", "dog"], 2)
    with pytest.raises(UsageError, match=r"has no splits, so there is no 'test'"):
        opened(tmp_path, split="test")


def test_classes_may_be_called_by_folder_or_name(tmp_path: Path) -> None:
    for folder in ("n01", "n02", "n03"):
        picture(tmp_path / "val" / folder / "a.jpg")
    text(tmp_path / "classes.txt", "n01\tgoldfish, Carassius\nn02\tcrane, bird\nn03\tcrane, lift\n")
    assert opened(tmp_path).labels == ["goldfish", "crane, bird", "crane, lift"]
    for labels in (["n01", "n02", "n03"], ["crane, lift", "goldfish", "crane, bird"]):
        data = opened(tmp_path, labels)
        ids = [s.class_id for s in data.samples if isinstance(s, ClassSample)]
        assert sorted(ids) == [0, 1, 2]
        assert ids[0] == (labels.index("goldfish") if "goldfish" in labels else 0)


def test_classes_are_renamed_and_ignored(tmp_path: Path) -> None:
    small(tmp_path)
    data = opened(tmp_path, ["pet"], split="train", rename={"cat": "pet"}, ignore=["dog"])
    assert (len(data), data.marked) == (1, {0})
    with pytest.raises(DataError, match=r"all pictures are ignored"):
        opened(tmp_path, ["pet"], rename={"cat": "pet"}, ignore=["dog"])


def test_broken_pictures_are_told(tmp_path: Path) -> None:
    small(tmp_path)
    path = tmp_path / "val" / "dog" / "2.png"
    path.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        opened(tmp_path)
    why = "the file has zero bytes; replace it or take it out of the data set"
    assert str(caught.value) == f"{path}: {why}"
    path.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"2.png: the file cannot be decoded as a picture"):
        opened(tmp_path).samples[0].read()
    archive = zipped(tmp_path, tmp_path.with_suffix(".zip"))
    with pytest.raises(DataError, match=r"\.zip: val/dog/2.png: the file cannot be decoded"):
        opened(archive).samples[0].read()
    archive.write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"\.zip: cannot be read as a zip"):
        opened(archive)


def test_nothing_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "val" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match=r"no pictures in folders of classes"):
        opened(tmp_path)
