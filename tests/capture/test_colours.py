"""Colours of decoded video: seldom matrices, high dynamic range, and what is left unsaid."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from livevision.capture.conversion import Conversion
from livevision.capture.options import SourceOptions
from livevision.capture.video_file import VideoFileSource
from livevision.frame import Colours
from tests import clips

PATCHES = [(0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255), (0, 0, 0), (60, 90, 200)]
UNTOLD = {"colorspace": 2, "color_primaries": 2, "color_trc": 2}


def bands(colours: Any, size: tuple[int, int] = (192, 64)) -> Any:
    """Upright bands of colours, uint8, H×W×3."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    wide = size[0] // len(colours)
    for place, colour in enumerate(colours):
        image[:, place * wide : (place + 1) * wide] = colour
    return image


def middles(image: Any, count: int) -> Any:
    """The colour in the middle of each band."""
    wide = image.shape[1] // count
    return image[image.shape[0] // 2, wide // 2 :: wide][:count].astype(int)


def write_planes(path: Path, planes: Any, pix_fmt: str, tags: Mapping[str, int]) -> Path:
    """One frame of planes as they are, without a conversion: yuv444p, uint8, 3×H×W."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("ffv1", rate=Fraction(25))
        stream.width, stream.height = planes.shape[2], planes.shape[1]
        stream.pix_fmt = pix_fmt
        frame = av.VideoFrame.from_ndarray(planes, format=pix_fmt)
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
            setattr(frame, name, value)
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def first_image(path: Path) -> Any:
    return next(iter(VideoFileSource(str(path)))).image


@pytest.mark.parametrize(
    ("pixels", "plain"),
    [
        *((pixels, "yuv420p") for pixels in ("yuv420p10le", "yuv420p12le", "p010le", "nv12")),
        *((pixels, "yuv422p") for pixels in ("yuv422p10le", "yuyv422", "uyvy422", "nv16")),
    ],
)
@pytest.mark.parametrize("full", [True, False])
def test_pixels_that_share_a_chroma_value_keep_it(pixels: str, plain: str, full: bool) -> None:
    """However a decoder stores them, so that encoding finds the very value again."""
    image = bands(PATCHES, (180, 64))
    image[22:] = image[22:, ::-1]
    # swscale with several threads gets some values wrong in one of a hundred tries.
    planes = av.VideoFrame.from_ndarray(image, "bgr24").reformat(format=plain, threads=1)
    stored = planes.reformat(format=pixels, threads=1)
    for frame in (planes, stored):
        frame.color_range = 2 if full else 1
    expected = Conversion()(planes, (180, 64)).astype(int)
    assert np.abs(Conversion()(stored, (180, 64)).astype(int) - expected).max() <= 2
    assert (expected[:, 0:30:2] == expected[:, 1:31:2]).all()


@pytest.mark.parametrize("full", [True, False])
def test_ycgco(tmp_path: Path, full: bool) -> None:
    b, g, r = np.moveaxis(bands(PATCHES).astype(float), -1, 0)
    luma, cg, co = r / 4 + g / 2 + b / 4, -r / 4 + g / 2 - b / 4, r / 2 - b / 2
    if full:
        planes = [luma, cg + 128, co + 128]
    else:
        planes = [16 + luma * 219 / 255, 128 + cg * 224 / 255, 128 + co * 224 / 255]
    stored = np.clip(np.rint(planes), 0, 255).astype(np.uint8)
    tags = {"colorspace": 8, "color_range": 2 if full else 1}
    path = write_planes(tmp_path / "a.mkv", stored, "yuv444p", tags)
    assert np.abs(middles(first_image(path), 6) - PATCHES).max() <= 3


@pytest.mark.parametrize("matrix", [3, 10, 11, 12, 14, 0])
def test_a_matrix_that_nobody_knows_costs_exact_colours_only(
    tmp_path: Path, matrix: int, caplog: pytest.LogCaptureFixture
) -> None:
    grey = np.full((3, 64, 192), 128, np.uint8)
    grey[0] = 180
    path = write_planes(tmp_path / "a.mkv", grey, "yuv444p", {"colorspace": matrix})
    with av.open(str(path)) as container:
        stored = next(container.decode(video=0)).colorspace
    if stored != matrix:
        pytest.skip("this FFmpeg does not write that matrix")
    frames = list(VideoFileSource(str(path)))
    assert np.abs(frames[0].image.astype(int) - (180 - 16) * 255 / 219).max() <= 1
    warned = [r for r in caplog.records if f"number {matrix} of H.273" in r.getMessage()]
    assert len(warned) == (0 if matrix == 0 else 1)


def test_a_matrix_is_told_once_and_not_for_each_frame(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = clips.make_clip(tmp_path / "a.mp4", frames=5, colour={"colorspace": 14})
    assert len(list(VideoFileSource(str(clip.path)))) == 5
    assert len([r for r in caplog.records if "colour matrix" in r.getMessage()]) == 1


# Signals of light in cd/m², by SMPTE ST 2084 and BT.2100; white is at 203.
HIGH = {
    16: {0: 0.0, 20.3: 0.3511, 203: 0.5807, 1000: 0.7518, 10000: 1.0},
    18: {0: 0.0, 50.7: 0.5, 203: 0.75, 1000: 1.0},
}
SEEN = {0: 0, 20.3: 98, 50.7: 143, 203: 226, 1000: 255, 10000: 255}


@pytest.mark.parametrize("transfer", [16, 18])
def test_high_dynamic_range_is_brought_to_bt709(
    tmp_path: Path, transfer: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    signals = HIGH[transfer]
    coded = [(round(255 * s),) * 3 for s in signals.values()]
    size = (len(coded) * 32, 64)
    clip = clips.make_clip(
        tmp_path / "a.mp4",
        frames=3,
        size=size,
        pix_fmt="yuv420p10le",
        colour={"colorspace": 9, "color_trc": transfer, "color_primaries": 9},
        paint=lambda _, size: bands(coded, size),
    )
    source = VideoFileSource(str(clip.path))
    assert source.info.colours == Colours(1, 1)
    frames = list(source)
    assert len(frames) == 3
    seen = middles(frames[-1].image, len(coded))
    assert np.ptp(seen, axis=1).max() <= 2, "grey has to stay grey"
    assert np.abs(seen[:, 1] - [SEEN[light] for light in signals]).max() <= 5
    assert len([r for r in caplog.records if "high dynamic range" in r.getMessage()]) == 1


def test_the_wide_primaries_of_high_dynamic_range_become_those_of_bt709(tmp_path: Path) -> None:
    """Light of 100 cd/m² in the primaries of BT.709, as BT.2020 and PQ code it."""
    red, green, blue = (0.6274, 0.0691, 0.0164), (0.3293, 0.9195, 0.0880), (0.0433, 0.0114, 0.8956)
    light = np.array([red, green, blue])[:, ::-1] * 100 / 10000
    power = light ** (2610 / 16384)
    signal = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    clip = clips.make_clip(
        tmp_path / "a.mp4",
        frames=1,
        size=(192, 64),
        pix_fmt="yuv444p10le",
        colour={"colorspace": 9, "color_trc": 16, "color_primaries": 9},
        options={"crf": "1"},
        paint=lambda _, size: bands(np.rint(255 * signal), size),
    )
    seen = middles(first_image(clip.path), 3)
    pure = round(255 * (100 / 203) ** (1 / 2.4))
    wanted = [(0, 0, pure), (0, pure, 0), (pure, 0, 0)]
    assert np.abs(seen - wanted).max() <= 26
    assert np.abs(seen.max(axis=1) - pure).max() <= 8


@pytest.mark.parametrize(
    ("size", "tags", "colours"),
    [
        ((320, 240), UNTOLD, Colours(6, 6)),
        ((720, 576), UNTOLD, Colours(5, 6)),
        ((1280, 720), UNTOLD, Colours(1, 1)),
        ((320, 240), {"colorspace": 1, "color_primaries": 1, "color_trc": 1}, Colours(1, 1)),
        ((320, 240), {**UNTOLD, "colorspace": 1}, Colours(1, 1)),
        ((1280, 720), {"colorspace": 6, "color_primaries": 6, "color_trc": 6}, Colours(6, 6)),
        ((1280, 720), {"colorspace": 9, "color_primaries": 9, "color_trc": 14}, Colours(9, 14)),
        ((320, 240), {"colorspace": 1, "color_primaries": 12, "color_trc": 13}, Colours(12, 13)),
    ],
)
def test_what_the_colours_mean_is_told(
    tmp_path: Path, size: tuple[int, int], tags: dict[str, int], colours: Colours
) -> None:
    clip = clips.make_clip(tmp_path / "a.mp4", frames=1, size=size, colour=tags)
    source = VideoFileSource(str(clip.path), SourceOptions())
    source.close()
    assert source.info.colours == colours
