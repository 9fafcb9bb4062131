"""Labelling from source to folder: what is taken, left out, refused and gone on with."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import livevision
from livevision.datasets import ClassMapSample, open_dataset
from livevision.datasets.opening import kinds_of
from livevision.errors import LivevisionError, OutputError, SourceError, UsageError
from livevision.labelling.runner import Wishes, label
from livevision.models.logits import Logits
from tests.clips import make_clip
from tests.labelling.making import Finder, pictures
from tests.models.foreign import making


def go(source: Path, out: Path, model: Any = None, **wishes: Any) -> Any:
    return label([model or Finder()], str(source), out, Wishes(**wishes), False)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_passes_of_a_turned_picture_are_fused(tmp_path: Path) -> None:
    pictures(tmp_path / "in")
    turned = Finder()
    go(tmp_path / "in", tmp_path / "plain", form="yolo")
    go(tmp_path / "in", tmp_path / "turned", turned, form="yolo", flip=True)
    assert turned.calls == 6
    for file in sorted((tmp_path / "plain" / "labels" / "train").iterdir()):
        mine = np.loadtxt(tmp_path / "turned" / "labels" / "train" / file.name)
        assert mine == pytest.approx(np.loadtxt(file), abs=1e-5)


def test_a_run_goes_on_and_makes_the_same(tmp_path: Path) -> None:
    pictures(tmp_path / "in", 6)
    whole, cut, model = tmp_path / "whole", tmp_path / "cut", Finder()
    go(tmp_path / "in", whole, form="coco", flip=True)
    shutil.copytree(whole, cut)
    # As a kill leaves it: three pictures noted, the fourth line cut off, a picture half written,
    # no labels; and a picture of those noted is gone.
    journal = cut / "labels.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:4]) + lines[4][:30])
    shutil.rmtree(cut / "annotations")
    (cut / "contact_sheet.png").unlink()
    kept = sorted((cut / "images" / "train").iterdir())
    for path in (kept[1], *kept[3:]):
        path.unlink()
    (cut / "images" / "train" / f"{kept[3].name}.part").write_bytes(b"half")
    told = go(tmp_path / "in", cut, model, form="coco", flip=True)
    assert (told.pictures, told.before, model.calls) == (6, 2, 8)
    mine, theirs = contents(cut), contents(whole)
    mine.pop("labels.jsonl")
    theirs.pop("labels.jsonl")
    assert mine == theirs
    assert go(tmp_path / "in", cut, model, form="coco", flip=True).before == 6
    assert model.calls == 8


def test_other_settings_or_a_folder_of_something_else_are_refused(tmp_path: Path) -> None:
    pictures(tmp_path / "in")
    go(tmp_path / "in", tmp_path / "out", conf=0.3)
    with pytest.raises(UsageError, match=r"was begun with conf 0\.3, not 0\.5"):
        go(tmp_path / "in", tmp_path / "out", conf=0.5)
    with pytest.raises(OutputError, match="holds something else"):
        go(tmp_path / "in" / "0 a.png", tmp_path / "in")
    with pytest.raises(OutputError, match="is a file"):
        go(tmp_path / "in", tmp_path / "in" / "0 a.png")


def test_names_that_would_meet_are_kept_apart(tmp_path: Path) -> None:
    pictures(tmp_path / "in", 2)
    image = cv2.imread(str(tmp_path / "in" / "0 a.png"))
    for name in ("same.png", "same.jpg", "Same.bmp", "deep_1 a.png"):
        cv2.imwrite(str(tmp_path / "in" / name), image)
    go(tmp_path / "in", tmp_path / "in" / "out", form="voc")  # its own pictures are left out
    ids = (tmp_path / "in" / "out" / "ImageSets" / "Main" / "train.txt").read_text().split()
    assert len({i.lower() for i in ids}) == 6
    assert go(tmp_path / "in", tmp_path / "in" / "out", form="voc").before == 6


def test_broken_pictures_are_told_when_all_others_are_labelled(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pictures(tmp_path / "in")
    (tmp_path / "in" / "bad.jpg").write_bytes(b"no picture")
    with caplog.at_level(logging.WARNING), pytest.raises(SourceError, match="1 pictures of"):
        go(tmp_path / "in", tmp_path / "out", form="yolo")
    assert len(list((tmp_path / "out" / "labels" / "train").iterdir())) == 3
    assert "bad.jpg" in caplog.text


def test_of_a_video_every_so_manieth_frame_is_taken(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a clip.mp4", frames=25)
    told = go(clip.path, tmp_path / "out", Finder("segment"), every=10)
    names = sorted(p.name for p in (tmp_path / "out" / "images" / "train").iterdir())
    assert names == ["a_clip_000000.jpg", "a_clip_000010.jpg", "a_clip_000020.jpg"]
    assert told.pictures == 3


def test_pictures_are_linked_where_asked(tmp_path: Path) -> None:
    pictures(tmp_path / "in")
    go(tmp_path / "in", tmp_path / "copied")
    go(tmp_path / "in", tmp_path / "linked", link=True)
    mine = tmp_path / "in" / "0 a.png"
    assert not (tmp_path / "copied" / "images" / "train" / "0_a.png").samefile(mine)
    assert (tmp_path / "linked" / "images" / "train" / "0_a.png").samefile(mine)


@pytest.mark.parametrize(
    ("task", "wishes", "said"),
    [
        ("classify", {}, "label needs a detector or a segmenter"),
        ("segment", {"form": "yolo"}, "holds boxes, and model finder gives class maps"),
        ("segment", {"classes": ("lid",)}, "--classes is for boxes"),
        ("detect", {"form": "masks"}, "holds class maps"),
        ("detect", {"form": "kitti"}, "unknown format 'kitti'"),
        ("detect", {"form": "yolo", "soft": True}, "--soft is for --format coco and masks"),
        ("detect", {"form": "voc", "unsure": 0.1}, "--unsure is for --format coco"),
        ("detect", {"unsure": 0.3}, "below conf, 0.25"),
        ("detect", {"conf": 1.5}, "from 0 to 1"),
        ("detect", {"every": 0}, "1 or more"),
        ("detect", {"classes": ("cup",)}, "unknown class 'cup'"),
    ],
)
def test_what_does_not_fit_is_said_in_a_line(
    tmp_path: Path, task: str, wishes: dict[str, Any], said: str
) -> None:
    pictures(tmp_path / "in", 1)
    with pytest.raises(UsageError) as raised:
        go(tmp_path / "in", tmp_path / "out", Finder(task), **wishes)
    assert said in str(raised.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("source", ["nowhere", "empty", "webcam"])
def test_sources_without_pictures_are_refused(tmp_path: Path, source: str) -> None:
    (tmp_path / "empty").mkdir()
    given = source if source == "webcam" else str(tmp_path / source)
    with pytest.raises(LivevisionError):
        label([Finder()], given, tmp_path / "out", Wishes(), False)  # type: ignore[list-item]
    assert not (tmp_path / "out").exists()


def test_scores_are_kept_beside_class_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pictures(tmp_path / "in")
    path = making.segmenter(tmp_path / "theirs.onnx", (1, 3, 64, 64))
    out, plain = tmp_path / "out", tmp_path / "plain"
    with livevision.load(path, "onnx") as model:
        go(tmp_path / "in", plain, model, soft=True)
        go(tmp_path / "in", out, model, soft=True, flip=True)
        scores = Logits(model)
        for picture in sorted((out / "images" / "train").iterdir()):
            image = np.asarray(cv2.imread(str(picture)), np.uint8)
            kept = np.load(plain / "logits" / "train" / f"{picture.stem}.npz")["logits"]
            assert (kept.dtype, kept.shape) == (np.float16, (3, 32, 32))
            assert kept == pytest.approx(scores(image), abs=5e-3)
            both = np.load(out / "logits" / "train" / f"{picture.stem}.npz")["logits"]
            turned = scores(np.ascontiguousarray(image[:, ::-1]))[:, :, ::-1]
            assert both == pytest.approx((scores(image) + turned) / 2, abs=5e-3)
        scores.close()
        whole = contents(out)
        lost = sorted((out / "logits" / "train").iterdir())[1]
        lost.unlink()
        told = go(tmp_path / "in", out, model, soft=True, flip=True)
    assert (told.pictures, told.before) == (3, 2)
    assert {k: v for k, v in contents(out).items() if k != "labels.jsonl"} == {
        k: v for k, v in whole.items() if k != "labels.jsonl"
    }
    assert kinds_of(out) == ["segment"]
    # Training reads them, by the names of the classes.
    entry = {"path": str(out), "split": "train"}
    for sample in open_dataset(entry, kind="segment", labels=["c", "a", "b"]).samples:
        assert isinstance(sample, ClassMapSample)
        assert sample.soft is not None
        kept = np.load(out / "logits" / "train" / f"{sample.path.stem}.npz")["logits"]
        assert np.array_equal(sample.soft.read(3)[..., [1, 2, 0]], kept.transpose(1, 2, 0))
