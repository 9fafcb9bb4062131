"""Pictures as luma and chroma: averaged over 2×2 pixels, at every even size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from livevision.output.planes import Planes

# Y, Cb and Cr of limited range from B, G, R by BT.601.
BT601 = np.array([[24.966, 128.553, 65.481], [112, -74.203, -37.797], [-18.214, -93.786, 112]])


def split(frame: Any, size: tuple[int, int], pixels: str) -> tuple[Any, Any, Any]:
    (width, height), planes = size, []
    for number, plane in enumerate(frame.planes):
        wide = width if number == 0 or pixels == "nv12" else width // 2
        high = height if number == 0 else height // 2
        planes.append(np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:high, :wide])
    if pixels == "nv12":
        planes[1:] = [planes[1][:, 0::2], planes[1][:, 1::2]]
    return planes[0], planes[1], planes[2]


@pytest.mark.parametrize("pixels", ["yuv420p", "nv12"])
@pytest.mark.parametrize("size", [(2, 2), (6, 2), (2, 6), (6, 6), (322, 242), (320, 240)])
def test_luma_of_each_pixel_and_the_mean_chroma_of_four(size: tuple[int, int], pixels: str) -> None:
    convert, chance = Planes(size, pixels), np.random.default_rng(1)
    for _ in range(2):  # with memory that was used before too
        image = chance.integers(0, 256, (size[1], size[0], 3), np.uint8)
        frame = convert(image)
        assert (frame.width, frame.height, frame.format.name) == (*size, pixels)
        y, cb, cr = split(frame, size, pixels)
        mean = image.reshape(size[1] // 2, 2, size[0] // 2, 2, 3).mean((1, 3))
        assert np.abs(y - (16 + image @ BT601[0] / 255)).max() <= 1
        assert np.abs(cb - (128 + mean @ BT601[1] / 255)).max() <= 1.1
        assert np.abs(cr - (128 + mean @ BT601[2] / 255)).max() <= 1.1


def test_grey_has_no_chroma() -> None:
    shades = np.arange(256, dtype=np.uint8).repeat(4).reshape(2, 512)
    _, cb, cr = split(Planes((512, 2), "yuv420p")(np.dstack([shades] * 3)), (512, 2), "yuv420p")
    assert (cb == 128).all()
    assert (cr == 128).all()
