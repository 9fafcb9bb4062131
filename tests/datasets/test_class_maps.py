"""Pictures with index PNGs: layouts, palettes, void, and what is broken told by file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from livevision.datasets import IGNORED, ClassMapSample, DataSet, open_dataset
from livevision.errors import DataError, UsageError
from tests.datasets.making import SIZE, coco, picture, png, text

LABELS = ["road", "car", "sky"]


def values(*first: int) -> Any:
    """Class 0 all over, but for the first pixels of the first row."""
    array = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    array[0, : len(first)] = first
    return array


def opened(root: Path, labels: list[str] | None = LABELS, **changes: Any) -> DataSet:
    return open_dataset({"path": str(root), **changes}, kind="segment", labels=labels)


def row(data: DataSet, count: int) -> list[int]:
    """The first labels of the first row of the first picture."""
    sample = data.samples[0]
    assert isinstance(sample, ClassMapSample)
    image, labels = sample.read()
    assert image.shape == (*labels.shape, 3)
    assert labels.dtype == np.uint8
    return [int(v) for v in labels[0, :count]]


def small(root: Path, stored: Any, folder: str = "labels/val") -> Path:
    picture(root / "images" / "val" / "a.jpg")
    return png(root / folder / "a.png", stored)


def test_every_value_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    small(tmp_path, values(2, 1, 0, 3, 255))
    with caplog.at_level("INFO"):
        data = opened(tmp_path)
    assert "3, the number after the last of 3 classes, counts as void" in caplog.text
    assert (data.kind, data.labels, data.marked) == ("segment", LABELS, {0, 1, 2})
    # The number after the last class is void, as 255 is.
    assert row(data, 6) == [2, 1, 0, IGNORED, IGNORED, 0]


def test_the_indices_of_a_palette_count_and_not_its_colours(tmp_path: Path) -> None:
    path = small(tmp_path, values())
    image = Image.fromarray(values(2, 1, 255), "P")
    image.putpalette([v for i in range(256) for v in (255 - i, i, 7)])
    image.save(path)
    assert Image.open(path).mode == "P"
    assert row(opened(tmp_path), 4) == [2, 1, IGNORED, 0]


def test_one_bit_and_grey_written_as_colours(tmp_path: Path) -> None:
    path = small(tmp_path, values())
    Image.fromarray(values(1, 0, 1).astype(bool)).save(path)
    assert row(opened(tmp_path), 3) == [1, 0, 1]
    png(path, np.dstack([values(2, 1)] * 3))
    assert row(opened(tmp_path), 3) == [2, 1, 0]


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/val/a.jpg", "labels/val/a.png"),
        ("images/val/a.jpg", "masks/val/a.png"),
        ("images/validation/a.jpg", "annotations/validation/a.png"),
        ("val/images/a.png", "val/masks/a.png"),
        ("images/a.jpg", "masks/a.png"),
        ("JPEGImages/a.jpg", "SegmentationClass/a.png"),
    ],
)
def test_the_usual_places(tmp_path: Path, image: str, label: str) -> None:
    path = picture(tmp_path / image)
    png(tmp_path / label, values(1))
    sample = opened(tmp_path).samples[0]
    assert isinstance(sample, ClassMapSample)
    assert (sample.path, sample.label_path) == (path, tmp_path / label)


@pytest.mark.parametrize(
    "listing", ["ImageSets/Segmentation/val.txt", "val.txt", "instances_val.json"]
)
def test_splits_as_lists(tmp_path: Path, listing: str) -> None:
    for name in "abc":
        picture(tmp_path / "JPEGImages" / f"{name}.jpg")
        png(tmp_path / "SegmentationClass" / f"{name}.png", values(1))
    picture(tmp_path / "JPEGImages" / "unlabelled.jpg")
    if listing.endswith(".json"):
        coco(tmp_path / listing, [], files=["c.jpg", "a.jpg"])
    else:
        text(tmp_path / listing, "c\na\n")
    assert [s.path.stem for s in opened(tmp_path, split="val").samples] == ["c", "a"]
    if listing.endswith(".txt"):
        text(tmp_path / listing, "c\nd\n")
        with pytest.raises(DataError) as caught:
            opened(tmp_path)
        missing = tmp_path / "JPEGImages" / "d"
        assert str(caught.value) == f"{tmp_path / listing}:2: the picture {missing} is missing"


def test_names_lead_numbers_to_the_labels_of_another_table(tmp_path: Path) -> None:
    small(tmp_path, values(0, 1, 2, 3))
    text(tmp_path / "classes.txt", "0 background\n1 person\n2 dog\n")
    person = ["nothing", "person"]
    data = opened(tmp_path, person, rename={"others": "nothing"})
    assert row(data, 4) == [0, 1, 0, IGNORED]
    data = opened(tmp_path, person, rename={"background": "nothing"}, ignore=["dog"])
    assert row(data, 4) == [0, 1, IGNORED, IGNORED]
    data = opened(tmp_path, ["sky", "person"], ignore="others")
    assert row(data, 4) == [IGNORED, 1, IGNORED, IGNORED]
    assert data.marked == {1}
    yaml = text(tmp_path / "data.yaml", "names: {0: background, 1: person, 2: cow}\n")
    (tmp_path / "classes.txt").unlink()
    assert opened(yaml, None).labels == ["background", "person", "cow"]
    data = opened(tmp_path, None, names=["a", "b", "c"])
    assert (data.labels, row(data, 4)) == (["a", "b", "c"], [0, 1, 2, IGNORED])


def test_values_without_a_name_can_be_renamed_and_ignored(tmp_path: Path) -> None:
    small(tmp_path, values(0, 255, 7))
    with pytest.raises(DataError, match=r"pixel \(2, 0\) has the value 7, which is none"):
        opened(tmp_path, ["no", "yes"])
    data = opened(tmp_path, ["no", "yes"], rename={"255": "yes"}, ignore=["7"])
    assert row(data, 3) == [0, 1, IGNORED]


def test_a_mask_of_0_and_255_is_not_taken_for_void(tmp_path: Path) -> None:
    small(tmp_path, values(0, 255))
    with pytest.raises(DataError, match=r"only 0 and 255.*rename: {255: yes}"):
        opened(tmp_path, ["no", "yes"])


def test_broken_labels_are_told(tmp_path: Path) -> None:
    path = small(tmp_path, values(4))
    with pytest.raises(DataError) as caught:
        opened(tmp_path)
    assert str(caught.value) == (
        f"{path}: pixel (0, 0) has the value 4, which is none of the classes: 0..3, 255; "
        "ignore: [4] makes it void"
    )
    png(path, np.zeros((9, 9), np.uint8))
    with pytest.raises(DataError) as caught:
        opened(tmp_path)
    assert str(caught.value) == f"{path}: is 9x9, and its picture a.jpg 64x48"
    png(path, np.dstack([values(1), values(2), values(0)]))
    with pytest.raises(DataError, match=r"a.png: is a picture in colour \(RGB\); labels are class"):
        opened(tmp_path)
    Image.fromarray(values().astype(np.uint16) + 300).save(path)
    with pytest.raises(DataError, match=r"a.png: has class numbers up to 300; 0..255"):
        opened(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"a.png: the file has zero bytes"):
        opened(tmp_path)
    path.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"a.png: cannot be decoded"):
        opened(tmp_path)
    png(path, values(255) | 255)
    with pytest.raises(DataError, match=r"all pixels are void"):
        opened(tmp_path)


def test_a_truncated_file_is_told(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 3, (SIZE[1], SIZE[0]))
    path = small(tmp_path, noise)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"a.png: cannot be decoded"):
        opened(tmp_path)


def test_pictures_and_labels_without_each_other(tmp_path: Path) -> None:
    path = small(tmp_path, values(1))
    extra = picture(tmp_path / "images" / "val" / "b.jpg")
    with pytest.raises(DataError) as caught:
        opened(tmp_path)
    assert str(caught.value) == f"{extra}: its labels {path.parent / 'b.png'} are missing"
    extra.unlink()
    orphan = png(path.parent / "c.png", values(1))
    with pytest.raises(DataError) as caught:
        opened(tmp_path)
    assert str(caught.value) == f"{orphan}: its picture in {tmp_path / 'images/val'} is missing"
    orphan.unlink()
    (tmp_path / "images" / "val" / "a.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"a.jpg: the file has zero bytes"):
        opened(tmp_path)


def test_one_class_is_no_table(tmp_path: Path) -> None:
    small(tmp_path, values(1))
    with pytest.raises(UsageError, match=r"is 'road'; segmentation needs two"):
        opened(tmp_path, ["road"])


def test_without_names_the_table_is_asked_for(tmp_path: Path) -> None:
    small(tmp_path, values(1))
    with pytest.raises(UsageError, match=r"write them to .*classes.txt, one a line"):
        opened(tmp_path, None)
    text(tmp_path / "classes.txt", "0 road\n2 car\n")
    with pytest.raises(DataError, match=r"classes.txt:2: '2 car': number 1 is expected here"):
        opened(tmp_path)


# Coarse classes ----------------------------------------------------------------------------------


def test_a_coarse_class_is_any_of_several_labels(tmp_path: Path) -> None:
    small(tmp_path, values(1, 2, 0, 255))
    data = opened(
        tmp_path, names=["ground", "thing", "sky"], coarse={"ground": ["road"], "thing": ["car"]}
    )
    assert data.coarse == {"ground": {0}, "thing": {1}}
    assert (data.labels, data.marked) == (LABELS, {0, 1, 2})
    assert row(data, 4) == [4, 2, 3, IGNORED]


def test_a_coarse_class_takes_the_other_name_of_a_label(tmp_path: Path) -> None:
    small(tmp_path, values(1))
    given = {"names": ["rest", "seat"], "coarse": {"seat": ["sofa", "chair"]}, "ignore": ["rest"]}
    assert opened(tmp_path, ["road", "couch", "chair"], **given).coarse == {"seat": {1, 2}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"coarse": {"thing": ["lorry"]}}, "coarse 'thing': unknown label 'lorry'"),
        ({"coarse": {"thing": []}}, "names none of the model's classes"),
        ({"coarse": {"thnig": ["car"]}}, "coarse: unknown class 'thnig'. Did you mean 'thing'"),
        ({"coarse": {"thing": ["car"]}, "ignore": ["thing"]}, "two of rename, coarse and ignore"),
        ({"coarse": ["thing"]}, "coarse takes {theirs: [ours, ours]}"),
        ({"coarse": {"thing": "car"}}, "thing takes a list, such as [car]"),
    ],
)
def test_coarse_classes_that_do_not_fit(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    small(tmp_path, values(1))
    with pytest.raises(UsageError) as refused:
        opened(tmp_path, names=["road", "thing", "sky"], **changes)
    assert words in str(refused.value)


def test_coarse_classes_are_for_class_maps(tmp_path: Path) -> None:
    entry = {"path": str(tmp_path), "coarse": {"a": ["b"]}}
    with pytest.raises(UsageError, match="coarse classes are for class maps"):
        open_dataset(entry, kind="detect", labels=["b"])
