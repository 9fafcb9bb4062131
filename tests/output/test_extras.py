"""What a file holds beside its pictures, copied into a video on the frames' own clock."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from livevision.capture.options import SourceOptions
from livevision.capture.stream import StreamSource
from livevision.media.extras import Track
from livevision.output.options import OutputOptions
from livevision.output.subtitles import Words
from livevision.output.tracks import copied
from livevision.output.video_file import VideoFileSink
from tests import clips
from tests.capture.servers import http_files
from tests.output.feeding import copy, duration, feed, reading, sound_packets

CONTAINERS = ["mp4", "mov", "mkv"]
QUICK = OutputOptions(preset="ultrafast")


def numbers(path: Path) -> list[int | None]:
    return [frame.number for frame in clips.read_clip(path)]


def times(path: Path) -> list[float]:
    return [frame.time for frame in clips.read_clip(path)]


def heard(path: Path) -> tuple[float, float]:
    """Seconds of sound that a file's first track of it decodes to, and of them those of a tone."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        # PyAV crashes over the planes of eight channels.
        mono = av.AudioResampler("flt", "mono", stream.codec_context.sample_rate)
        waves = [
            part.to_ndarray()[0]
            for frame in container.decode(stream)
            for part in mono.resample(frame)
        ]
    loud = sum(bool(np.abs(wave).max() > 0.05) * wave.size for wave in waves)
    rate = stream.codec_context.sample_rate
    return sum(wave.size for wave in waves) / rate, loud / rate


# Sound of transport streams ----------------------------------------------------------------------


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("start", [0.0, 1.4, 5000.0])
def test_h264_and_aac_of_a_transport_stream(start: float, container: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.ts", tmp_path / f"out.{container}"
    clips.with_sound(source, frames=60, start=start)
    copy(source, target)
    assert numbers(target) == list(range(60))
    # The first packet of AAC begins a moment before the first picture.
    assert times(target) == pytest.approx([0.023 + n / 30 for n in range(60)], abs=0.002)
    assert heard(target) == pytest.approx((2.0, 2.0), abs=0.08)
    (before,), (after,) = sound_packets(source), sound_packets(target)
    # Without the head that each packet had, which a player would take for sound.
    assert [data for _, data in after] == [data[7:] for _, data in before]
    span = clips.sound_span(target)
    assert span == pytest.approx((0.0, 2.02), abs=0.03)
    if container != "mkv":
        assert duration(target) == pytest.approx(2.0, abs=0.002)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("second", [1.4, 3601.4])
def test_sound_of_joined_files_goes_on_and_stays_in_step(
    second: float, container: str, tmp_path: Path
) -> None:
    one = clips.with_sound(tmp_path / "1.ts", frames=60, start=1.4)
    two = clips.with_sound(tmp_path / "2.ts", frames=60, start=second, first=60)
    source, target = tmp_path / "joined.ts", tmp_path / f"out.{container}"
    source.write_bytes(one.path.read_bytes() + two.path.read_bytes())
    copy(source, target)
    assert numbers(target) == list(range(120))
    assert times(target) == pytest.approx([0.023 + n / 30 for n in range(120)], abs=0.002)
    assert heard(target) == pytest.approx((4.0, 4.0), abs=0.15)
    moments = [time for time, _ in sound_packets(target)[0]]
    assert np.diff(moments).max() < 0.1
    assert moments[-1] == pytest.approx(4.0, abs=0.06)


def test_sound_of_a_local_playlist(tmp_path: Path) -> None:
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:2"]
    for n in range(3):
        clips.with_sound(tmp_path / f"{n}.ts", frames=60, start=1.4, first=60 * n)
        lines += ["#EXT-X-DISCONTINUITY"] * (n > 0) + ["#EXTINF:2.0,", f"{n}.ts"]
    playlist, target = tmp_path / "film.m3u8", tmp_path / "out.mp4"
    playlist.write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    copy(playlist, target)
    assert numbers(target) == list(range(180))
    assert heard(target) == pytest.approx((6.0, 6.0), abs=0.25)
    assert duration(target) == pytest.approx(6.0, abs=0.01)


def test_a_loop_repeats_the_sound(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
    clips.with_sound(source, frames=30)
    reader = reading(source, loop=True)
    sink = VideoFileSink(str(target), reader.info, QUICK)
    feed(sink, reader, frames=75)
    reader.close()
    sink.close()
    assert numbers(target) == [*range(30), *range(30), *range(15)]
    assert heard(target) == pytest.approx((2.5, 2.5), abs=0.15)


def test_two_outputs_of_one_source_have_all_of_its_sound(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    clips.with_sound(source)
    reader = reading(source, copies=2)
    sinks = [VideoFileSink(str(tmp_path / n), reader.info, QUICK) for n in ("a.mp4", "b.mkv")]

    class Both:
        def write(self, frame: Any) -> None:
            for sink in sinks:
                sink.write(frame)

    feed(Both(), reader)
    for sink in sinks:
        sink.close()
    (before,) = sound_packets(source)
    for name in ("a.mp4", "b.mkv"):
        (after,) = sound_packets(tmp_path / name)
        assert [data for _, data in after] == [data for _, data in before]


def test_memory_does_not_grow_where_no_output_wants_the_sound(tmp_path: Path) -> None:
    clips.with_sound(tmp_path / "in.mp4")
    reader = reading(tmp_path / "in.mp4", copies=0)
    assert reader.info.extras is None
    assert len(list(reader)) == 30


def test_sound_that_changes_between_joined_files_is_heard_to_its_end(tmp_path: Path) -> None:
    one = clips.with_sound(tmp_path / "1.ts", frames=60, start=1.4)
    two = tone(tmp_path / "2.ts", "aac", rate=48000, layout="stereo")
    source, target = tmp_path / "joined.ts", tmp_path / "out.mp4"
    source.write_bytes(one.path.read_bytes() + two.read_bytes())
    copy(source, target)
    assert heard(target) == pytest.approx((4.0, 4.0), abs=0.15)
    with av.open(str(target)) as container:
        waves = [f.to_ndarray()[0] for f in container.decode(audio=0)]
    wave = np.concatenate(waves)
    for start in (0.5, 2.7):
        second = wave[round(start * 44100) :][:44100]
        assert np.sum(np.diff(np.sign(second)) != 0) == pytest.approx(880, abs=8)


@pytest.mark.parametrize(
    ("codec", "name", "into"), [("wmav2", "in.wmv", "out.mp4"), ("flac", "in.mkv", "out.mov")]
)
def test_sound_that_is_encoded_anew_is_whole(
    codec: str, name: str, into: str, tmp_path: Path
) -> None:
    target = tmp_path / into
    copy(tone(tmp_path / name, codec, rate=44100, layout="stereo"), target)
    with av.open(str(target)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
    assert heard(target) == pytest.approx((2.0, 2.0), abs=0.12)


def test_sound_of_a_stream_in_several_qualities_is_copied_once(tmp_path: Path) -> None:
    master = ["#EXTM3U"]
    for name, size in (("low", (160, 128)), ("high", (320, 240))):
        clips.with_sound(tmp_path / f"{name}.ts", frames=60, start=1.4, size=size)
        lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", "#EXTINF:2.0,", f"{name}.ts"]
        (tmp_path / f"{name}.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
        master += ["#EXT-X-STREAM-INF:BANDWIDTH=500000", f"{name}.m3u8"]
    (tmp_path / "all.m3u8").write_text("\n".join([*master, ""]))
    copy(tmp_path / "all.m3u8", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert container.streams.video[0].width == 320
    assert heard(tmp_path / "out.mp4") == pytest.approx((2.0, 2.0), abs=0.08)


# Sound that says little of itself ----------------------------------------------------------------


def tone(target: Path, codec: str, *, rate: int, layout: str) -> Path:
    """Two seconds of numbered pictures with a tone of 440 a second."""
    with av.open(str(target), "w") as out:
        video: Any = out.add_stream("mpeg4" if target.suffix == ".wmv" else "libx264", rate=30)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        video.codec_context.max_b_frames = 0
        sound: Any = out.add_stream(codec, rate=rate, layout=layout)
        sound.bit_rate = 64000
        into = av.AudioResampler(sound.codec_context.format.name, layout, rate)
        for n in range(60):
            picture = av.VideoFrame.from_ndarray(clips.numbered(60 + n), format="bgr24")
            picture.pts, picture.time_base = n, Fraction(1, 30)
            out.mux(video.encode(picture))
            wave = 0.2 * np.sin(np.arange(n, n + 1, 30 / rate) * 2 * np.pi * 440 / 30)
            frame = av.AudioFrame.from_ndarray(wave[: rate // 30].astype("f4")[None], "flt", "mono")
            frame.sample_rate, frame.pts = rate, n * (rate // 30)
            frame.time_base = Fraction(1, rate)
            for converted in into.resample(frame):
                out.mux(sound.encode(converted))
        out.mux(video.encode(None))
        out.mux(sound.encode(None))
    return target


def many_channels(target: Path, count: int) -> None:
    """A video with a tone in all of so many channels; Matroska does not tell which is which."""
    video = target.with_name("video.mp4")
    clips.constant_rate(video, frames=60)
    layouts = {1: "mono", 2: "stereo", 4: "4.0", 6: "5.1", 8: "7.1", 16: "hexadecagonal"}
    with av.open(str(target), "w") as out, av.open(str(video)) as container:
        picture = out.add_stream_from_template(container.streams.video[0])
        sound: Any = out.add_stream("pcm_s16le", rate=48000, layout=layouts[count])
        for packet in container.demux(video=0):
            if packet.dts is not None and packet.size:
                packet.stream = picture
                out.mux(packet)
        wave = np.sin(np.arange(96000) * 2 * np.pi * 440 / 48000)
        for start in range(0, 96000, 960):
            part = np.repeat((8000 * wave[start : start + 960]).astype(np.int16), count)[None]
            frame = av.AudioFrame.from_ndarray(part, "s16", layouts[count])
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))


@pytest.mark.parametrize("count", [1, 2, 4, 6, 8])
def test_channels_without_names_get_the_usual_ones(count: int, tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mp4"
    many_channels(source, count)
    copy(source, target)
    with av.open(str(target)) as container:
        assert container.streams.audio[0].codec_context.layout.nb_channels == count
    assert heard(target) == pytest.approx((2.0, 2.0), abs=0.05)
    assert numbers(target) == list(range(60))


def test_more_channels_than_have_a_name_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mp4"
    many_channels(source, 16)
    copy(source, target)
    assert len([r for r in caplog.records if "16 channels" in r.message]) == 1
    assert clips.sound_span(target) is None
    assert numbers(target) == list(range(60))


# Subtitles, chapters, tags -----------------------------------------------------------------------

TITLES = [(0.2, 0.7, "First line"), (1.1, 0.6, "Second line")]
CHAPTERS = [(0, 1000, "One"), (1000, 2000, "Two")]
TAGS = {"title": "A film", "artist": "Somebody"}


Titles = Sequence[tuple[float, float, str]]


def furnished(target: Path, titles: Titles = TITLES, frames: int = 60, **tags: str) -> None:
    """Video and sound of two seconds with subtitles (srt), two chapters and tags."""
    given = target.with_name("given.mp4")
    clips.with_sound(given, frames=frames)
    with av.open(str(target), "w") as out, av.open(str(given)) as container:
        streams = {s.index: out.add_stream_from_template(s) for s in container.streams}
        streams[1].metadata["language"] = "fra"
        texts: Any = out.add_mux_stream("subrip", time_base=Fraction(1, 1000))
        texts.metadata["language"] = "ger"
        out.metadata.update({**TAGS, **tags})
        out.set_chapters(
            [
                {
                    "id": number,
                    "start": start,
                    "end": end,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": title},
                }
                for number, (start, end, title) in enumerate(CHAPTERS)
            ]
        )
        packets = [p for p in container.demux() if p.dts is not None and p.size]
        for packet in packets:
            packet.stream = streams[packet.stream.index]
            out.mux(packet)
        for begin, length, text in titles:
            packet = av.Packet(text.encode())
            packet.pts = packet.dts = round(1000 * begin)
            packet.duration, packet.time_base = round(1000 * length), Fraction(1, 1000)
            packet.stream, packet.is_keyframe = texts, True
            out.mux(packet)


def subtitles(path: Path) -> Iterator[tuple[float, float, str]]:
    """Start, length and text of each line of a file's subtitles."""
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.subtitles[0]):
            data = bytes(packet)
            if packet.pts is not None and len(data) > 2:
                base = float(packet.time_base)
                text = data[2:] if data[0] == 0 else data
                yield packet.pts * base, packet.duration * base, text.decode()


@pytest.mark.parametrize("container", CONTAINERS)
def test_chapters_and_tags_are_copied(container: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / f"out.{container}"
    furnished(source)
    copy(source, target)
    with av.open(str(target)) as opened:
        found = [
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]["title"])
            for c in opened.chapters()
        ]
        tags = {key.lower(): value for key, value in opened.metadata.items()}
        assert opened.streams.audio[0].metadata["language"] in ("fra", "fre")
    assert found == [(0, 1, "One"), (1, 2, "Two")]
    assert {key: tags[key] for key in TAGS} == TAGS
    assert numbers(target) == list(range(60))


@pytest.mark.parametrize("container", CONTAINERS)
def test_tags_of_ones_own_are_copied(container: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / f"out.{container}"
    furnished(source, camera_number="17")
    copy(source, target)
    with av.open(str(target)) as opened:
        tags = {key.lower(): value for key, value in opened.metadata.items()}
    assert tags["camera_number"] == "17"
    assert tags["title"] == "A film"


def test_chapters_begin_with_the_film(tmp_path: Path) -> None:
    """A film that is written from its own start, not from the clock's zero."""
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    furnished(source)
    reader = reading(source)
    sink = VideoFileSink(str(target), reader.info, QUICK)
    sink._extras.begin(1.5)  # type: ignore[union-attr]
    assert [(c["start"], c["end"], c["metadata"]["title"]) for c in sink._container.chapters()] == [
        (0, 500, "Two")
    ]
    reader.close()
    sink.close()


def test_subtitles_are_copied_where_the_container_holds_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    furnished(source)
    copy(source, target)
    assert list(subtitles(target)) == [
        (pytest.approx(begin), pytest.approx(length), text)
        for begin, length, text in subtitles(source)
    ]
    assert [text for _, _, text in subtitles(target)] == [text for _, _, text in TITLES]
    with av.open(str(target)) as opened:
        assert opened.streams.subtitles[0].metadata["language"] in ("deu", "ger")
    assert "left out" not in caplog.text


@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_subtitles_become_the_text_that_the_container_holds(container: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / f"out.{container}"
    furnished(source)
    copy(source, target)
    expected = [
        (pytest.approx(begin), pytest.approx(length), text)
        for begin, length, text in subtitles(source)
    ]
    assert list(subtitles(target)) == expected
    with av.open(str(target)) as opened:
        assert opened.streams.subtitles[0].codec_context.name == "mov_text"
        assert opened.streams.subtitles[0].metadata["language"] in ("deu", "ger")
    copy(target, tmp_path / "again.mkv")
    again = list(subtitles(tmp_path / "again.mkv"))
    assert [text for _, _, text in again] == [text for _, _, text in TITLES]
    assert [length for _, length, _ in again] == pytest.approx([le for _, le, _ in TITLES])
    assert numbers(target) == list(range(60))


# Texts, and what of them mp4 and mov can show: one at a time, each until the next.
LONG, AT_ONCE = [(0.021, 1.0, "A"), (1.2, 0.8, "B")], [(0.3, 0.2, "A"), (0.5, 1.3, "B")]
OVER = [(0.1, 0.9, "A"), (0.9, 1.0, "B"), (1.0, 0.5, "C"), (1.001, 0.2, "D")]
OVER_SHOWN = [
    *((0.1, 0.8, "A"), (0.9, 0.1, "A\nB"), (1.0, 0.001, "B\nC"), (1.001, 0.2, "B\nC\nD")),
    *((1.201, 0.299, "B\nC"), (1.5, 0.4, "B")),
]
MANY = [(0.1 + 0.35 * n, length, f"{n}") for n, length in enumerate([0.2, 0.35, 0.3] * 4)]


@pytest.mark.parametrize("container", ["mp4", "mov"])
@pytest.mark.parametrize(
    ("titles", "shown"),
    [(LONG, LONG), (AT_ONCE, AT_ONCE), (OVER, OVER_SHOWN), (MANY, MANY)],
    ids=["long", "at once", "over each other", "many"],
)
def test_texts_leave_pictures_and_sound_their_times(
    titles: Titles, shown: Titles, container: str, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / f"out.{container}"
    furnished(source, titles, frames=150 if titles is MANY else 66)  # longer than the texts
    copy(source, target)
    shift = times(source)[0]  # by which sound begins before the first picture
    assert list(subtitles(target)) == [
        (pytest.approx(begin + shift, abs=0.001), pytest.approx(length, abs=0.001), text)
        for begin, length, text in shown
    ]
    assert times(target) == pytest.approx(times(source), abs=0.001)
    (before,), (after,) = sound_packets(source), sound_packets(target)
    assert [time for time, _ in after] == pytest.approx([time for time, _ in before], abs=0.001)


@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_a_text_without_a_length_is_shown_until_the_next(container: str) -> None:
    track = Track(2, "subtitle", "subrip", None, None)
    with av.open(io.BytesIO(), "w", container) as output:
        words = Words(track, output)
        found = []
        for time, text in ((0, b"One"), (7000, b"Two")):
            packet = av.Packet(text)
            packet.pts = packet.dts = time
            packet.duration, packet.time_base = 0, Fraction(1, 1000)
            found += list(words.take(packet))
            found += list(words.due(time / 1000 + 1))
        found += list(words.take(None))
    spans = [(p.pts / 90_000, p.duration / 90_000, bytes(p)[2:]) for p in found if bytes(p)[2:]]
    assert spans == [(0.0, 5.0, b"One"), (7.0, 5.0, b"Two")]


@pytest.mark.parametrize(
    ("codec", "data", "words"),
    [
        ("ass", rb"3,0,Default,,0,0,0,,{\b1}Hi, you{\b0}\Nthere", "Hi, you\nthere"),
        ("subrip", b"<i>One</i> < two {\\an8}", "One < two"),
        ("mov_text", b"\0\x03One\0\0\0\x0cstyl", "One"),
    ],
)
def test_words_are_kept_and_styles_are_not(codec: str, data: bytes, words: str) -> None:
    track = Track(2, "subtitle", codec, None, None)
    with av.open(io.BytesIO(), "w", "matroska") as output:
        packet = av.Packet(data)
        packet.pts = packet.dts = 0
        packet.duration, packet.time_base = 1000, Fraction(1, 1000)
        (put,) = Words(track, output).take(packet)
        assert bytes(put).decode() == words


def test_other_videos_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = clips.constant_rate(tmp_path / "1.mp4").path
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as out, av.open(str(one)) as given:
        streams = [out.add_stream_from_template(given.streams.video[0]) for _ in range(2)]
        for packet in given.demux(video=0):
            if packet.dts is not None and packet.size:
                for stream in streams:
                    again = copied(packet)
                    again.stream = stream
                    out.mux(again)
    copy(source, tmp_path / "out.mp4")
    (warning,) = [r.message for r in caplog.records if "left out" in r.message]
    assert "another video (h264)" in warning


def test_what_the_container_cannot_hold_is_left_out_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain, source, target = tmp_path / "plain.mkv", tmp_path / "in.mkv", tmp_path / "out.mp4"
    furnished(plain)
    with av.open(str(source), "w") as out, av.open(str(plain)) as container:
        streams = {s.index: out.add_stream_from_template(s) for s in container.streams}
        for name in ("a.ttf", "b.ttf"):
            out.add_attachment(name, "font/ttf", b"letters")
        for packet in container.demux():
            if packet.dts is not None and packet.size:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    copy(source, target)
    warnings = [r.message for r in caplog.records if "left out" in r.message]
    assert len(warnings) == 1
    assert "a.ttf" in warnings[0]
    assert "b.ttf" in warnings[0]
    assert numbers(target) == list(range(60))
    copy(source, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as opened:
        kept = [(s.name, s.data) for s in opened.streams if s.type == "attachment"]
    assert kept == [("a.ttf", b"letters"), ("b.ttf", b"letters")]


# Files that can be read once only ----------------------------------------------------------------

_COPY = """
import sys
from livevision.capture.options import SourceOptions
from livevision.capture.video_file import VideoFileSource
from livevision.output.options import OutputOptions
from livevision.output.video_file import VideoFileSink
from tests.output.feeding import feed
source = VideoFileSource(sys.argv[1], SourceOptions(copies=1))
sink = VideoFileSink(sys.argv[2], source.info, OutputOptions(preset="ultrafast"))
feed(sink, source)
sink.close()
"""


@pytest.mark.parametrize("way", ["-", "/dev/stdin", "fifo"])
def test_what_comes_through_a_pipe_keeps_its_sound_and_shape(way: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.ts", tmp_path / "out.mp4"
    clips.with_sound(source, frames=60, options={"x264-params": "sar=4/3"})
    pipe = tmp_path / "pipe"
    read = str(pipe) if way == "fifo" else way
    program = [sys.executable, "-c", _COPY, read, str(target)]
    root = Path(__file__).parents[2]
    if way == "fifo":
        subprocess.run(["mkfifo", str(pipe)], check=True)
        writer = subprocess.Popen(["sh", "-c", f"cat {source} > {pipe}"])
        done = subprocess.run(program, cwd=root, timeout=60, check=False, capture_output=True)
        writer.wait(10)
    else:
        with subprocess.Popen(["cat", str(source)], stdout=subprocess.PIPE) as cat:
            done = subprocess.run(
                program, stdin=cat.stdout, cwd=root, timeout=60, check=False, capture_output=True
            )
    assert done.returncode == 0, done.stderr
    assert numbers(target) == list(range(60))
    assert heard(target) == pytest.approx((2.0, 2.0), abs=0.08)
    with av.open(str(target)) as opened:
        assert opened.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv"])
def test_a_file_from_the_web_keeps_its_sound_and_shape(name: str, tmp_path: Path) -> None:
    source, target = tmp_path / name, tmp_path / "out.mp4"
    front = {"movflags": "faststart"} if name == "in.mp4" else {}
    shape = {"x264-params": "sar=4/3"}
    clips.with_sound(source, frames=60, options=shape, container_options=front)
    with http_files(tmp_path) as address:
        stream = StreamSource(f"{address}/{name}", SourceOptions(copies=1))
        sink = VideoFileSink(str(target), stream.info, QUICK)
        feed(sink, stream)
        sink.close()
    assert numbers(target) == list(range(60))
    assert heard(target) == pytest.approx((2.0, 2.0), abs=0.08)
    with av.open(str(target)) as opened:
        assert opened.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
