"""Each form of labels, read back by livevision and by others' tools."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import supervision as sv
from faster_coco_eval import COCO

from livevision.datasets.opening import kinds_of, open_dataset
from livevision.labelling.runner import Wishes, label
from tests.labelling.making import Finder, pictures
from tests.training import small_data

Boxes = dict[str, list[tuple[str, list[float]]]]


def made(root: Path, form: str, **wishes: Any) -> tuple[Path, dict[str, Any]]:
    """A data set of three pictures, and where the thing in each of them is."""
    truth = pictures(root / "pictures")
    out = root / form
    told = label([Finder()], str(root / "pictures"), out, Wishes(form, **wishes), False)  # type: ignore[list-item]
    assert (told.pictures, told.before, told.objects) == (3, 0, 3)
    return out, truth


def check(found: Boxes, truth: dict[str, Any]) -> None:
    """The classes are the same, and corners lie within a pixel."""
    assert found.keys() == truth.keys()
    for name, box in truth.items():
        ((called, corners),) = found[name]
        assert called == "plate"
        assert np.abs(np.subtract(corners, box)).max() <= 1


def of_supervision(data: sv.DetectionDataset) -> Boxes:
    return {
        Path(path).name: [
            (data.classes[int(c)], box.tolist())
            for box, c in zip(found.xyxy, found.class_id, strict=True)  # type: ignore[arg-type]
        ]
        for path, found in data.annotations.items()
    }


@pytest.mark.parametrize("form", ["coco", "yolo", "voc"])
def test_boxes_are_read_by_livevision(tmp_path: Path, form: str) -> None:
    out, truth = made(tmp_path, form)
    assert kinds_of(out) == ["detect"]
    data = open_dataset(out, default_split="train")
    assert data.labels == ["background", "plate", "lid"]
    found = {
        s.path.name: [(data.labels[c], b.tolist()) for c, b in zip(s.classes, s.boxes, strict=True)]
        for s in data.samples
    }
    check(found, truth)
    assert [s.read().shape for s in data.samples] == [(64, 96, 3)] * 3


@pytest.mark.parametrize("form", ["coco", "yolo", "voc"])
def test_boxes_are_read_by_supervision(tmp_path: Path, form: str) -> None:
    out, truth = made(tmp_path, form)
    if form == "coco":
        file = out / "annotations" / "instances_train.json"
        data = sv.DetectionDataset.from_coco(str(out / "images" / "train"), str(file))
    elif form == "yolo":
        folders = [str(out / kind / "train") for kind in ("images", "labels")]
        data = sv.DetectionDataset.from_yolo(*folders, str(out / "data.yaml"))
    else:
        folders = [str(out / kind) for kind in ("JPEGImages", "Annotations")]
        data = sv.DetectionDataset.from_pascal_voc(*folders)
    check(of_supervision(data), truth)


def test_cvat_tells_labels_and_corners(tmp_path: Path) -> None:
    out, truth = made(tmp_path, "cvat")
    root = ElementTree.parse(out / "annotations.xml").getroot()
    assert root.findtext("version") == "1.1"
    names = [e.text for e in root.iterfind("meta/task/labels/label/name")]
    assert names == ["background", "plate", "lid"]
    found: Boxes = {}
    for image in root.iterfind("image"):
        assert (out / "images" / image.attrib["name"]).is_file()
        assert (image.attrib["width"], image.attrib["height"]) == ("96", "64")
        found[image.attrib["name"]] = [
            (b.attrib["label"], [float(b.attrib[k]) for k in ("xtl", "ytl", "xbr", "ybr")])
            for b in image.iterfind("box")
        ]
    check(found, truth)


def test_scores_and_unsure_boxes_reach_training_and_others(tmp_path: Path) -> None:
    out, truth = made(tmp_path, "coco", soft=True, unsure=0.1, classes=("plate", "lid"))
    file = out / "annotations" / "instances_train.json"
    told = json.loads(file.read_text())
    assert [c["name"] for c in told["categories"]] == ["plate", "lid"]
    assert told["annotations"][0]["scores"] == {"1": 0.8, "2": 0.4}
    data = open_dataset(out, default_split="train")
    for sample in data.samples:
        assert sample.crowd.tolist() == [False, True]
        assert sample.shares[0] == pytest.approx([2 / 3, 1 / 3])
        assert sample.boxes[1].tolist() == [0, 0, 4, 3]
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = COCO(str(file))
    sure = theirs.loadAnns(theirs.getAnnIds(iscrowd=False))
    names = {i["id"]: i["file_name"] for i in theirs.dataset["images"]}
    found = {
        names[a["image_id"]]: [("plate", [*a["bbox"][:2], *np.add(a["bbox"][:2], a["bbox"][2:])])]
        for a in sure
    }
    check(found, truth)


def test_class_maps_are_read_by_livevision(tmp_path: Path) -> None:
    truth = pictures(tmp_path / "pictures")
    out = tmp_path / "maps"
    label([Finder("segment")], str(tmp_path / "pictures"), out, Wishes(flip=True), False)  # type: ignore[list-item]
    assert kinds_of(out) == ["segment"]
    data = open_dataset(out, kind="segment", default_split="train")
    assert data.labels == ["background", "plate", "lid"]
    for sample in data.samples:
        x1, y1, x2, y2 = truth[sample.path.name]
        wanted = np.zeros((small_data.HEIGHT, small_data.WIDTH), np.uint8)
        wanted[y1:y2, x1:x2] = 1
        assert (sample.read()[1] == wanted).all()


@pytest.mark.parametrize("task", ["detect", "segment"])
def test_the_contact_sheet_shows_the_labels(tmp_path: Path, task: str) -> None:
    pictures(tmp_path / "pictures")
    label([Finder(task)], str(tmp_path / "pictures"), tmp_path / "out", Wishes(), False)  # type: ignore[list-item]
    sheet = cv2.imread(str(tmp_path / "out" / "contact_sheet.png"))
    assert sheet.shape[:2] == (6 + 306, 6 + 3 * 406)
    plain, _ = small_data.drawn(0)
    first = sheet[22:288, 6:406]
    plain = cv2.resize(plain, (400, 267), interpolation=cv2.INTER_AREA)[:266]
    changed = (np.abs(first.astype(int) - plain).max(2) > 40).mean()
    assert 0.005 < changed < 0.5
