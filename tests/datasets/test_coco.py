"""COCO's form: every value read, and every way of being broken told with file and place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livevision.datasets import BoxSample, open_dataset
from livevision.errors import DataError
from tests.datasets.making import coco, picture, text

BOX = [10.5, 5, 20, 30]


def one(root: Path, **changes: Any) -> BoxSample:
    data = open_dataset({"path": str(root), **changes})
    sample = data.samples[0]
    assert isinstance(sample, BoxSample)
    return sample


def test_every_value_is_read(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg")
    picture(tmp_path / "images" / "b.jpg", seed=1)
    coco(
        tmp_path / "instances_val.json",
        [
            {"bbox": BOX, "category_id": 11},
            {"bbox": [0, 0, 64, 48], "iscrowd": 1},
            {"bbox": [1, 2, 3, 4], "difficult": 1},
        ],
        files=["a.jpg", "b.jpg"],
    )
    data = open_dataset(tmp_path)
    assert (data.kind, data.labels, data.marked) == ("detect", ["cat", "dog"], {0, 1})
    first, second = data.samples
    assert isinstance(first, BoxSample)
    assert isinstance(second, BoxSample)
    assert (first.path, first.width, first.height) == (tmp_path / "images" / "a.jpg", 64, 48)
    assert first.boxes.dtype == np.float32
    assert first.boxes.tolist() == [[10.5, 5, 30.5, 35], [0, 0, 64, 48], [1, 2, 4, 6]]
    assert first.classes.tolist() == [1, 0, 0]
    assert first.difficult.tolist() == [False, False, True]
    assert first.crowd.tolist() == [False, True, False]
    assert (second.boxes.shape, second.classes.shape) == ((0, 4), (0,))
    assert first.read().shape == (48, 64, 3)


def test_a_teachers_scores_become_shares_of_the_models_classes(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg")
    rows = [
        {"bbox": BOX, "category_id": 11, "scores": {"11": 0.6, "10": 0.2}},
        {"bbox": BOX, "category_id": 10},
    ]
    coco(tmp_path / "instances_val.json", rows)
    shares = one(tmp_path).shares
    assert shares is not None
    assert shares.dtype == np.float32
    assert shares.tolist() == pytest.approx(np.array([[0.25, 0.75], [1, 0]]))
    labels = ["dog", "bird"]  # the cat has no place here
    opened = open_dataset({"path": str(tmp_path), "ignore": ["cat"]}, labels=labels)
    (sample,) = opened.samples
    assert isinstance(sample, BoxSample)
    assert sample.shares is None or sample.shares.tolist() == [[1, 0]]


@pytest.mark.parametrize("scores", [[0.5], {"5": 0.5}, {"11": 1.5}, {"11": "x"}])
def test_broken_scores_are_told(tmp_path: Path, scores: Any) -> None:
    picture(tmp_path / "images" / "a.jpg")
    coco(tmp_path / "instances_val.json", [{"bbox": BOX, "category_id": 11, "scores": scores}])
    with pytest.raises(DataError, match=r"scores are .*category id"):
        one(tmp_path)


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("instances_val.json", "images"),
        ("instances_val.json", "images/val"),
        ("annotations/instances_val2017.json", "val2017"),
        ("valid/_annotations.coco.json", "valid"),
        ("val.json", "val"),
        ("annotations/val.json", "images"),
    ],
)
def test_the_usual_places(tmp_path: Path, file: str, folder: str) -> None:
    picture(tmp_path / folder / "a.jpg")
    coco(tmp_path / file, [{"bbox": BOX}])
    text(tmp_path / Path(file).parent / "captions_val2017.json", "{}")
    assert one(tmp_path, split="val").path == tmp_path / folder / "a.jpg"


def test_a_file_by_its_own_name(tmp_path: Path) -> None:
    picture(tmp_path / "pictures" / "a.jpg")
    file = coco(tmp_path / "boxes.json", [{"bbox": BOX}], files=["pictures/a.jpg"])
    assert one(file).boxes.tolist() == [[10.5, 5, 30.5, 35]]


def test_flat_boxes_are_left_out_and_rounding_is_cut(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    picture(tmp_path / "a.jpg")
    rows = [{"bbox": [5, 5, 0, 9]}, {"bbox": [-1.5, 40, 20, 9.5]}]
    coco(tmp_path / "instances_val.json", rows)
    assert one(tmp_path).boxes.tolist() == [[0, 40, 18.5, 48]]
    assert "1 box of no width or height left out" in caplog.text
    assert "annotation 100" in caplog.text


@pytest.mark.parametrize(
    ("annotation", "told"),
    [
        ({"bbox": [1, 1, -5, 5]}, "annotation 100: the box is -5 wide and 5 high"),
        ({"bbox": [1, 1, float("nan"), 5]}, "annotation 100: the box 1 1 nan 6 contains something"),
        ({"bbox": [50, 1, 30, 5]}, "annotation 100: the box 50 1 80 6"),
        ({"bbox": [1, 2, 3]}, "annotation 100: bbox is [1, 2, 3]; it takes [x, y, width, height]"),
        ({"bbox": "1 2 3 4"}, "annotation 100: bbox is 1 2 3 4"),
        ({}, "annotation 100 has no 'bbox'"),
        ({"bbox": BOX, "image_id": 7}, "annotation 100: there is no image with the id 7"),
        ({"bbox": BOX, "category_id": 3}, "annotation 100: there is no category with the id 3"),
    ],
)
def test_a_broken_annotation_is_told(
    tmp_path: Path, annotation: Mapping[str, Any], told: str
) -> None:
    picture(tmp_path / "a.jpg")
    file = coco(tmp_path / "instances_val.json", [annotation])
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert str(caught.value).startswith(f"{file}: {told}")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"images": [],\n "annotations": [}', ":2: column 18: Expecting value"),
        ("[]", ": has no list 'images', so it is not in COCO's form"),
        ('{"images": [], "annotations": []}', ": has no list 'categories'"),
        (
            '{"images": [{"id": 1}], "annotations": [], "categories": [{"id": 1, "name": "a"}]}',
            ": images[0] has no 'file_name'",
        ),
        (
            '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}',
            ": its list of images is empty",
        ),
    ],
)
def test_a_broken_file_is_told(tmp_path: Path, content: str, told: str) -> None:
    file = text(tmp_path / "instances_val.json", content)
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert str(caught.value).startswith(f"{file}{told}")


def test_pictures_that_are_missing_empty_or_of_another_size(tmp_path: Path) -> None:
    file = coco(tmp_path / "instances_val.json", [{"bbox": BOX}], files=["a.jpg", "b.jpg"])
    with pytest.raises(DataError, match=r"instances_val.json: picture 'a.jpg' is missing; looked"):
        open_dataset(tmp_path)
    picture(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"image 2: the picture .*b.jpg is missing"):
        open_dataset(tmp_path)
    (tmp_path / "b.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"b.jpg: the file has zero bytes"):
        open_dataset(tmp_path)
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"b.jpg: the file cannot be decoded as a picture"):
        open_dataset(tmp_path)
    picture(tmp_path / "b.jpg", (48, 64))
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert str(caught.value) == f"{file}: image 2: b.jpg is 48x64, not 64x48"


def test_a_set_without_any_box_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    coco(tmp_path / "instances_val.json", [])
    with pytest.raises(DataError, match=r"none of its 1 pictures has a box"):
        open_dataset(tmp_path)
