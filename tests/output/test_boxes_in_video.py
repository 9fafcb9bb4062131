"""Boxes that went through a real encoder, at a size and on a ground where thin lines were lost."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import supervision as sv

from livevision.output.video_file import VideoFileSink
from livevision.overlay.boxes import BoxOverlay
from livevision.overlay.contrast import contrast_ratio, difference, luminance
from livevision.overlay.palette import bright
from tests import clips
from tests.output.feeding import plain_info, rendered


def moving(index: int, size: tuple[int, int]) -> np.ndarray:
    """A patchwork of colours that moves, with the noise of a camera."""
    patches = np.random.default_rng(4).integers(60, 200, (24, 40, 3), np.uint8)
    picture = np.roll(cv2.resize(patches, size, interpolation=cv2.INTER_CUBIC), 2 * index, axis=1)
    noise = np.random.default_rng(index).integers(-22, 22, picture.shape)
    return np.clip(picture.astype(int) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(640, 272), (640, 360), (641, 361)])
def test_lines_keep_their_contrast_and_their_colour(size: tuple[int, int], tmp_path: Path) -> None:
    lefts = [40, 141, 242, 343, 444]
    boxes = [[x, 40 + x % 2, x + 70, 120] for x in lefts] + [
        [x + 1, 150 + x % 2, x + 71, 250] for x in lefts
    ]
    found = sv.Detections(xyxy=np.array(boxes, np.float32), class_id=np.arange(10))
    sink = VideoFileSink(str(tmp_path / "out.mp4"), plain_info(size))
    for n in range(12):
        sink.write(rendered(n, BoxOverlay().draw(moving(n, size), found), size=size))
    sink.close()
    last = [frame.image for frame in clips.read_clip(tmp_path / "out.mp4")][-1].astype(float)
    for colour, (x1, y1, x2, y2) in zip(bright()[:10], boxes, strict=True):
        across = {
            "left": last[y1 + 20 : y2 - 20, x1 - 4 : x1 + 5].mean(0),
            "right": last[y1 + 20 : y2 - 20, x2 - 4 : x2 + 5].mean(0),
            "bottom": last[y2 - 4 : y2 + 5, x1 + 20 : x2 - 20].mean(1),
        }
        for edge, profile in across.items():
            light = luminance(profile)
            assert contrast_ratio(profile[light.argmax()], profile[light.argmin()]) >= 4, edge
            assert difference(profile, colour).min() <= 0.2, edge
