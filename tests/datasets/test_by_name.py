"""Pictures chosen by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from livevision.datasets import DataSet, open_dataset
from livevision.errors import DataError, UsageError
from tests.datasets import making

PLACES = ("day/one_1", "day/one_2", "day/two_1", "night/one_3", "night/two_2")


def _taken(root: Path, *patterns: str) -> list[str]:
    opened: DataSet = open_dataset({"path": str(root), "files": patterns}, kind="classify")
    assert opened.labels == ["day", "night"]
    return [s.path.relative_to(root).with_suffix("").as_posix() for s in opened.samples]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in PLACES:
        making.picture(tmp_path / f"{name}.jpg", (16, 16))
    return tmp_path


def test_a_pattern_is_of_the_file_name(root: Path) -> None:
    assert _taken(root, "one_*") == ["day/one_1", "day/one_2", "night/one_3"]
    assert _taken(root, "two_*", "one_2.jpg") == ["day/one_2", "day/two_1", "night/two_2"]
    assert _taken(root) == list(PLACES)


def test_one_with_a_slash_is_of_the_path(root: Path) -> None:
    assert _taken(root, "night/*") == ["night/one_3", "night/two_2"]
    assert _taken(root, "day/one_[2-9].jpg") == ["day/one_2"]


def test_a_pattern_that_nothing_fits_is_told(root: Path) -> None:
    with pytest.raises(DataError, match=r"none of its 5 pictures, such as day/one_1.jpg, fits"):
        _taken(root, "one_*", "three_*")
    with pytest.raises(UsageError, match=r"files takes a list, such as \[one_\*\]"):
        open_dataset({"path": str(root), "files": "one_*"}, kind="classify")


def test_parts_are_made_of_what_was_chosen(root: Path) -> None:
    train, val = (
        open_dataset({"path": str(root), "files": ["one_*"], "part": part}, kind="classify")
        for part in ("train", "val")
    )
    assert sorted(s.path.stem for s in (*train.samples, *val.samples)) == [
        "one_1", "one_2", "one_3",
    ]  # fmt: skip
