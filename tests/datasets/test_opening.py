"""Which format it is, how classes become the model's, and pictures as they are read."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from livevision.datasets import BoxSample, DataEntry, DataSet, open_dataset
from livevision.errors import DataError, LivevisionError, UsageError
from tests.datasets.making import coco, picture, png, text, voc, voc_object

BOX = {"bbox": [1, 1, 5, 5]}
DOG = {**BOX, "category_id": 11}


def small(root: Path) -> Path:
    picture(root / "images" / "a.jpg")
    coco(root / "instances_val.json", [BOX, DOG])
    return root


def opened(root: Path, labels: list[str] | None, **changes: Any) -> DataSet:
    return open_dataset({"path": str(root), **changes}, labels=labels)


def classes(data: DataSet) -> list[int]:
    sample = data.samples[0]
    assert isinstance(sample, BoxSample)
    return [int(c) for c in sample.classes]


@pytest.mark.parametrize(
    ("labels", "changes", "found", "marked"),
    [
        (["dog", "bird", "cat"], {}, [2, 0], {0, 2}),
        (["pet"], {"rename": {"cat": "pet", "dog": "pet"}}, [0, 0], {0}),
        (["bird", "dog"], {"ignore": ["cat"]}, [1], {1}),
        (["bird", "dog"], {"ignore": "others"}, [1], {1}),
        (["animal", "dog"], {"rename": {"others": "animal"}}, [0, 1], {0, 1}),
        (["cat", "dog"], {"rename": {"cat": "dog", "dog": "cat"}}, [1, 0], {0, 1}),
        (None, {"rename": {"cat": "tiger"}}, [0, 1], {0, 1}),
        (None, {"ignore": ["cat"]}, [0], {0}),
    ],
)
def test_classes_become_the_models(
    tmp_path: Path, labels: list[str] | None, changes: Any, found: list[int], marked: set[int]
) -> None:
    data = opened(small(tmp_path), labels, **changes)
    assert (classes(data), data.marked) == (found, marked)
    if labels is not None:
        assert data.labels == labels


@pytest.mark.parametrize(
    ("theirs", "labels", "changes", "found"),
    [
        (["sofa", "tvmonitor"], ["tv", "cat", "couch"], {}, [2, 0]),
        (["dining table", "motorcycle"], ["motorbike", "diningtable"], {}, [1, 0]),
        (["aeroplane", "cat"], ["cat", "airplane", "aeroplane"], {}, [2, 0]),
        (["pottedplant", "bike"], ["potted plant", "bicycle", "motorcycle"],
         {"rename": {"bike": "motorbike"}}, [0, 2]),
        (["sofa", "cat"], ["couch", "cat", "bed"], {"rename": {"sofa": "bed"}}, [2, 1]),
    ],
)  # fmt: skip
def test_vocs_and_cocos_names_are_one_class(
    tmp_path: Path, theirs: list[str], labels: list[str], changes: Any, found: list[int]
) -> None:
    picture(tmp_path / "images" / "a.jpg")
    coco(tmp_path / "instances_val.json", [BOX, DOG], names=theirs)
    data = opened(tmp_path, labels, **changes)
    assert classes(data) == found
    assert data.labels == labels
    assert data.marked == set(found)


@pytest.mark.parametrize(
    ("labels", "changes", "told"),
    [
        (["dog"], {}, "the model's table lacks 1 of its classes: cat. Rename each to one of"),
        (["bird", "cats"], {}, "lacks 2 of its classes: cat, dog. "),
        (["cats", "dog"], {}, "(rename: {cat: cats}, --rename cat=cats)"),
        (["cat", "dog"], {"rename": {"cow": "cat"}}, "rename: unknown class 'cow'"),
        (["cat", "dog"], {"rename": {"cat": "dg"}}, "rename to 'dg': unknown label 'dg'. Did"),
        (["cat", "dog"], {"ignore": ["cow"]}, "ignore: unknown class 'cow'"),
        (["cat", "dog"], {"ignore": ["cat"], "rename": {"cat": "dog"}}, "'cat' is given in two of"),
        (["bird"], {"ignore": "others"}, "none of its classes (cat, dog) is one of the model's"),
        (["cat", "dog", "cat"], {}, "the model's table of classes has 'cat' twice"),
        (["cat", "dog"], {"format": "class-maps"}, "has no labels for the task detect"),
        (["cat", "dog"], {"format": "cocoa"}, "unknown format 'cocoa'. Did you mean 'coco'?"),
        (["cat", "dog"], {"splits": "val"}, "unknown key 'splits'. Did you mean 'split'?"),
        (["cat", "dog"], {"ignore": "cat"}, "ignore takes a list, such as [cat]"),
        (["cat", "dog"], {"repeat": 0}, "repeat 0 is not a whole number of at least 1"),
        (["cat", "dog"], {"repeat": "twice"}, "repeat 'twice' is not a whole number"),
        (["cat", "dog"], {"rename": ["cat"]}, "rename takes {theirs: ours}"),
        (["cat", "dog"], {"path": ""}, "has no path"),
    ],
)
def test_a_table_that_does_not_fit_is_wrong_usage(
    tmp_path: Path, labels: list[str], changes: Any, told: str
) -> None:
    with pytest.raises(UsageError) as caught:
        opened(small(tmp_path), labels, **changes)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_paths_are_counted_from_the_root(tmp_path: Path) -> None:
    small(tmp_path / "pets")
    assert len(open_dataset("pets", tmp_path)) == 1
    assert len(open_dataset(DataEntry(tmp_path / "pets"), Path("/elsewhere"))) == 1
    with pytest.raises(DataError, match=r"none: there is no such data set"):
        open_dataset("none", tmp_path)


def test_formats_are_told_apart(tmp_path: Path) -> None:
    small(tmp_path)
    png(tmp_path / "masks" / "a.png", np.ones((48, 64)))
    assert open_dataset(tmp_path).kind == "detect"
    segment = open_dataset(tmp_path, kind="segment", labels=["road", "car"])
    assert segment.kind == "segment"
    voc(tmp_path / "Annotations" / "a.xml", voc_object("cow"))
    with pytest.raises(UsageError, match=r"several formats \(coco, voc\); choose one with format"):
        open_dataset(tmp_path)
    assert open_dataset({"path": tmp_path, "format": "voc"}).labels == ["cow"]
    with pytest.raises(DataError, match=r"no labels for the task detect were found there"):
        open_dataset(tmp_path / "images")


def test_the_default_split_and_its_other_names(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        picture(tmp_path / split / "a.jpg")
        coco(tmp_path / split / "_annotations.coco.json", [BOX])
    assert open_dataset(tmp_path).name == f"{tmp_path} (valid)"
    assert open_dataset(tmp_path, default_split="train").name == f"{tmp_path} (train)"
    with pytest.raises(UsageError, match=r"unknown split 'test'"):
        open_dataset({"path": tmp_path, "split": "test"})


def test_a_phones_picture_is_read_upright(tmp_path: Path) -> None:
    path = tmp_path / "images" / "a.jpg"
    path.parent.mkdir()
    image = Image.fromarray(np.zeros((48, 64, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    image.save(path, exif=exif)
    coco(tmp_path / "instances_val.json", [BOX], size=(48, 64))
    (sample,) = open_dataset(tmp_path).samples
    assert isinstance(sample, BoxSample)
    assert (sample.width, sample.height) == (48, 64)
    assert sample.read().shape == (64, 48, 3)


def test_colours_come_as_rgb_from_every_kind_of_file(tmp_path: Path) -> None:
    for name, channels in (("a.png", 3), ("b.png", 4), ("c.png", 1)):
        picture_path = tmp_path / "images" / name
        picture_path.parent.mkdir(exist_ok=True)
        pixels = np.full((48, 64, channels), 9, np.uint8)
        pixels[..., 0] = 200  # blue, in OpenCV's order
        assert cv2.imwrite(str(picture_path), pixels)
        coco(tmp_path / "instances_val.json", [BOX], files=[name])
        image = open_dataset(tmp_path).samples[0].read()
        assert image.dtype == np.uint8
        assert image[0, 0].tolist() == ([200, 200, 200] if channels == 1 else [9, 9, 200])


def test_a_picture_that_changed_since_is_told(tmp_path: Path) -> None:
    small(tmp_path)
    (sample,) = open_dataset(tmp_path).samples
    again = pickle.loads(pickle.dumps(sample))  # as it travels to other processes
    picture(sample.path, (32, 32))
    with pytest.raises(DataError, match=r"the picture is 32x32; its labels were made for 64x48"):
        again.read()


def test_errors_of_data_have_exit_code_3(tmp_path: Path) -> None:
    with pytest.raises(LivevisionError) as caught:
        open_dataset(text(tmp_path / "a.json", "{"))
    assert caught.value.exit_code == 3
