"""What is drawn on: copies where somebody looks at the frames, else the frames themselves."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import livevision
from livevision.app import Run
from livevision.config import Settings
from livevision.report import Meter
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
