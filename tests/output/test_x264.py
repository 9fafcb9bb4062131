"""The quality of copies, and how many bits they take beside their sources."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.codec.context import Flags

from livevision.frame import Image
from livevision.media.codecs import SOFTWARE_ENCODER
from livevision.output import x264
from livevision.output.options import OutputOptions
from livevision.output.video_file import VideoFileSink
from tests import clips
from tests.output.feeding import plain_info, rendered

SIZE = (160, 128)
RATE = 25


def _noise(index: int, size: tuple[int, int] = SIZE) -> Image:
    """What no encoder can foretell: 1.5 Mb/s of ``SIZE`` at 25 frames a second in good quality."""
    grey = np.random.default_rng(index).integers(90, 170, (size[1], size[0], 1), np.uint8)
    return np.repeat(grey, 3, axis=2)


def _still(index: int) -> Image:
    return _noise(0)


def _written(
    path: Path, pictures: Callable[[int], Image], seconds: int, bit_rate: int | None
) -> int:
    """Write pictures as the copy of a source; its bits a second."""
    height, width = pictures(0).shape[:2]
    info = plain_info((width, height), rate=Fraction(RATE), bit_rate=bit_rate)
    sink = VideoFileSink(str(path), info, OutputOptions())
    for index in range(RATE * seconds):
        sink.write(rendered(index, pictures(index), time=index / RATE))
    sink.close()
    return 8 * path.stat().st_size // seconds


def _key_frames(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    return [number for number, packet in enumerate(packets) if packet.is_keyframe]


def _errors(path: Path) -> Callable[[int], float]:
    """By number, the mean difference of a frame's grey values from the noise that was written."""
    frames = clips.read_clip(path)

    def of(number: int) -> float:
        seen = frames[number].image.mean(axis=2)
        return float(np.abs(seen - _noise(number).mean(axis=2)).mean())

    return of


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_copy_takes_no_more_than_is_in_keeping_with_its_source(
    tmp_path: Path, container: str
) -> None:
    free, copy = tmp_path / f"free.{container}", tmp_path / f"copy.{container}"
    assert _written(free, _noise, 10, None) > 1_300_000
    # 1.8 times the source's, and a burst of two seconds at the start.
    assert _written(copy, _noise, 10, 300_000) < 1.8 * 1.2 * 300_000 * 1.1

    first, second, *_ = _key_frames(copy)
    assert first == 0
    assert 2 <= second < RATE, "another encoder has taken over when it was too much"
    with av.open(str(copy), options={"err_detect": "explode"}) as opened:
        times = [float(frame.pts * frame.time_base) for frame in opened.decode(video=0)]
    assert times == pytest.approx([index / RATE for index in range(250)], abs=0.0006)
    copied, freely = _errors(copy), _errors(free)
    assert copied(1) == pytest.approx(freely(1), rel=0.05)
    assert copied(200) > 2 * freely(200)


def test_a_noisy_camera_does_not_fill_the_disk(tmp_path: Path) -> None:
    def camera(index: int) -> Image:
        return _noise(index, (480, 360))

    # 2 Mb/s, and a burst of two seconds at the start; it would be 12 Mb/s.
    assert _written(tmp_path / "night.mp4", camera, 5, None) < 1.42 * 2e6 * 1.1


@pytest.mark.parametrize("bit_rate", [20_000, 2_000_000, 200_000_000])
def test_the_one_that_takes_over_needs_no_other_header(bit_rate: int) -> None:
    info = plain_info((640, 360), bit_rate=bit_rate)
    before = _header(x264.free(info, OutputOptions()))
    assert _header(x264.capped(info, OutputOptions(), before)) == before


def _header(settings: dict[str, str]) -> bytes:
    """The parameter sets that an encoder writes first."""
    context = av.CodecContext.create(SOFTWARE_ENCODER, "w")
    context.width, context.height, context.pix_fmt = 640, 360, "yuv420p"
    context.time_base, context.options = Fraction(1, 30), settings
    context.flags |= Flags.global_header
    context.open()
    header = context.extradata
    assert header
    return header


def test_a_large_key_frame_alone_is_not_too_much(tmp_path: Path) -> None:
    copy = tmp_path / "still.mp4"
    _written(copy, _still, 8, 60_000)
    assert _key_frames(copy) == [0, 100], "one each four seconds, and none of another encoder's"
    assert _errors(copy)(0) < 4


def test_bits_are_measured_by_the_time_that_passes() -> None:
    bits = x264.Bits(1000)
    assert not any(bits.too_many(250, 0.25) for _ in range(1000))
    assert not bits.too_many(1200, 0.25)
    assert bits.too_many(400, 0.0)
    bits = x264.Bits(1000)
    assert [bits.too_many(500, 0.25) for _ in range(6)] == [False] * 5 + [True]
    assert not x264.Bits(1000).too_many(1400, Fraction(0))


def test_a_preset_that_is_asked_for_is_rate_controlled_throughout() -> None:
    info = plain_info(SIZE, bit_rate=300_000)
    asked = x264.free(info, OutputOptions(preset="veryfast", crf=30))
    assert asked["preset"] == "veryfast"
    assert asked["x264-params"] == "crf=30"
    assert asked["maxrate"] == "540000"
    assert "maxrate" not in x264.free(plain_info(SIZE), OutputOptions(preset="veryfast"))
    assert x264.cap(plain_info((1920, 1080), rate=Fraction(30))) == 18_662_400
