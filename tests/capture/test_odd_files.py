"""Files of several parts, tracks, sizes and fields: the right pictures, at their times, whole."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from livevision.capture.options import SourceOptions
from livevision.capture.video_file import VideoFileSource
from livevision.frame import Frame
from tests import clips
from tests.clips import frame_number

RATE = 30


def read(path: Path, **options: Any) -> tuple[list[Frame], VideoFileSource]:
    source = VideoFileSource(str(path), SourceOptions(**options))
    return list(source), source


def joined(target: Path, *parts: Path) -> Path:
    """Transport streams can be joined end to end, as ``cat`` does."""
    target.write_bytes(b"".join(part.read_bytes() for part in parts))
    return target


def part(path: Path, *, start: float, first: int = 0, **choices: Any) -> Path:
    return clips.make_clip(path, **{"frames": 30, "start": start, "first": first, **choices}).path


# Clocks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("b_frames", [0, 3])
@pytest.mark.parametrize(
    ("first", "second"), [(1.4, 1.4), (20.0, 0.0), (1.4, 3601.4), (90000.0, 1.4), (0.0, 0.7)]
)
def test_parts_with_clocks_of_their_own_follow_each_other(
    first: float, second: float, b_frames: int, tmp_path: Path
) -> None:
    make = clips.with_b_frames if b_frames else clips.make_clip
    one = make(tmp_path / "1.ts", frames=30, start=first)
    two = make(tmp_path / "2.ts", frames=30, start=second, first=30)
    frames, source = read(joined(tmp_path / "joined.ts", one.path, two.path))
    assert [frame_number(f.image) for f in frames] == list(range(60))
    assert [f.index for f in frames] == list(range(60))
    assert [f.time for f in frames] == pytest.approx([n / RATE for n in range(60)], abs=2e-4)
    assert source.losses == {"corrupt": 0}


def test_many_short_parts(tmp_path: Path) -> None:
    parts = [part(tmp_path / f"{n}.ts", start=1.4, first=6 * n, frames=6) for n in range(8)]
    frames, source = read(joined(tmp_path / "joined.ts", *parts))
    assert [frame_number(f.image) for f in frames] == list(range(48))
    assert [f.time for f in frames] == pytest.approx([n / RATE for n in range(48)], abs=2e-4)
    assert source.losses == {"corrupt": 0}


def test_parts_of_a_local_playlist(tmp_path: Path) -> None:
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1"]
    for n, start in enumerate([1.4, 1.4, 7201.4]):
        part(tmp_path / f"{n}.ts", start=start, first=30 * n)
        lines += ["#EXT-X-DISCONTINUITY"] * (n > 0) + ["#EXTINF:1.0,", f"{n}.ts"]
    playlist = tmp_path / "film.m3u8"
    playlist.write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    frames, source = read(playlist)
    assert [frame_number(f.image) for f in frames] == list(range(90))
    assert [f.time for f in frames] == pytest.approx([n / RATE for n in range(90)], abs=2e-4)
    assert source.losses == {"corrupt": 0}


@pytest.mark.parametrize("name", ["a.ts", "a.flv", "a.m2ts"])
def test_what_begins_by_a_clock_begins_at_zero(name: str, tmp_path: Path) -> None:
    path = part(tmp_path / name, start=11.4)
    frames, _ = read(path)
    assert frames[0].time == pytest.approx(0, abs=0.07)
    assert frames[-1].time - frames[0].time == pytest.approx(29 / RATE, abs=0.002)


def test_pictures_that_begin_behind_the_sound_stay_behind_it(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.ts"), "w") as out:
        video: Any = out.add_stream("libx264", rate=RATE)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        video.codec_context.max_b_frames = 0
        audio: Any = out.add_stream("aac", rate=44100, layout="mono")
        for frame in clips._tone(1.0, 3.0):
            out.mux(audio.encode(frame))
        out.mux(audio.encode(None))
        for n in range(30):
            picture = av.VideoFrame.from_ndarray(clips.numbered(n), format="bgr24")
            picture.pts, picture.time_base = 45 + n, Fraction(1, RATE)
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
    frames, _ = read(tmp_path / "a.ts")
    assert frames[0].time == pytest.approx(0.5, abs=0.03)


def test_a_leap_makes_neither_the_bit_rate_nor_the_number_of_frames(tmp_path: Path) -> None:
    one = part(tmp_path / "1.ts", start=1.4)
    two = part(tmp_path / "2.ts", start=7201.4)
    source = VideoFileSource(str(joined(tmp_path / "leap.ts", one, two)))
    assert (source.info.bit_rate, source.info.frames) == (None, None)
    source.close()


def test_a_file_of_parts_is_not_taken_for_a_broken_one(tmp_path: Path) -> None:
    one = part(tmp_path / "1.ts", start=1.4)
    two = part(tmp_path / "2.ts", start=7201.4, first=30)
    frames, _ = read(joined(tmp_path / "leap.ts", one, two))  # raises where it is
    assert len(frames) == 60


# Tracks ------------------------------------------------------------------------------------------


def two_tracks(target: Path, first: Path, second: Path, *, usual: int | None) -> Path:
    """A file with two videos, one of them marked as the usual one."""
    with av.open(str(target), "w") as out, av.open(str(first)) as a, av.open(str(second)) as b:
        packets = []
        for number, given in enumerate((a, b)):
            stream = given.streams.video[0]
            into = out.add_stream_from_template(stream)
            into.disposition = av.stream.Disposition.default if number == usual else 0
            for packet in given.demux(stream):
                if packet.dts is not None and packet.size:
                    packets.append((float(packet.dts * packet.time_base), number, packet, into))
        for _, _, packet, into in sorted(packets, key=lambda item: item[:2]):
            packet.stream = into
            out.mux(packet)
    return target


@pytest.mark.parametrize("usual", [0, 1])
def test_of_two_videos_the_usual_one_is_read(usual: int, tmp_path: Path) -> None:
    small = clips.constant_rate(tmp_path / "small.mp4")
    large = clips.constant_rate(tmp_path / "large.mp4", size=(640, 480), first=100)
    path = two_tracks(tmp_path / "two.mkv", small.path, large.path, usual=usual)
    frames, source = read(path)
    assert source.info.size == [(320, 240), (640, 480)][usual]
    assert [frame_number(f.image) for f in frames] == [100 * usual + n for n in range(30)]


def test_of_two_videos_alike_the_larger_one_is_read(tmp_path: Path) -> None:
    small = clips.constant_rate(tmp_path / "small.mp4")
    large = clips.constant_rate(tmp_path / "large.mp4", size=(640, 480), first=100)
    path = two_tracks(tmp_path / "two.ts", small.path, large.path, usual=None)
    frames, source = read(path)
    assert source.info.size == (640, 480)
    assert frame_number(frames[0].image) == 100


# Sizes and shapes --------------------------------------------------------------------------------


def white(number: int, size: tuple[int, int]) -> clips.Image:
    return np.full((size[1], size[0], 3), 235, np.uint8)


def bounds(image: clips.Image) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of what is bright."""
    rows, columns = np.where(image.mean(axis=2) > 120)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize(
    ("size", "sar", "expected"),
    [
        ((640, 240), "1/1", (0, 60, 320, 180)),  # wider
        ((120, 240), "1/1", (100, 0, 220, 240)),  # narrower
        ((160, 120), "1/1", (0, 0, 320, 240)),  # of the same shape
        ((320, 240), "4/3", (0, 30, 320, 210)),  # of the same size, with wide pixels
        ((640, 240), "1/2", (0, 0, 320, 240)),  # of another size, shown in the same shape
    ],
)
def test_a_later_shape_is_fitted_into_the_first_whole(
    size: tuple[int, int], sar: str, expected: tuple[int, ...], tmp_path: Path
) -> None:
    one = part(tmp_path / "1.ts", start=0, paint=white, options={"x264-params": "sar=1/1"})
    two = part(
        tmp_path / "2.ts", start=1, size=size, paint=white, options={"x264-params": f"sar={sar}"}
    )
    frames, source = read(joined(tmp_path / "joined.ts", one, two))
    assert {f.image.shape for f in frames} == {(240, 320, 3)}
    assert bounds(frames[5].image) == (0, 0, 320, 240)
    assert bounds(frames[-1].image) == pytest.approx(expected, abs=2)
    assert source.info.aspect == 1


def test_the_shape_of_pixels_is_known(tmp_path: Path) -> None:
    path = part(tmp_path / "a.mp4", start=0, options={"x264-params": "sar=16/11"})
    assert VideoFileSource(str(path)).info.aspect == Fraction(16, 11)
    turned = clips.rotated(tmp_path / "b.mp4", 90, options={"x264-params": "sar=16/11"})
    assert VideoFileSource(str(turned.path)).info.aspect == Fraction(11, 16)


# Fields ------------------------------------------------------------------------------------------


def moving(moment: int, size: tuple[int, int]) -> clips.Image:
    """A bright bar that moves by four pixels each field."""
    image = np.full((size[1], size[0], 3), 30, np.uint8)
    left = 20 + 4 * moment
    image[:, left : left + 40] = 220
    return image


def fields(number: int, size: tuple[int, int]) -> clips.Image:
    image = moving(2 * number, size)
    image[1::2] = moving(2 * number + 1, size)[1::2]
    return image


def comb(image: clips.Image) -> float:
    """How much each line differs from those beside it."""
    lines = image.astype(float)
    return float(np.abs(lines[1:-1] - (lines[:-2] + lines[2:]) / 2).mean())


INTERLACED = {"x264-params": "interlaced=1:tff=1", "flags": "+ildct+ilme"}


@pytest.mark.parametrize("name", ["a.mp4", "a.ts"])
def test_interlaced_pictures_come_out_whole(name: str, tmp_path: Path) -> None:
    path = part(tmp_path / name, start=0, paint=fields, options=INTERLACED)
    frames, source = read(path)
    assert [f.index for f in frames] == list(range(30))
    assert [f.time for f in frames] == pytest.approx([n / RATE for n in range(30)], abs=2e-4)
    assert source.losses == {"corrupt": 0}
    assert comb(fields(5, (320, 240))) > 4
    for frame in frames:
        assert comb(frame.image) < 1.5
        left = np.where(frame.image[120].mean(axis=1) > 120)[0][0]
        assert left == pytest.approx(20 + 8 * frame.index, abs=5)


def test_pictures_that_are_not_interlaced_are_left_alone(tmp_path: Path) -> None:
    path = part(tmp_path / "a.mp4", start=0, paint=fields)
    frames, _ = read(path)
    assert comb(frames[5].image) > 4


def test_interlaced_pictures_between_others_and_of_another_size(tmp_path: Path) -> None:
    parts = [
        part(tmp_path / "1.ts", start=0, first=0),
        part(tmp_path / "2.ts", start=1, first=30, options=INTERLACED),
        part(tmp_path / "3.ts", start=2, first=60, options=INTERLACED, size=(160, 128)),
        part(tmp_path / "4.ts", start=3, first=90),
    ]
    frames, _ = read(joined(tmp_path / "joined.ts", *parts))
    assert [frame_number(f.image) for f in frames if f.image.shape == (240, 320, 3)] == [
        *range(120)
    ]
    assert [f.time for f in frames] == pytest.approx([n / RATE for n in range(120)], abs=2e-4)
