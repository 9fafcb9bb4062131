"""`scripts/picture`: the picture in the README."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import clips

SCRIPT = Path(__file__).parents[2] / "scripts" / "picture.py"


def draw(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["picture", *map(str, arguments)])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_a_frame_as_a_small_png(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = clips.make_clip(tmp_path / "in.mp4", frames=4, size=(640, 360))
    out = tmp_path / "out.png"
    draw(monkeypatch, "--source", clip.path, "--frame", 2, "--out", out)
    with Image.open(out) as shown:
        assert (shown.size, shown.mode) == (clip.size, "P")
        picture = np.asarray(shown.convert("RGB"))[..., ::-1].copy()
    assert clips.frame_number(picture) == 2
    with pytest.raises(SystemExit, match="no frame 9"):
        draw(monkeypatch, "--source", clip.path, "--frame", 9, "--out", out)


def test_the_picture_that_is_shipped_is_small() -> None:
    assert (SCRIPT.parents[1] / "docs" / "images" / "bikes.png").stat().st_size < 300_000
