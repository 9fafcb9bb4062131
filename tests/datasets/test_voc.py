"""Pascal VOC's form: every value read, and errors with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from livevision.datasets import BoxSample, open_dataset
from livevision.errors import DataError
from tests.datasets.making import picture, text, voc, voc_object


def small(root: Path, *objects: str) -> Path:
    """One picture with its XML, in the official folders; gives the XML."""
    picture(root / "JPEGImages" / "a.jpg")
    text(root / "ImageSets" / "Main" / "val.txt", "a\n")
    text(root / "ImageSets" / "Main" / "cat_val.txt", "a 1\n")
    return voc(root / "Annotations" / "a.xml", *(objects or (voc_object(),)))


def first(root: Path) -> BoxSample:
    sample = open_dataset(root).samples[0]
    assert isinstance(sample, BoxSample)
    return sample


def test_every_value_is_read(tmp_path: Path) -> None:
    part = voc_object("dog", (3, 4, 64, 48), difficult=1).replace(
        "</object>", "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>"
    )
    small(tmp_path, voc_object("cat", (1, 1, 10, 10)), part)
    data = open_dataset(tmp_path)
    assert (data.kind, data.labels, data.marked) == ("detect", ["cat", "dog"], {0, 1})
    sample = first(tmp_path)
    # The files count pixels from 1, and the last pixel belongs to the box.
    assert sample.boxes.tolist() == [[0, 0, 10, 10], [2, 3, 64, 48]]
    assert sample.classes.tolist() == [0, 1]
    assert sample.difficult.tolist() == [False, True]
    assert not sample.crowd.any()
    assert (sample.width, sample.height) == (64, 48)


def test_a_table_of_classes_gives_the_order(tmp_path: Path) -> None:
    small(tmp_path)
    text(tmp_path / "classes.txt", "dog\ncat\nsheep\n")
    data = open_dataset(tmp_path)
    assert (data.labels, data.marked) == (["dog", "cat", "sheep"], {0, 1, 2})
    assert first(tmp_path).classes.tolist() == [1]


@pytest.mark.parametrize(
    ("xml", "image"),
    [
        ("val/a.xml", "val/a.jpg"),
        ("val/annotations/a.xml", "val/images/a.jpg"),
        ("annotations/val/a.xml", "images/val/a.jpg"),
        ("Annotations/a.xml", "JPEGImages/a.jpg"),
        ("annotations/a.xml", "images/a.png"),
        ("a.xml", "a.jpg"),
    ],
)
def test_the_usual_places(tmp_path: Path, xml: str, image: str) -> None:
    path = picture(tmp_path / image)
    voc(tmp_path / xml, voc_object())
    assert first(tmp_path).path == path


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (voc_object(box=(5, 5, 2, 9)), "7: the box is -2 wide and 5 high; neither may be negative"),
        (voc_object(box=(5, 5, 90, 9)), "7: the box 4 4 90 9 (x1 y1 x2 y2 in pixels) reaches"),
        (voc_object(box=(5, 5, "wide", 9)), "7: xmax is 'wide', not a number"),
        (voc_object(box=(5, 5, "nan", 9)), "7: the box 4 4 nan 9 contains something not a number"),
        (voc_object().replace("<xmin>1</xmin>", ""), "7: bndbox has no xmin"),
        ("<object>\n<name>cat</name></object>\n", "4: the object 'cat' has no bndbox"),
        (voc_object(name=""), "4: the object has no name"),
        ("<object>", "4: is not XML: mismatched tag"),
    ],
)
def test_a_broken_object_is_told_with_its_line(tmp_path: Path, content: str, told: str) -> None:
    file = small(tmp_path, content)
    text(tmp_path / "classes.txt", "cat\n")
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert str(caught.value).startswith(f"{file}:{told}")
    assert "\n" not in str(caught.value)


def test_what_does_not_belong_together_is_told(tmp_path: Path) -> None:
    file = small(tmp_path, voc_object("cow"))
    text(tmp_path / "classes.txt", "cat\n")
    with pytest.raises(DataError, match=r"a.xml:4: the class 'cow' is not in classes.txt"):
        open_dataset(tmp_path)
    picture(tmp_path / "JPEGImages" / "a.jpg", (32, 32))
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert str(caught.value) == f"{file}:3: a.jpg is 32x32, not 64x48"
    (tmp_path / "JPEGImages" / "a.jpg").unlink()
    with pytest.raises(DataError, match=r"a.xml: its picture 'a.jpg' is missing"):
        open_dataset(tmp_path)
    text(tmp_path / "ImageSets" / "Main" / "val.txt", "a\nb\n")
    with pytest.raises(DataError, match=r"val.txt:2: the annotation .*b.xml is missing"):
        open_dataset(tmp_path)
