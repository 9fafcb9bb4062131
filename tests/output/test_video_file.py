"""Videos that are written, read back: pictures, times, sound, colours, sizes, and bad ends."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from livevision.errors import OutputError
from livevision.frame import Colours
from livevision.output.options import OutputOptions
from livevision.output.video_file import VideoFileSink
from tests import clips
from tests.output.feeding import copy, duration, feed, plain_info, reading, rendered, sound_packets

QUICK = OutputOptions(preset="ultrafast")
CONTAINERS = ["mp4", "mkv", "mov"]
TICK = {"mp4": 1e-5, "mov": 1e-5, "mkv": 0.00051}


def numbers(path: Path) -> list[int | None]:
    return [frame.number for frame in clips.read_clip(path)]


class TestTimes:
    @pytest.mark.parametrize("container", CONTAINERS)
    @pytest.mark.parametrize(
        "make", [clips.constant_rate, clips.variable_rate, clips.late_start, clips.with_b_frames]
    )
    @pytest.mark.parametrize("sound", [False, True])
    def test_every_frame_has_the_time_it_had(
        self, tmp_path: Path, make: Any, container: str, sound: bool
    ) -> None:
        source, target = tmp_path / "in.mp4", tmp_path / f"out.{container}"
        clip = make(source, sound=sound)
        copy(source, target)
        frames = clips.read_clip(target)
        assert [f.number for f in frames] == list(range(clip.frames))
        assert [f.time for f in frames] == pytest.approx(clip.times, abs=TICK[container])
        if container != "mkv":
            assert duration(target) == pytest.approx(duration(source), abs=0.0001)

    def test_a_matroska_file_lasts_as_long_as_its_source(self, tmp_path: Path) -> None:
        source, target = tmp_path / "in.mp4", tmp_path / "out.mkv"
        clips.variable_rate(source)
        copy(source, target)
        assert duration(target) == pytest.approx(duration(source), abs=0.001)
        again = tmp_path / "again.mp4"
        copy(target, again)
        assert duration(again) == pytest.approx(duration(source), abs=0.001)

    def test_a_long_last_picture_keeps_its_duration(self, tmp_path: Path) -> None:
        source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
        clips.make_clip(source, times=[0, 0.1, 0.2, 3.0], rate=1)
        assert duration(source) == pytest.approx(4.0)
        copy(source, target)
        assert duration(target) == pytest.approx(4.0)

    def test_frames_left_out_leave_the_duration(self, tmp_path: Path) -> None:
        source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
        clips.constant_rate(source, frames=30)
        copy(source, target, stride=4)
        assert numbers(target) == list(range(0, 30, 4))
        assert duration(target) == pytest.approx(1.0, abs=0.001)

    def test_a_clock_that_stands_still_or_goes_back_does_not_break_the_file(
        self, tmp_path: Path
    ) -> None:
        target = tmp_path / "out.mp4"
        sink = VideoFileSink(str(target), plain_info(), QUICK)
        for index, time in enumerate([0, 0.1, 0.1, 0.05, 0.2, float(2**-20) + 0.2]):
            sink.write(rendered(index, time=time))
        sink.close()
        frames = clips.read_clip(target)
        assert [f.number for f in frames] == list(range(6))
        times = [f.time for f in frames]
        assert times == sorted(set(times))

    @pytest.mark.parametrize(("live", "start"), [(True, 7.0), (False, 86400.0)])
    def test_what_begins_by_a_clock_is_written_from_zero(
        self, tmp_path: Path, live: bool, start: float
    ) -> None:
        target = tmp_path / "out.mp4"
        sink = VideoFileSink(str(target), replace(plain_info(), live=live), QUICK)
        for index in range(5):
            sink.write(rendered(index, time=start + index / 10))
        sink.close()
        times = [f.time for f in clips.read_clip(target)]
        assert times == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=1e-4)

    @pytest.mark.parametrize("base", [Fraction(1, 25), Fraction(1001, 30000), Fraction(1, 10**9)])
    def test_any_unit_of_time_will_do(self, tmp_path: Path, base: Fraction) -> None:
        target = tmp_path / "out.mp4"
        sink = VideoFileSink(str(target), replace(plain_info(), time_base=base), QUICK)
        for index in range(10):
            sink.write(rendered(index, time=float(index * Fraction(1001, 30000))))
        sink.close()
        expected = [index * 1001 / 30000 for index in range(10)]
        assert [f.time for f in clips.read_clip(target)] == pytest.approx(expected, abs=5e-5)


class TestSound:
    @pytest.mark.parametrize("container", CONTAINERS)
    def test_packets_are_copied_bit_for_bit_at_their_times(
        self, tmp_path: Path, container: str
    ) -> None:
        source, target = tmp_path / "in.mp4", tmp_path / f"out.{container}"
        clips.with_sound(source, frames=60)
        copy(source, target)
        (before,), (after,) = sound_packets(source), sound_packets(target)
        assert [data for _, data in after] == [data for _, data in before]
        assert [t for t, _ in after] == pytest.approx([t for t, _ in before], abs=0.001)

    def test_every_track_is_copied(self, tmp_path: Path) -> None:
        first, second = tmp_path / "a.mp4", tmp_path / "b.mp4"
        clips.with_sound(first)
        clips.with_sound(second, frames=20)
        source, target = tmp_path / "in.mkv", tmp_path / "out.mp4"
        join(source, (first, "video"), (first, "audio"), (second, "audio"))
        copy(source, target)
        tracks = [[data for _, data in track] for track in sound_packets(target)]
        assert tracks == [[data for _, data in track] for track in sound_packets(source)]
        assert len(tracks) == 2

    def test_sound_goes_no_further_than_a_video_that_was_stopped(self, tmp_path: Path) -> None:
        source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
        clips.with_sound(source, frames=90)
        copy(source, target, frames=30)
        (before,), (after,) = sound_packets(source), sound_packets(target)
        assert [data for _, data in after] == [data for time, data in before if time < 1.0]

    def test_sound_longer_than_the_video_is_kept_whole(self, tmp_path: Path) -> None:
        short, long = tmp_path / "short.mp4", tmp_path / "long.mp4"
        clips.constant_rate(short, frames=20)
        clips.with_sound(long, frames=60)
        source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
        join(source, (short, "video"), (long, "audio"))
        copy(source, target)
        assert sound_packets(target) == sound_packets(source)
        assert duration(target) == pytest.approx(duration(source), abs=0.001)

    def test_sound_shorter_than_the_video_does_not_hold_it_up(self, tmp_path: Path) -> None:
        short, long = tmp_path / "short.mp4", tmp_path / "long.mp4"
        clips.with_sound(short, frames=10)
        clips.constant_rate(long, frames=60)
        source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
        join(source, (long, "video"), (short, "audio"))
        copy(source, target)
        assert sound_packets(target) == sound_packets(source)
        assert numbers(target) == list(range(60))

    def test_a_codec_that_mp4_cannot_hold_is_encoded_anew(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        source = tmp_path / "in.mov"
        telephone_sound(source, seconds=2.0)
        kept, changed = tmp_path / "kept.mov", tmp_path / "changed.mp4"
        copy(source, kept)
        ((before,), (after,)) = sound_packets(source), sound_packets(kept)
        assert b"".join(data for _, data in after) == b"".join(data for _, data in before)
        assert "encoded anew" not in caplog.text
        copy(source, changed)
        assert caplog.text.count("pcm_mulaw sound is encoded anew as AAC") == 1
        with av.open(str(changed)) as container:
            sound = container.streams.audio[0]
            assert sound.codec_context.name == "aac"
            waves = [frame.to_ndarray()[0] for frame in container.decode(sound)]
        wave = np.concatenate(waves)
        assert wave.size / 8000 == pytest.approx(2.0, abs=0.3)
        # A tone of 440 a second crosses zero 880 times.
        assert np.sum(np.diff(np.sign(wave[1000:9000])) != 0) == pytest.approx(880, abs=8)
        assert numbers(changed) == list(range(60))

    @pytest.mark.parametrize(
        ("codec", "container", "becomes"),
        [
            ("ac3", "mp4", "ac3"),
            ("libopus", "mp4", "opus"),
            ("flac", "mkv", "flac"),
            ("pcm_s16le", "mov", "pcm_s16le"),
            ("flac", "mov", "aac"),
            ("pcm_s16le", "mp4", "aac"),
        ],
    )
    def test_each_codec_is_copied_where_its_container_holds_it(
        self, tmp_path: Path, codec: str, container: str, becomes: str
    ) -> None:
        source, target = tmp_path / "in.mkv", tmp_path / f"out.{container}"
        tone(source, codec)
        copy(source, target)
        with av.open(str(target)) as opened:
            sound = opened.streams.audio[0]
            assert sound.codec_context.name == becomes
            seconds = sum(frame.samples for frame in opened.decode(sound)) / 48000
        assert seconds == pytest.approx(2.0, abs=0.05)
        assert numbers(target) == list(range(60))

    def test_sound_that_cannot_be_decoded_is_left_out(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        source, target = tmp_path / "in.nut", tmp_path / "out.mp4"
        broken_sound(source)
        copy(source, target)
        assert "left out its wmav2 sound" in caplog.text
        assert clips.sound_span(target) is None
        assert numbers(target) == list(range(30))

    def test_no_sound_where_none_is_wanted(self, tmp_path: Path) -> None:
        source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
        clips.with_sound(source, frames=5)
        copy(source, target, sound=False)
        assert clips.sound_span(target) is None
        assert numbers(target) == list(range(5))


class TestPicture:
    @pytest.mark.parametrize("container", ["mp4", "mkv"])
    def test_odd_sizes_gain_a_column_and_a_row_and_nothing_moves(
        self, tmp_path: Path, container: str
    ) -> None:
        target = tmp_path / f"out.{container}"
        options = replace(QUICK, crf=10)
        sink = VideoFileSink(str(target), plain_info((641, 359)), options)
        sink.write(rendered(3, size=(641, 359)))
        sink.close()
        (frame,) = clips.read_clip(target)
        assert frame.image.shape == (360, 642, 3)
        original = clips.numbered(3, (641, 359)).astype(int)
        assert np.abs(frame.image[:359, :641] - original).mean() < 4
        assert np.abs(frame.image[359, :641] - original[358]).mean() < 8

    def test_one_pixel(self, tmp_path: Path) -> None:
        target = tmp_path / "out.mp4"
        sink = VideoFileSink(str(target), plain_info((1, 1)), QUICK)
        for index in range(3):
            sink.write(rendered(index, np.full((1, 1, 3), 200, np.uint8)))
        sink.close()
        frames = clips.read_clip(target)
        assert len(frames) == 3
        assert abs(int(frames[0].image[0, 0, 1]) - 200) < 8

    def test_the_largest_videos(self, tmp_path: Path) -> None:
        target = tmp_path / "out.mp4"
        sink = VideoFileSink(str(target), plain_info((7680, 4320)), QUICK)
        for index in range(2):
            sink.write(rendered(index, size=(7680, 4320)))
        sink.close()
        with av.open(str(target)) as container:
            stream = container.streams.video[0]
            assert (stream.width, stream.height, stream.frames) == (7680, 4320, 2)
            first = next(container.decode(stream)).to_ndarray(format="bgr24")
        assert clips.frame_number(first) == 0

    @pytest.mark.parametrize("size", [(320, 240), (322, 242), (1280, 720)])
    @pytest.mark.parametrize("meaning", [Colours(1, 1), Colours(6, 6), Colours(9, 14)])
    def test_colours_are_what_they_were_and_are_declared(
        self, tmp_path: Path, size: tuple[int, int], meaning: Colours
    ) -> None:
        colours = [(0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255), (0, 0, 0), (60, 90, 200)]
        target = tmp_path / "out.mp4"
        image = np.zeros((size[1], size[0], 3), np.uint8)
        band = size[0] // len(colours)
        for place, colour in enumerate(colours):
            image[:, place * band : (place + 1) * band] = colour
        info = replace(plain_info(size), colours=meaning)
        sink = VideoFileSink(str(target), info, replace(QUICK, crf=5))
        sink.write(rendered(0, image))
        sink.close()
        with av.open(str(target)) as container:
            frame = next(container.decode(video=0))
            assert (frame.colorspace, frame.color_range) == (6, 1)
            context = container.streams.video[0].codec_context
            assert (context.color_primaries, context.color_trc) == meaning
            assert context.pix_fmt == "yuv420p"
            seen = frame.to_ndarray(format="bgr24", src_colorspace=5)
        for place, colour in enumerate(colours):
            middle = seen[size[1] // 2, place * band + band // 2]
            assert np.abs(middle.astype(int) - colour).max() <= 6, colour

    @pytest.mark.parametrize("size", [(320, 240), (322, 242)])
    def test_chroma_is_the_mean_of_the_pixels_it_stands_for(
        self, tmp_path: Path, size: tuple[int, int]
    ) -> None:
        stripes = np.zeros((size[1], size[0], 3), np.uint8)
        stripes[:, 0::2], stripes[:, 1::2] = (0, 0, 255), (255, 0, 0)
        target = tmp_path / "out.mp4"
        sink = VideoFileSink(str(target), plain_info(size), replace(QUICK, crf=5))
        sink.write(rendered(0, stripes))
        sink.close()
        mean = clips.read_clip(target)[0].image.reshape(-1, 3).mean(0)
        assert np.abs(mean - (127, 12, 127)).max() <= 8

    @pytest.mark.parametrize("height", [238, 240, 242, 270])
    def test_the_last_rows_and_their_colours_are_kept(self, tmp_path: Path, height: int) -> None:
        image = np.zeros((height, 320, 3), np.uint8)
        image[: height // 2], image[height // 2 : -4] = (0, 0, 255), (255, 0, 0)
        image[-4:] = (0, 255, 0)
        target = tmp_path / "out.mp4"
        sink = VideoFileSink(str(target), plain_info((320, height)), replace(QUICK, crf=5))
        sink.write(rendered(0, image))
        sink.close()
        seen = clips.read_clip(target)[0].image.astype(int)
        for row in (2, height // 2 - 4, height // 2 + 4, height - 8, height - 1):
            assert np.abs(seen[row, 160] - image[row, 160]).max() <= 8, row

    def test_a_picture_of_another_size_is_fitted_in_whole(self, tmp_path: Path) -> None:
        target = tmp_path / "out.mp4"
        sink = VideoFileSink(str(target), plain_info((320, 240)), QUICK)
        sink.write(rendered(0))
        sink.write(rendered(1, np.full((100, 300, 3), 200, np.uint8)))
        sink.close()
        second = clips.read_clip(target)[1].image
        assert second.shape == (240, 320, 3)
        assert second[120, 160].mean() > 190
        assert second[10, 160].mean() < 10

    def test_the_callers_picture_is_left_alone(self, tmp_path: Path) -> None:
        sink = VideoFileSink(str(tmp_path / "out.mp4"), plain_info(), QUICK)
        image = clips.numbered(0)
        before = image.copy()
        image.flags.writeable = False
        sink.write(rendered(0, image))
        sink.write(rendered(1, image[::-1]))
        sink.close()
        assert (image == before).all()

    def test_pixels_that_are_not_square_stay_so(self, tmp_path: Path) -> None:
        source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
        with av.open(str(source), "w") as container:
            stream: Any = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
            stream.codec_context.sample_aspect_ratio = Fraction(16, 11)
            container.mux(stream.encode(av.VideoFrame(320, 240, "yuv420p")))
            container.mux(stream.encode(None))
        copy(source, target)
        with av.open(str(target)) as container:
            assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 11)

    def test_the_file_is_about_as_large_as_the_source(self, tmp_path: Path) -> None:
        source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
        noise = np.random.default_rng(1).integers(0, 255, (240, 320, 3), dtype=np.uint8)
        clips.make_clip(
            source,
            frames=90,
            paint=lambda number, size: np.roll(noise, number * 7, axis=1),
            options={"preset": "ultrafast", "b": "1500k", "maxrate": "1500k", "bufsize": "500k"},
        )
        copy(source, target, preset="veryfast")
        # At constant quality alone this noise takes six times as much.
        assert 0.5 < target.stat().st_size / source.stat().st_size < 2.2


class TestEnds:
    def test_closing_twice_is_closing_once(self, tmp_path: Path) -> None:
        target = tmp_path / "out.mp4"
        sink = VideoFileSink(str(target), plain_info(), QUICK)
        sink.write(rendered(0))
        sink.close()
        written = target.read_bytes()
        sink.close()
        assert target.read_bytes() == written

    def test_a_finished_mp4_is_an_ordinary_one(self, tmp_path: Path) -> None:
        target = tmp_path / "out.mp4"
        sink = VideoFileSink(str(target), plain_info(), QUICK)
        for index in range(60):
            sink.write(rendered(index))
        sink.close()
        assert boxes(target) == ["ftyp", "mdat", "moov"]
        with av.open(str(target)) as container:
            container.seek(1_500_000)
            at = next(container.decode(video=0))
            assert at.time <= 1.5
            assert container.streams.video[0].frames == 60

    def test_without_frames_nothing_is_left_behind(self, tmp_path: Path) -> None:
        target = tmp_path / "out.mp4"
        VideoFileSink(str(target), plain_info(), QUICK).close()
        assert list(tmp_path.iterdir()) == []
        target.write_bytes(b"older")
        VideoFileSink(str(target), plain_info(), replace(QUICK, overwrite=True)).close()
        assert target.read_bytes() == b"older"
        assert list(tmp_path.iterdir()) == [target]

    def test_the_older_file_stays_until_the_new_one_is_finished(self, tmp_path: Path) -> None:
        target = tmp_path / "out.mp4"
        target.write_bytes(b"older")
        sink = VideoFileSink(str(target), plain_info(), replace(QUICK, overwrite=True))
        for index in range(60):
            sink.write(rendered(index))
        assert target.read_bytes() == b"older"
        sink.close()
        assert numbers(target) == list(range(60))
        assert list(tmp_path.iterdir()) == [target]

    @pytest.mark.parametrize("container", CONTAINERS)
    def test_a_killed_run_can_be_read_up_to_its_last_second(
        self, tmp_path: Path, container: str
    ) -> None:
        source, target = tmp_path / "in.mp4", tmp_path / f"out.{container}"
        clips.with_sound(source, frames=100)
        kill_after(75, source, target)
        found = numbers(target)
        assert found == list(range(len(found)))
        assert len(found) >= 75 - 30
        span = clips.sound_span(target)
        assert span is not None
        assert span[1] >= 75 / 30 - 1

    def test_a_killed_run_leaves_the_older_file_and_a_readable_part(self, tmp_path: Path) -> None:
        source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
        clips.with_sound(source, frames=100)
        target.write_bytes(b"older")
        kill_after(75, source, target)
        assert target.read_bytes() == b"older"
        assert len(numbers(tmp_path / "out.part.mp4")) >= 75 - 30
        # The remains of one crash are not the price of the next run.
        copy(source, target, overwrite=True)
        assert numbers(target) == list(range(100))
        assert len(numbers(tmp_path / "out.part.mp4")) >= 75 - 30

    @pytest.mark.parametrize("container", ["mp4", "mkv"])
    @pytest.mark.parametrize("share", [0.3, 0.995])
    def test_a_full_disk_costs_only_what_did_not_fit(
        self, tmp_path: Path, container: str, share: float
    ) -> None:
        source, target = tmp_path / "in.mp4", tmp_path / f"out.{container}"
        clips.with_sound(source, frames=100)

        def run() -> None:
            feed(sink, reader)
            sink.close()

        reader = reading(source)
        sink = VideoFileSink(str(target), reader.info, QUICK)
        run()
        limit = int(target.stat().st_size * share)
        target.unlink()
        reader = reading(source)
        sink = VideoFileSink(str(target), reader.info, QUICK)
        with largest_file(limit), pytest.raises(OutputError, match=r"cannot go on.*out\.") as told:
            run()
        assert str(told.value).count("\n") == 0
        sink.close()
        found = numbers(target)
        assert found == list(range(len(found)))
        assert len(found) >= 100 * share - 30
        assert list(tmp_path.iterdir()).count(target) == 1

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(OutputError, match="cannot write"):
            VideoFileSink(str(tmp_path / "file" / "out.mp4"), plain_info(), QUICK)

    def test_a_file_that_is_gone_once_it_is_open_keeps_its_sound(self, tmp_path: Path) -> None:
        source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
        clips.with_sound(source)
        before = sound_packets(source)
        reader = reading(source)
        source.unlink()
        sink = VideoFileSink(str(target), reader.info, QUICK)
        feed(sink, reader)
        sink.close()
        assert sound_packets(target) == before


def join(target: Path, *parts: tuple[Path, str]) -> None:
    """Put streams of several files into one, as they are."""
    with av.open(str(target), "w") as out:
        inputs = [av.open(str(path)) for path, _ in parts]
        packets = []
        for container, (_, kind) in zip(inputs, parts, strict=True):
            stream = getattr(container.streams, kind)[0]
            into = out.add_stream_from_template(stream)
            for packet in container.demux(stream):
                if packet.dts is not None and packet.size:
                    packets.append((float(packet.dts * packet.time_base), into, packet))
        for _, into, packet in sorted(packets, key=lambda item: item[0]):
            packet.stream = into
            out.mux(packet)
        for container in inputs:
            container.close()


def telephone_sound(target: Path, seconds: float) -> None:
    """A video with a tone in mu-law, which mov holds and mp4 does not."""
    video = target.with_name("video.mp4")
    clips.constant_rate(video, frames=round(seconds * 30))
    with av.open(str(target), "w") as out, av.open(str(video)) as container:
        picture = out.add_stream_from_template(container.streams.video[0])
        sound: Any = out.add_stream("pcm_mulaw", rate=8000, layout="mono")
        for packet in container.demux(video=0):
            if packet.dts is not None and packet.size:
                packet.stream = picture
                out.mux(packet)
        wave = 8000 * np.sin(np.arange(int(8000 * seconds)) * 2 * np.pi * 440 / 8000)
        for start in range(0, wave.size, 800):
            part = wave[start : start + 800].astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(part, "s16", "mono")
            frame.sample_rate, frame.pts = 8000, start
            out.mux(sound.encode(frame))


def tone(target: Path, codec: str) -> None:
    """A video of two seconds with a stereo tone."""
    video = target.with_name("video.mp4")
    clips.constant_rate(video, frames=60)
    with av.open(str(target), "w") as out, av.open(str(video)) as container:
        picture = out.add_stream_from_template(container.streams.video[0])
        sound: Any = out.add_stream(codec, rate=48000, layout="stereo")
        for packet in container.demux(video=0):
            if packet.dts is not None and packet.size:
                packet.stream = picture
                out.mux(packet)
        wave = 0.2 * np.sin(np.arange(96000) * 2 * np.pi * 440 / 48000)
        into = av.AudioResampler(sound.codec_context.format.name, "stereo", 48000)
        for start in range(0, wave.size, 960):
            part = np.stack([wave[start : start + 960]] * 2).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(part, "fltp", "stereo")
            frame.sample_rate, frame.pts = 48000, start
            for converted in into.resample(frame):
                out.mux(sound.encode(converted))
        out.mux(sound.encode(None))


def broken_sound(target: Path) -> None:
    """A video with a sound track whose header lacks what its decoder needs."""
    video = target.with_name("video.mp4")
    clips.constant_rate(video)
    with av.open(str(target), "w") as out, av.open(str(video)) as container:
        picture = out.add_stream_from_template(container.streams.video[0])
        sound: Any = out.add_stream("wmav2", rate=44100, layout="stereo")
        sound.bit_rate = 64000
        for packet in container.demux(video=0):
            if packet.dts is not None and packet.size:
                packet.stream = picture
                out.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 4096), np.float32), "fltp", "stereo")
        frame.sample_rate, frame.pts = 44100, 0
        out.mux(sound.encode(frame))


def boxes(path: Path) -> list[str]:
    """Names of an mp4 file's outermost boxes, without those that only fill space."""
    data, at, names = path.read_bytes(), 0, []
    while at < len(data):
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8].decode()
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        names.append(name)
        at += size
    return [name for name in names if name != "free"]


def kill_after(frames: int, source: Path, target: Path) -> None:
    """Write frames in another process and kill it without warning."""
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from livevision.output.options import OutputOptions\n"
        "from livevision.output.video_file import VideoFileSink\n"
        "from tests.output.feeding import feed, reading\n"
        "options = OutputOptions(overwrite=True, preset='veryfast')\n"
        "reader = reading(Path(sys.argv[1]))\n"
        "sink = VideoFileSink(sys.argv[2], reader.info, options)\n"
        "feed(sink, reader, frames=int(sys.argv[3]))\n"
        "print('written', flush=True)\n"
        "time.sleep(60)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(source), str(target), str(frames)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == b"written\n"
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond this: the same refusal as a full disk's, wherever tests run."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
