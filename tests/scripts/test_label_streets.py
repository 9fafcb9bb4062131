"""The script that labels streets: where classes are, what the truth changes, what it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from livevision.datasets import open_dataset
from livevision.datasets.soft_labels import SoftLabels

ROAD, CAR, SKY = 0, 13, 10  # as Cityscapes numbers them
HEIGHT, WIDTH = 90, 120


def by_colour(picture: np.ndarray) -> np.ndarray:
    """Logits of a teacher to whom red is road, green a car and blue sky; RGB in, 33x33x19 out."""
    small = cv2.resize(picture, (33, 33), interpolation=cv2.INTER_AREA).astype(np.float32)
    logits = np.zeros((33, 33, 19), np.float32)
    logits[..., [ROAD, CAR, SKY]] = small / 20
    return logits


def three_stripes() -> np.ndarray:
    """BGR: red at the left, green in the middle, blue at the right."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for n, channel in enumerate((2, 1, 0)):
        image[:, n * 40 : (n + 1) * 40, channel] = 255
    return image


def test_classes_lie_where_the_picture_shows_them(script: Any) -> None:
    found = script.probabilities(three_stripes()[..., ::-1], by_colour)
    assert found.shape == (HEIGHT, WIDTH, len(script.CLASSES))
    assert np.allclose(found.sum(-1), 1, atol=1e-5)
    best = found.argmax(-1)
    for n, name in enumerate(("road", "car", "sky")):
        inside = best[:, n * 40 + 3 : (n + 1) * 40 - 3]
        assert (inside == script.CLASSES.index(name)).all(), name


def test_the_truth_leaves_the_classes_that_it_allows(script: Any) -> None:
    at = script.CLASSES.index
    found = np.zeros((1, 5, len(script.CLASSES)), np.float32)
    found[..., at("car")], found[..., at("building")], found[..., at("tree")] = 0.3, 0.5, 0.2
    # road, vehicle, far (building or tree), living thing, and not marked
    kept = script.as_marked(found, np.array([[0, 3, 5, 2, 255]], np.uint8))
    assert kept[0, 0, at("road")] == 1, "a class that can be no other is the truth"
    assert kept[0, 1, at("car")] == pytest.approx(1)
    assert kept[0, 2, [at("building"), at("tree")]] == pytest.approx([5 / 7, 2 / 7])
    assert kept[0, 3, at("other")] == 1, "the teacher saw no living thing: nothing is known"
    assert kept[0, 4] == pytest.approx(found[0, 4])


def test_what_is_written_is_a_set_of_soft_labels(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, truth, out = tmp_path / "pictures", tmp_path / "truth", tmp_path / "out"
    pictures.mkdir()
    truth.mkdir()
    cv2.imwrite(str(pictures / "a.png"), three_stripes())
    marked = np.full((HEIGHT, WIDTH), 255, np.uint8)
    marked[:10, :40] = 6  # sky, where the teacher sees road
    marked[:, 50:70] = 5  # far, where the teacher sees a car
    cv2.imwrite(str(truth / "a.png"), marked)
    asked: list[int] = []

    def model(file: Path, threads: int) -> Any:
        def run(picture: np.ndarray) -> np.ndarray:
            asked.append(1)
            return by_colour(picture)

        return run

    monkeypatch.setattr(script, "deeplab", model)
    for _ in range(2):
        script.main([str(pictures), "--model", "x", "--out", str(out), "--truth", str(truth)])
    assert len(asked) == 4, "what is labelled is not labelled again"

    labels = ["sky", "road", "car"]
    entry = {"path": "out", "split": "train", "ignore": "others"}
    (sample,) = open_dataset(entry, tmp_path, "segment", labels).samples
    seen = sample.read_labels()  # type: ignore[union-attr]
    assert (seen[:8, 3:37] == 0).all()
    assert (seen[15:, 3:37] == 1).all()
    assert (seen[:, 53:67] == 255).all(), "nothing is known there"
    soft = sample.soft  # type: ignore[union-attr]
    assert isinstance(soft, SoftLabels)
    assert soft.shape() == (60, 80)
    logits = soft.read(len(labels))
    assert logits[30, 5, :3].argmax() == 1
    assert logits[2, 5, :3].argmax() == 0
    assert logits[30, 40, 3] < 0.01, "the share of what is known"


def test_a_mask_that_is_missing_is_told(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "truth").mkdir()
    cv2.imwrite(str(tmp_path / "a.png"), three_stripes())
    monkeypatch.setattr(script, "deeplab", lambda file, threads: by_colour)
    given = [str(tmp_path), "--model", "x", "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as left:
        script.main([*given, "--truth", str(tmp_path / "truth")])
    assert left.value.code == 2
    assert "has no mask of a.png in its size" in capsys.readouterr().err
