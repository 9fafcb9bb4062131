"""Video files: every frame, its number, its time and its colours, and files that are broken."""

from __future__ import annotations

import logging
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from livevision.capture.options import SourceOptions
from livevision.capture.video_file import VideoFileSource, picture_size, upright_size
from livevision.errors import SourceError
from livevision.frame import Frame
from tests import clips
from tests.clips import Clip, frame_number


def _check(clip: Clip, tolerance: float = 0.0006) -> list[Frame]:
    """Read a clip and compare numbers and times with what was written."""
    frames = list(VideoFileSource(str(clip.path)))
    assert [f.index for f in frames] == list(range(clip.frames))
    assert [frame_number(f.image) for f in frames] == list(range(clip.frames))
    assert [f.time for f in frames] == pytest.approx(clip.times, abs=tolerance)
    assert {f.image.shape for f in frames} == {(clip.size[1], clip.size[0], 3)}
    return frames


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("constant.mp4", clips.constant_rate),
        ("constant.mkv", clips.constant_rate),
        ("constant.ts", clips.constant_rate),
        ("variable.mp4", clips.variable_rate),
        ("variable.mkv", clips.variable_rate),
        ("late.mp4", clips.late_start),
        ("late.mkv", clips.late_start),
        ("sound.mp4", clips.with_sound),
        ("b.mp4", clips.with_b_frames),
        ("grey.mp4", clips.grey),
        ("ten.mp4", clips.ten_bit),
        ("alpha.mov", clips.alpha),
        ("odd.mp4", clips.odd_size),
    ],
)
def test_every_frame_at_its_time(name: str, make: Callable[[Path], Clip], tmp_path: Path) -> None:
    _check(make(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.webm", "libvpx", "yuv420p"),
        ("a.avi", "mjpeg", "yuvj420p"),
        ("b.avi", "mpeg4", "yuv420p"),
        ("a.mkv", "ffv1", "yuv422p"),
        ("b.mkv", "ffv1", "bgr0"),
    ],
)
def test_other_codecs(name: str, codec: str, pix_fmt: str, tmp_path: Path) -> None:
    _check(clips.make_clip(tmp_path / name, codec=codec, pix_fmt=pix_fmt))


def test_avi_with_b_frames_whose_container_knows_no_presentation_times(tmp_path: Path) -> None:
    clip = clips.with_b_frames(tmp_path / "b.avi")
    frames = list(VideoFileSource(str(clip.path)))
    assert [frame_number(f.image) for f in frames] == list(range(30))
    steps = np.diff([f.time for f in frames])
    assert steps == pytest.approx(1 / 30, abs=1e-6)


def test_a_stream_without_times_gets_rising_ones(tmp_path: Path) -> None:
    clip = clips.with_b_frames(tmp_path / "raw.h264")
    frames = list(VideoFileSource(str(clip.path)))
    assert [frame_number(f.image) for f in frames] == list(range(30))
    assert np.all(np.diff([f.time for f in frames]) > 0.005)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_video_is_upright(degrees: int, tmp_path: Path) -> None:
    clip = clips.rotated(tmp_path / "turned.mp4", degrees, size=(240, 320))
    source = VideoFileSource(str(clip.path))
    assert source.info.size == (240, 320)
    source.close()
    _check(clip)


def test_a_mirrored_video_is_mirrored_back(tmp_path: Path) -> None:
    def mirrored(number: int, size: tuple[int, int]) -> clips.Image:
        return np.ascontiguousarray(clips.numbered(number, size)[:, ::-1])

    clip = clips.make_clip(tmp_path / "selfie.mp4", paint=mirrored)
    data = bytearray(clip.path.read_bytes())
    at = data.index(b"tkhd") + 44
    # x becomes width - x; y stays.
    matrix = (-65536, 0, 0, 0, 65536, 0, 320 * 65536, 0, 1 << 30)
    data[at : at + 36] = struct.pack(">9i", *matrix)
    clip.path.write_bytes(data)
    _check(clip)


def test_sizes_at_both_ends(tmp_path: Path) -> None:
    one = VideoFileSource(str(clips.one_pixel(tmp_path / "one.mp4").path))
    assert [f.image.shape for f in one] == [(1, 1, 3)] * 30
    _check(clips.huge(tmp_path / "huge.mp4"))


# Colours -----------------------------------------------------------------------------------------

_PATCHES = np.array(
    [(40, 40, 220), (40, 200, 40), (220, 60, 40), (128, 128, 128), (250, 250, 250), (5, 5, 5)],
    np.uint8,
)


def _patches(number: int, size: tuple[int, int]) -> clips.Image:
    width, height = size
    row = _PATCHES[np.arange(width) * len(_PATCHES) // width]
    return np.repeat(row[None], height, axis=0)


def _worst_error(clip: Clip) -> int:
    image = next(iter(VideoFileSource(str(clip.path)))).image
    width = clip.size[0] // len(_PATCHES)
    middles = image[clip.size[1] // 2, width // 2 :: width][: len(_PATCHES)]
    return int(np.abs(middles.astype(int) - _PATCHES).max())


@pytest.mark.parametrize("matrix", [1, 5])
@pytest.mark.parametrize("full_range", [False, True])
def test_colours_by_the_streams_own_matrix_and_range(
    matrix: int, full_range: bool, tmp_path: Path
) -> None:
    colour = {"colorspace": matrix, "color_range": 2 if full_range else 1}
    clip = clips.make_clip(tmp_path / "a.mp4", frames=1, colour=colour, paint=_patches)
    assert _worst_error(clip) <= 6


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"),
    [
        ("libx264", "yuv420p10le", "mp4"),
        ("libx264", "yuv444p", "mp4"),
        ("ffv1", "yuva420p", "mkv"),
        ("ffv1", "gbrp10le", "mkv"),
        ("png", "rgba", "mov"),
        ("mjpeg", "yuvj420p", "avi"),
    ],
)
def test_colours_of_other_pixel_formats(
    codec: str, pix_fmt: str, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{suffix}"
    clip = clips.make_clip(path, frames=1, codec=codec, pix_fmt=pix_fmt, paint=_patches)
    assert _worst_error(clip) <= 6


def test_untold_colours_are_hd_for_hd(tmp_path: Path) -> None:
    untold = {"size": (1280, 720), "frames": 1, "paint": _patches}
    plain = clips.make_clip(tmp_path / "a.mp4", **untold)
    told = clips.make_clip(tmp_path / "b.mp4", colour={"colorspace": 1}, **untold)
    assert _worst_error(told) <= 6
    assert _worst_error(plain) > 6  # it was written by BT.601 without saying so


def test_grey_has_equal_planes(tmp_path: Path) -> None:
    image = next(iter(VideoFileSource(str(clips.grey(tmp_path / "a.mp4").path)))).image
    assert np.ptp(image, axis=2).max() <= 1


# What is known of a file -------------------------------------------------------------------------


def test_info(tmp_path: Path) -> None:
    clip = clips.with_sound(tmp_path / "a.mp4", frames=50, rate=Fraction(30000, 1001))
    info = VideoFileSource(str(clip.path)).info
    assert (info.name, info.live, info.extras) == (str(clip.path), False, None)
    assert (info.rate, info.frames) == (Fraction(30000, 1001), 50)
    assert info.time_base == Fraction(1, 60000)
    assert info.bit_rate
    strided = VideoFileSource(str(clip.path), SourceOptions(stride=4)).info
    assert (strided.rate, strided.frames) == (Fraction(30000, 1001) / 4, 13)


@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.avi", "a.mp4"])
def test_the_number_of_frames_is_known_about(name: str, tmp_path: Path) -> None:
    start = 0.0 if name == "a.avi" else 3.0
    codec = "mpeg4" if name == "a.avi" else "libx264"
    clip = clips.make_clip(tmp_path / name, frames=60, start=start, codec=codec)
    assert VideoFileSource(str(clip.path)).info.frames == pytest.approx(60, abs=1)


def test_a_loop_goes_on_with_index_and_time(tmp_path: Path) -> None:
    clip = clips.late_start(tmp_path / "a.mp4", frames=10)
    source = VideoFileSource(str(clip.path), SourceOptions(loop=True, stride=3))
    assert source.info.frames is None
    frames = [frame for frame, _ in zip(source, range(9), strict=False)]
    source.close()
    assert [f.index for f in frames] == list(range(0, 27, 3))
    assert [frame_number(f.image) for f in frames] == [i % 10 for i in range(0, 27, 3)]
    assert [f.time for f in frames] == pytest.approx([2.5 + i / 30 for i in range(0, 27, 3)])


def test_a_cover_picture_is_not_the_video(tmp_path: Path) -> None:
    clip = clips.constant_rate(tmp_path / "plain.mp4", size=(320, 240))
    path = tmp_path / "covered.mkv"
    _, cover = cv2.imencode(".png", np.zeros((500, 500, 3), np.uint8))
    with av.open(str(clip.path)) as given, av.open(str(path), "w") as out:
        attached = out.add_attachment("cover.png", "image/png", cover.tobytes())
        assert attached is not None
        video = out.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                packet.stream = video
                out.mux(packet)
    source = VideoFileSource(str(path))
    assert source.info.size == (320, 240)
    assert len(list(source)) == 30


def test_a_change_of_size_is_scaled_to_the_first(tmp_path: Path) -> None:
    # Transport streams can be joined end to end.
    first = clips.constant_rate(tmp_path / "1.ts", frames=10)
    second = clips.constant_rate(tmp_path / "2.ts", frames=10, size=(640, 480), start=10, first=10)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.path.read_bytes() + second.path.read_bytes())
    frames = list(VideoFileSource(str(joined)))
    assert {f.image.shape for f in frames} == {(240, 320, 3)}
    assert [frame_number(f.image) for f in frames] == list(range(20))


def test_times_that_fall_back_go_on_rising(tmp_path: Path) -> None:
    first = clips.constant_rate(tmp_path / "1.ts", frames=10, start=20)
    second = clips.constant_rate(tmp_path / "2.ts", frames=10, first=10)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.path.read_bytes() + second.path.read_bytes())
    times = [f.time for f in VideoFileSource(str(joined))]
    assert len(times) == 20
    assert np.diff(times) == pytest.approx(1 / 30, abs=0.002)


# Damage ------------------------------------------------------------------------------------------


def test_damaged_frames_are_left_out_counted_and_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = clips.corrupted(tmp_path / "a.mp4", corrupt=(10, 11, 20, 29))
    source = VideoFileSource(str(clip.path))
    with caplog.at_level(logging.WARNING):
        frames = list(source)
    expected = [n for n in range(30) if n not in (10, 11, 20, 29)]
    assert [frame_number(f.image) for f in frames] == expected
    assert [f.index for f in frames] == expected
    assert [f.time for f in frames] == pytest.approx([clip.times[n] for n in expected])
    assert source.losses == {"corrupt": 4}
    assert len(caplog.records) == 1
    assert str(clip.path) in caplog.text


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_a_truncated_file_gives_all_it_has_and_then_says_where_it_ends(
    suffix: str, tmp_path: Path
) -> None:
    options = {} if suffix == "mp4" else {"container_options": {}}
    codec = "mpeg4" if suffix == "avi" else "libx264"
    clip = clips.truncated(tmp_path / f"a.{suffix}", codec=codec, **options)
    frames: list[Frame] = []
    with pytest.raises(SourceError) as caught:
        frames.extend(VideoFileSource(str(clip.path)))
    assert 10 <= len(frames) <= 45
    assert [frame_number(f.image) for f in frames] == list(range(len(frames)))
    end = frames[-1].time + 1 / 30
    assert f"breaks off at {end:.2f} s of " in str(caught.value)
    assert str(clip.path) in str(caught.value)


def test_an_index_that_is_a_little_off_is_no_error(tmp_path: Path) -> None:
    path = clips.make_clip(tmp_path / "a.avi", frames=60, codec="mpeg4").path
    data = bytearray(path.read_bytes())
    at = data.index(b"strh") + 8 + 32  # the number of frames
    for declared in (60, 62):
        data[at : at + 4] = declared.to_bytes(4, "little")
        path.write_bytes(data)
        assert len(list(VideoFileSource(str(path)))) == 60
    data[at : at + 4] = (70).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"breaks off at 2\.00 s of 2\.33 s"):
        list(VideoFileSource(str(path)))


@pytest.mark.parametrize("keep", [1.0, 0.8])
def test_a_jpeg_without_a_suffix(tmp_path: Path, keep: float) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), clips.numbered(7))
    photo = (tmp_path / "a.jpg").rename(tmp_path / "photo")
    clips.cut(photo, keep)
    source = VideoFileSource(str(photo))
    if keep == 1:
        assert [frame_number(f.image) for f in source] == [7]
    else:
        with pytest.raises(SourceError, match="breaks off"):
            list(source)


def test_the_last_hundredth_of_a_file_is_missed_too(tmp_path: Path) -> None:
    clip = clips.truncated(tmp_path / "a.mp4", keep=1.0)
    clips.cut(clip.path, 0.99)
    with pytest.raises(SourceError, match="breaks off"):
        list(VideoFileSource(str(clip.path)))


def test_a_video_shorter_than_its_sound_is_no_error(tmp_path: Path) -> None:
    clip = clips.with_sound(tmp_path / "a.mkv", frames=90)
    short = tmp_path / "short.mkv"
    with av.open(str(clip.path)) as given, av.open(str(short), "w") as out:
        streams = {s.index: out.add_stream_from_template(s) for s in given.streams}
        for packet in given.demux():
            late = packet.stream.type == "video" and (packet.pts or 0) > 1000
            if packet.dts is not None and not late:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    assert len(list(VideoFileSource(str(short)))) == 31


def _text(path: Path) -> None:
    path.write_text("this is no video\n" * 9)


def _noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 64)


def _sound_only(path: Path) -> None:
    with av.open(str(path), "w") as out:
        audio = out.add_stream("aac", rate=44100)
        for frame in clips._tone(0, 1):
            out.mux(audio.encode(frame))
        out.mux(audio.encode(None))


def _unknown_codec(path: Path) -> None:
    clips.constant_rate(path)
    data = path.read_bytes().replace(b"avc1", b"zzz1").replace(b"avcC", b"zzzC")
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_text, "holds text"),
        (_noise, "not a video"),
        (Path.touch, "empty"),
        (_sound_only, "only sound"),
        (clips.zero_frames, "no frames"),
        (clips.truncated_without_index, "moov"),
        (_unknown_codec, "codec is unknown"),
        (lambda path: None, "no such file"),
    ],
)
def test_what_is_no_video_is_told_in_one_line(
    spoil: Callable[[Path], object], says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "in.mp4"
    spoil(path)
    with pytest.raises(SourceError) as caught:
        VideoFileSource(str(path))
    message = str(caught.value)
    assert says in message
    assert message.startswith(str(path))
    assert "\n" not in message
    assert capfd.readouterr().err == ""  # FFmpeg's own words stay away


# Standard input, and memory ----------------------------------------------------------------------

_READ_STDIN = """
import sys
from livevision.capture.video_file import VideoFileSource, picture_size
from tests.clips import frame_number
source = VideoFileSource("-")
assert source.info.name == "standard input", source.info
print([frame_number(frame.image) for frame in source])
"""


def test_standard_input(tmp_path: Path) -> None:
    clip = clips.constant_rate(tmp_path / "a.mkv", frames=12)
    with clip.path.open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-c", _READ_STDIN],
            stdin=file,
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[2],
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(list(range(12)))


def test_standard_input_cannot_be_looped() -> None:
    with pytest.raises(SourceError, match="looped"):
        VideoFileSource("-", SourceOptions(loop=True))


def test_a_looped_file_leaves_no_files_and_threads_behind(tmp_path: Path) -> None:
    clip = clips.constant_rate(tmp_path / "a.mp4", frames=5, size=(64, 48))
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("needs /proc")
    before = len(list(descriptors.iterdir())), threading.active_count()
    source = VideoFileSource(str(clip.path), SourceOptions(loop=True))
    for frame in source:
        if frame.index == 500:
            break
    source.close()
    after = len(list(descriptors.iterdir())), threading.active_count()
    assert after == before


def test_a_header_tells_the_size_and_no_more_is_asked_of_it(tmp_path: Path) -> None:
    clip = clips.odd_size(tmp_path / "in.mp4", frames=2)
    assert picture_size(str(clip.path)) == clip.size
    text = tmp_path / "a.mp4"
    text.write_text("no video")
    for uri in (str(text), str(tmp_path / "missing.mp4"), "-"):
        assert picture_size(uri) is None
        assert upright_size(uri) is None


def test_the_size_of_a_phone_s_video_is_the_upright_one(tmp_path: Path) -> None:
    clip = clips.rotated(tmp_path / "in.mp4", 90, frames=2)
    width, height = picture_size(str(clip.path)) or (0, 0)
    assert upright_size(str(clip.path)) == (height, width)
