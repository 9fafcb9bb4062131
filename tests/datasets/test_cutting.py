"""Objects cut out by polygons, run lengths and class maps; and the command that writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from livevision import cli
from livevision.datasets.cutouts import open_cutouts
from livevision.datasets.cutting import Wishes, cut_out, cuts
from livevision.errors import DataError, UsageError
from tests.datasets.making import coco, png, text

SIZE = (200, 150)
SMALL = Wishes(smallest=20, longest=160)


def scene(path: Path, *boxes: tuple[int, int, int, int]) -> None:
    """A green picture with blue rectangles, stored without loss."""
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    image[..., 1] = 200
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = (220, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def corners(x1: int, y1: int, x2: int, y2: int) -> list[list[int]]:
    return [[x1, y1, x2, y1, x2, y2, x1, y2]]


def annotation(box: tuple[int, int, int, int], segmentation: Any, **more: Any) -> dict[str, Any]:
    x1, y1, x2, y2 = box
    return {"bbox": [x1, y1, x2 - x1, y2 - y1], "segmentation": segmentation, **more}


def run_lengths(box: tuple[int, int, int, int]) -> dict[str, Any]:
    """A rectangle as COCO's run lengths: columns from top to bottom, nothing first."""
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    flat = mask.ravel(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    return {"size": [SIZE[1], SIZE[0]], "counts": np.diff([0, *ends, flat.size]).tolist()}


A, B = (20, 30, 70, 60), (110, 20, 150, 130)


def check_is_blue(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> None:
    assert image.shape == (size[1], size[0], 4)
    opaque = image[..., 3] > 250
    assert opaque.mean() > 0.7
    assert np.abs(image[opaque][:, :3].astype(int) - (0, 0, 220)).max() < 3
    assert (image[..., 1] < 3).all()  # nothing of the background, at the edges neither


def test_polygons_and_run_lengths_are_cut_out(tmp_path: Path) -> None:
    scene(tmp_path / "images" / "a.png", A, B)
    coco(
        tmp_path / "instances_train.json",
        [
            annotation(A, corners(*A)),
            annotation(B, run_lengths(B), category_id=11),
            annotation(B, corners(*B), iscrowd=1),
        ],
        files=["a.png"],
        size=SIZE,
    )
    found = list(cuts({"path": "."}, tmp_path, Wishes((), 20, 55)))
    assert [cut.label for cut in found] == ["cat", "dog"]
    check_is_blue(found[0].image, (50, 30))
    check_is_blue(found[1].image, (20, 55))  # 40 x 110, made as small as is wished
    only = list(cuts({"path": ".", "rename": {"dog": "wolf"}}, tmp_path, Wishes(("wolf",), 20)))
    assert [cut.label for cut in only] == ["wolf"]


@pytest.mark.parametrize(
    ("segmentation", "told"),
    [
        ({"size": [9, 9], "counts": [81]}, r"its mask is of size \[9, 9\]"),
        ({"size": [150, 200], "counts": {"a": 1}}, "its segmentation cannot be read"),
        ([], "none of its annotations has a segmentation"),
    ],
    ids=["other size", "no runs", "none"],
)
def test_broken_masks_are_told(tmp_path: Path, segmentation: Any, told: str) -> None:
    scene(tmp_path / "images" / "a.png", A)
    rows = [annotation(A, segmentation)]
    coco(tmp_path / "instances_train.json", rows, files=["a.png"], size=SIZE)
    with pytest.raises(DataError, match=told):
        list(cuts({"path": "."}, tmp_path, SMALL))


def masks_of(*boxes: tuple[int, int, int, int]) -> npt.NDArray[np.bool_]:
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    for x1, y1, x2, y2 in boxes:
        mask[y1:y2, x1:x2] = True
    return mask


@pytest.mark.parametrize(
    ("boxes", "kept"),
    [
        ([A], True),
        ([(0, 30, 70, 60)], False),
        ([(20, 90, 70, 150)], False),
        ([(20, 30, 35, 45)], False),
        ([(20, 30, 45, 60), (55, 30, 80, 60)], False),
        ([(20, 30, 120, 32), (20, 30, 22, 130)], False),
        ([], False),
    ],
    ids=["whole", "at the left edge", "at the bottom", "too small", "in two", "a wire", "none"],
)
def test_only_whole_objects_are_cut_out(boxes: Any, kept: bool) -> None:
    image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    assert (cut_out(image, masks_of(*boxes), SMALL) is not None) == kept


def test_edges_are_soft() -> None:
    image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    found = cut_out(image, masks_of((20, 20, 120, 120)), SMALL)
    assert found is not None
    assert 0 < found[50, 1, 3] < 255
    assert found[50, 5, 3] == 255


def maps(root: Path) -> Path:
    """A class map of two dogs apart, and of a cat and a cat side by side."""
    one, two, touching = (10, 20, 50, 60), (70, 20, 110, 60), (120, 80, 180, 130)
    scene(root / "images" / "a.png", one, two, touching)
    labels = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    for number, (x1, y1, x2, y2) in ((2, one), (2, two), (1, touching)):
        labels[y1:y2, x1:x2] = number
    png(root / "masks" / "a.png", labels)
    text(root / "train.txt", "a\n")
    text(root / "classes.txt", "background\ncat\ndog\n")
    return root


def test_pieces_of_class_maps_are_objects(tmp_path: Path) -> None:
    found = list(cuts({"path": "."}, maps(tmp_path), SMALL))
    assert [cut.label for cut in found] == ["cat", "dog", "dog"]
    check_is_blue(found[1].image, (40, 40))


def test_void_at_the_pictures_edge_cuts_objects_off(tmp_path: Path) -> None:
    labels = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    labels[15:65, 0:55] = 255
    labels[20:60, 5:50] = 2  # it goes on to the left, below five pixels of void
    labels[20:60, 70:110] = 2
    png(maps(tmp_path) / "masks" / "a.png", labels)
    found = list(cuts({"path": "."}, tmp_path, SMALL))
    assert [(cut.label, cut.image.shape[1]) for cut in found] == [("dog", 40)]


def test_boxes_tell_which_pieces_are_one_object(tmp_path: Path) -> None:
    halves = [annotation(box, []) for box in ((120, 80, 148, 130), (150, 80, 180, 130))]
    dogs = [annotation((10, 20, 50, 60), [], category_id=11)]  # the other one has no box
    coco(maps(tmp_path) / "instances_train.json", [*halves, *dogs], files=["a.png"], size=SIZE)
    assert [cut.label for cut in cuts({"path": "."}, tmp_path, SMALL)] == ["dog"]


def test_a_class_that_is_not_there_is_told(tmp_path: Path) -> None:
    maps(tmp_path)
    with pytest.raises(UsageError, match=r"unknown class 'dgo'\. Did you mean 'dog'"):
        list(cuts({"path": "."}, tmp_path, Wishes(("dgo",))))
    text(tmp_path / "classes.txt", "background\ncup\nplate\n")
    with pytest.raises(UsageError, match="has no people, animals or vehicles"):
        list(cuts({"path": "."}, tmp_path, SMALL))


def test_the_command_writes_what_training_reads(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text(maps(tmp_path / "in") / "classes.txt", "background\ncat\nmotorbike\n")
    flags = ["cutouts", "--data", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    assert cli.main([*flags, "--smallest", "20"]) == 0
    assert "3 cut-outs (motorbike 2, cat 1)" in capfd.readouterr().out
    assert cli.main([*flags, "--smallest", "20"]) == 0  # the same files once more
    found = open_cutouts({"path": "out"}, tmp_path, ["motorcycle", "cat"])
    assert sorted(cutout.class_id for cutout in found) == [0, 0, 1]
    image = next(cutout for cutout in found if cutout.class_id == 0).read()
    assert image[20, 20].tolist() == [0, 0, 220, 255]
    assert 38 <= image.shape[0] <= 40  # cut to what can be seen
    assert cli.main([*flags, "--smallest", "20", "--classes", "dog"]) == 2
    assert "unknown class 'dog'" in capfd.readouterr().err
    assert cli.main([*flags, "--smallest", "100"]) == 3
    assert "no object of at least 100 pixels is whole" in capfd.readouterr().err
    assert cli.main([*flags, "--smallest", "200"]) == 2
    assert "--smallest 200 is more than --longest 160" in capfd.readouterr().err
