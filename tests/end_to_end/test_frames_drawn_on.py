"""What is drawn on: copies where somebody looks at the frames, else the frames themselves."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import livevision
from livevision.config import Settings
from livevision.runtime.metering import Meter
from livevision.runtime.run import Run
from tests import clips


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return clips.constant_rate(tmp_path / "in.mp4", frames=6).path


def _settings(source: Path, tmp_path: Path) -> Settings:
    return Settings.of(
        source=source, output=tmp_path / "out.mp4", headless=True, overwrite=True, quiet=True,
        threads=1,
    )  # fmt: skip


def test_a_run_on_video_files_draws_without_a_copy(clip: Path, tmp_path: Path) -> None:
    for rendered in Run(_settings(clip, tmp_path), Meter()).frames():
        assert rendered.image is rendered.frame.image


def test_pythons_users_see_the_frames_as_they_were(clip: Path, tmp_path: Path) -> None:
    decoded = [frame.image for frame in clips.read_clip(clip)]
    seen = list(livevision.run(source=clip, output=tmp_path / "out.mp4", quiet=True))
    assert len(seen) == 6
    for rendered, image in zip(seen, decoded, strict=True):
        assert not np.shares_memory(rendered.image, rendered.frame.image)
        assert np.abs(rendered.frame.image.astype(int) - image).mean() < 2
        assert (rendered.image != rendered.frame.image).any(), "the rates stand on the picture"


def test_both_ways_write_the_same_but_for_the_rates(clip: Path, tmp_path: Path) -> None:
    written = []
    for draw in (False, True):
        settings = _settings(clip, tmp_path).model_copy(update={"hud": False, "conf": 0.05})
        written.append([r.image.copy() for r in Run(settings, Meter(), draw=draw).frames()])
    for ours, theirs in zip(*written, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_pictures_that_may_be_shared_are_copied(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.full((120, 160, 3), 90, np.uint8))
    for rendered in Run(_settings(folder, tmp_path), Meter()).frames():
        assert not np.shares_memory(rendered.image, rendered.frame.image)


@pytest.mark.parametrize(("given", "drawn_on"), [({}, False), ({"hud": True}, True)])
def test_pictures_have_no_rates_unless_asked_for(
    tmp_path: Path, given: dict[str, bool], drawn_on: bool
) -> None:
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((240, 320, 3), 90, np.uint8))
    run = livevision.run(
        source=[str(tmp_path / "a.png"), str(tmp_path / "b.png")], conf=1.0, quiet=True, **given
    )
    for rendered in run:
        assert (rendered.image != rendered.frame.image).any() == drawn_on


def test_rates_stand_beside_what_was_found_and_stay_there(clip: Path) -> None:
    """One place over a run, whatever the labels do, since the room has a memory for each source."""
    places = []
    for rendered in livevision.run(source=[clip, clip], conf=1.0, quiet=True):
        changed = np.argwhere((rendered.image != rendered.frame.image).any(axis=2))
        places.append(changed.min(0).tolist())
    assert places[1:] == places[:-1]
    assert len(places) == 12


def test_a_picture_file_holds_what_everybody_else_sees(clip: Path, tmp_path: Path) -> None:
    """Alpha, classes and all: one drawing serves windows, videos, pictures and Python."""
    options = {"task": "both", "conf": 0.05, "classes": "person", "hud": False, "quiet": True}
    for rendered in livevision.run(source=clip, alpha=0, conf=1.0, task="both", hud=False):
        assert (rendered.image == rendered.frame.image).all(), "no class map, no box, no legend"
    target = tmp_path / "%06d.png"
    for rendered in livevision.run(source=clip, alpha=1, output=target, **options):
        assert rendered.detections is not None
        assert set(rendered.detections.data["class_name"]) <= {"person"}
        written = cv2.imread(str(tmp_path / f"{rendered.index:06d}.png"))
        np.testing.assert_array_equal(written, rendered.image)
