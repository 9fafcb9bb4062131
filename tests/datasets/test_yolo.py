"""YOLO's form: every value read, splits as folders and lists, and errors with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from livevision.datasets import BoxSample, open_dataset
from livevision.errors import DataError, UsageError
from tests.datasets.making import picture, text

YAML = "path: .\ntrain: images/train\nval: images/val\nnames: [cat, dog]\n"


def small(root: Path, lines: str = "0 0.5 0.5 0.5 0.5\n", yaml: str = YAML) -> Path:
    """One picture and its labels; gives the label file."""
    text(root / "data.yaml", yaml)
    picture(root / "images" / "val" / "a.jpg")
    return text(root / "labels" / "val" / "a.txt", lines)


def boxes(root: Path, split: str | None = None) -> list[BoxSample]:
    samples = open_dataset({"path": str(root), "split": split}).samples
    return [s for s in samples if isinstance(s, BoxSample)]


def test_every_value_is_read(tmp_path: Path) -> None:
    small(tmp_path, "1 0.5 0.5 0.5 0.25\n\n0 0.1 0.2 0.9 0.2 0.5 0.75\n")
    picture(tmp_path / "images" / "val" / "b.jpg")
    data = open_dataset(tmp_path)
    assert (data.kind, data.labels, data.marked) == ("detect", ["cat", "dog"], {0, 1})
    first, second = boxes(tmp_path)
    assert first.boxes[0].tolist() == pytest.approx([16, 18, 48, 30])
    assert first.boxes[1].tolist() == pytest.approx([6.4, 9.6, 57.6, 36])  # around the polygon
    assert first.classes.tolist() == [1, 0]
    assert not first.difficult.any()
    assert second.boxes.shape == (0, 4)  # no label file: nothing to see


@pytest.mark.parametrize(
    ("yaml", "folder"),
    [
        ("val: ../valid/images\nnames: {0: cat, 1: dog}\nnc: 2\n", "valid/images"),
        ("path: /datasets/gone\nval: images/val\nnames: [cat, dog]\n", "images/val"),
        ("path: inner\nval: [images/val]\nnames: [cat, dog]\n", "inner/images/val"),
        ("val: valid\nnames: [cat, dog]\n", "valid/images"),
    ],
)
def test_the_usual_places(tmp_path: Path, yaml: str, folder: str) -> None:
    text(tmp_path / "data.yaml", yaml)
    path = picture(tmp_path / folder / "a.jpg")
    text(tmp_path / folder.replace("images", "labels") / "a.txt", "0 0.5 0.5 0.5 0.5")
    assert [s.path for s in boxes(tmp_path)] == [path]
    assert [s.path for s in boxes(tmp_path / "data.yaml")] == [path]


def test_a_split_as_a_list(tmp_path: Path) -> None:
    small(tmp_path)
    yaml = "val: val.txt\ntest: [images/val, val.txt]\nnames: [cat, dog]\n"
    text(tmp_path / "data.yaml", yaml)
    listed = text(tmp_path / "val.txt", "./images/val/a.jpg\n\n")
    assert len(boxes(tmp_path)) == 1
    assert len(boxes(tmp_path, "test")) == 1  # named twice, there once
    text(tmp_path / "val.txt", "./images/val/a.jpg\nimages/val/b.jpg\n")
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert str(caught.value) == f"{listed}:2: the picture 'images/val/b.jpg' is missing"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("2 0.5 0.5 0.5 0.5", "class 2; data.yaml names 2, 0..1"),
        ("-1 0.5 0.5 0.5 0.5", "class -1; data.yaml names 2, 0..1"),
        ("0.5 0.5 0.5 0.5 0.5", "class 0.5; data.yaml names 2, 0..1"),
        ("0 0.5 0.5 0.5", "4 numbers; a line takes 5 (class, x, y, width, height), or a class"),
        ("0 0.5 0.5 0.5 0.5 0.9", "6 numbers; a line takes 5"),
        ("0 0.1 0.2 0.3 0.4 0.5 0.6 0.7", "8 numbers; a line takes 5"),
        ("0 x 0.5 0.5 0.5", "'0 x 0.5 0.5 0.5' contains something not a number"),
        ("0 nan 0.5 0.5 0.5", "the box nan 12 nan 36 contains something not a number"),
        ("0 0.5 0.5 -0.5 0.5", "the box is -32 wide and 24 high; neither may be negative"),
        ("0 0.9 0.5 0.5 0.5", "the box 41.6 12 73.6 36 (x1 y1 x2 y2 in pixels) reaches outside"),
        ("0 32 24 16 12", "32 is not in 0..1; positions are shares of the picture"),
    ],
)
def test_a_broken_line_is_told(tmp_path: Path, line: str, told: str) -> None:
    file = small(tmp_path, f"0 0.5 0.5 0.5 0.5\n{line}\n")
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert str(caught.value).startswith(f"{file}:2: {told}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("yaml", "told"),
    [
        ("val: images/val\nnames: [cat\n", "data.yaml:3: "),
        ("val: images/val\nnames: {0: cat, 2: dog}\n", "data.yaml: names: the numbers [0, 2]"),
        ("val: images/val\nnames: [cat]\nnc: 2\n", "data.yaml: nc is 2, and there are 1 names"),
        ("val: images/none\nnames: [cat]\n", "data.yaml: 'images/none': there is neither a folder"),
        ("val: 3\nnames: [cat]\n", "data.yaml: val: 3 is neither a path nor a list"),
    ],
)
def test_a_broken_yaml_is_told(tmp_path: Path, yaml: str, told: str) -> None:
    small(tmp_path, yaml=yaml)
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/{told}")


def test_missing_labels_and_pictures(tmp_path: Path) -> None:
    file = small(tmp_path)
    file.unlink()
    with pytest.raises(DataError, match=r"none of 1 pictures has labels; those of .*a.jpg would"):
        open_dataset(tmp_path)
    (tmp_path / "images" / "val" / "a.jpg").unlink()
    with pytest.raises(DataError, match=r"val: images/val: no pictures there"):
        open_dataset(tmp_path)


def test_a_split_that_is_not_there(tmp_path: Path) -> None:
    small(tmp_path)
    with pytest.raises(UsageError, match=r"unknown split 'test'. Known: train, val"):
        open_dataset({"path": tmp_path, "split": "test"})
