"""The input size that ``--imgsz fit`` chooses."""

from __future__ import annotations

import pytest

from livevision.models.catalog import ModelCard
from livevision.models.fitting import Size, fitted_size


def _fitted(own: Size, fit: str, *pictures: Size | None) -> Size:
    return fitted_size(ModelCard("a", "detect", "", own, (), fit=fit), pictures)


@pytest.mark.parametrize(
    ("own", "fit", "pictures", "expected"),
    [
        ((640, 640), "letterbox", [(1280, 720)], (640, 384)),
        ((640, 640), "letterbox+bilinear", [(720, 1280)], (384, 640)),
        # 480 rows are shown; at 480 the picture would lie half a stride off its former place.
        ((640, 640), "letterbox", [(640, 480)], (640, 512)),
        ((416, 416), "letterbox-top-left", [(1280, 720)], (416, 256)),
        ((640, 640), "letterbox", [(640, 640)], (640, 640)),
        ((640, 384), "letterbox", [(100, 300)], (128, 384)),
        ((640, 640), "letterbox", [(4000, 10)], (640, 64)),
        ((640, 640), "letterbox", [(1280, 720), (640, 480)], (640, 512)),
        # Of a camera nothing is known before it is open.
        ((640, 640), "letterbox", [(1280, 720), None], (640, 640)),
        ((640, 640), "letterbox", [], (640, 640)),
        ((320, 320), "stretch", [(1280, 720)], (320, 320)),
        ((224, 224), "centre-crop", [(1280, 720)], (224, 224)),
    ],
)
def test_the_smallest_input_with_the_pictures_as_large_as_before(
    own: Size, fit: str, pictures: list[Size | None], expected: Size
) -> None:
    assert _fitted(own, fit, *pictures) == expected
