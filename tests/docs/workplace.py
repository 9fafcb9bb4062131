"""A folder with all that the examples of the pages name, small: clips, pictures, labels, graphs."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np

from tests import clips
from tests.models.foreign import making
from tests.training import small_data


def furnish(root: Path) -> Path:
    """Make the files in an empty folder, and give the folder."""
    clips.with_sound(root / "in.mp4", frames=6)
    (root / "clips").mkdir()
    for name in ("clip.mp4", "clips/a.mp4", "clips/b.mp4"):
        clips.make_clip(root / name, frames=3)
    cv2.imwrite(str(root / "in.jpg"), small_data.drawn(0)[0])
    small_data.boxes(root / "mine", ("plate", "ball"))
    shutil.copytree(root / "mine" / "images", root / "pictures")
    _yolo(root / "yolo11n.onnx")
    making.mean_colours(root / "theirs.onnx", (1, 3, 32, 32))
    return root


def _yolo(path: Path) -> None:
    """A file as Ultralytics writes it, which finds a dog in the middle of every picture."""
    values = np.zeros((1, 6, 84), np.float32)
    values[0, :, 0] = 32, 32, 32, 32, 0.1, 0.8
    metadata = {"names": "{0: 'cat', 1: 'dog'}", "task": "detect", "stride": "32"}
    making.fixed(path, {"output0": values}, metadata=metadata)
