"""The sound of recordings and clips: the source's own packets, cut with the pictures."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from livevision.capture.options import SourceOptions
from livevision.capture.stream import StreamSource
from livevision.frame import Inferred
from livevision.media.packets import PacketRing
from tests import beeps, clips
from tests.analysis.making import detections
from tests.capture.servers import rtsp_server
from tests.output.feeding import sound_packets
from tests.runtime import test_segments
from tests.runtime.test_clips import BOX, at, event, file, keeping, watched
from tests.runtime.test_segments import index

FRAME_S = 1 / beeps.RATE
IN_STEP_S = 0.05


def recorded(folder: Path, opening: Callable[[Any], Any], **more: Any) -> list[Path]:
    """The segments of a source that is recorded with its sound."""
    test_segments.recorded(folder, opening, ring=PacketRing(2.0, sound=True), **more)
    return [folder / row.file for row in index(folder)]


def sound_of(path: Path) -> list[tuple[float, bytes]]:
    """Time and bytes of each packet of the sound."""
    (found,) = sound_packets(path)
    return found


def codec_of(path: Path) -> str:
    with av.open(str(path)) as container:
        return str(container.streams.audio[0].codec_context.codec.canonical_name)


def in_step(path: Path, times: int) -> None:
    """A file beeps when it flashes."""
    flashes, heard = beeps.flashes(path), beeps.beeps(path)
    assert len(flashes) == len(heard) == times
    assert heard == pytest.approx(flashes, abs=IN_STEP_S)


# By codec: the container that it comes in, what a segment has, and seconds of a packet.
CODECS = {
    "aac": ("aac", ".mp4", 44100, "aac", 1024 / 44100),
    "aac-with-headers": ("aac", ".ts", 44100, "aac", 1024 / 44100),
    "mp3": ("libmp3lame", ".mkv", 48000, "mp3", 1152 / 48000),
    "ac3": ("ac3", ".ts", 48000, "ac3", 1536 / 48000),
    "opus": ("libopus", ".mkv", 48000, "opus", 0.02),
    "a-law": ("pcm_alaw", ".mov", 8000, "aac", 1024 / 8000),
    "mu-law": ("pcm_mulaw", ".mov", 8000, "aac", 1024 / 8000),
}


@pytest.mark.parametrize("kind", sorted(CODECS))
def test_sound_is_cut_with_the_pictures(kind: str, tmp_path: Path) -> None:
    encoder, suffix, rate, becomes, length = CODECS[kind]
    source = beeps.beeping(tmp_path / f"a{suffix}", codec=encoder, rate=rate, b_frames=2, seconds=4)
    segments = recorded(tmp_path / "r", file(source), seconds=2.0)
    assert [path.suffix for path in segments] == [".mp4"] * 2
    joined = []
    for path in segments:
        in_step(path, 2)
        assert codec_of(path) == becomes
        begin, end = clips.sound_span(path) or (9.9, 9.9)
        assert -0.001 - (length if becomes != kind else 0) <= begin <= length
        assert 2 - FRAME_S < end < 2 + FRAME_S + 2 * length
        joined += [data for _, data in sound_of(path)]
    if kind in ("aac", "mp3", "ac3", "opus"):
        whole = [data for _, data in sound_of(source)]
        first = len(whole) - len(joined)
        assert 0 <= first <= 2, "all but what a decoder has before the first picture"
        assert joined == whole[first:], "nothing is lost, repeated or encoded anew"


# What begins late in a transport stream is not described anywhere before.
@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "aac"), (".ts", "aac"), (".ts", "ac3")])
def test_sound_that_begins_late_is_recorded_from_then_on(
    suffix: str, codec: str, tmp_path: Path
) -> None:
    source = beeps.beeping(
        tmp_path / f"a{suffix}", codec=codec, rate=48000, heard=(7.8, 99.0), seconds=11
    )
    silent, heard = recorded(tmp_path / "r", file(source), seconds=60.0)
    assert clips.sound_span(silent) is None
    # A segment whose sound began later would be readable from then on only.
    assert 6.0 <= len(clips.read_clip(silent)) / beeps.RATE <= 8.0
    assert beeps.beeps(heard) == pytest.approx(beeps.flashes(heard)[-3:], abs=IN_STEP_S)
    assert len(clips.read_clip(silent)) + len(clips.read_clip(heard)) == 110


def test_sound_that_is_lost_midway_costs_no_pictures(tmp_path: Path) -> None:
    source = beeps.beeping(tmp_path / "a.mkv", heard=(0.0, 3.0), seconds=8)
    readable: list[float] = []

    def see(frame: Any, made: Any) -> None:
        """While it is recorded all but the last second can be read."""
        copy, latest = tmp_path / "copy.mp4", time.monotonic() + 20
        while frame.index == 70 and max(readable, default=0) < 5.5 and time.monotonic() < latest:
            for path in (tmp_path / "r").rglob("door*.mp4"):
                shutil.copyfile(path, copy)
                with contextlib.suppress(av.error.FFmpegError):
                    readable.extend(read.time for read in clips.read_clip(copy))  # none at first

    (path,) = recorded(tmp_path / "r", file(source), seconds=60.0, see=see)
    assert max(readable, default=0) >= 5.5, (
        "what is recorded is readable while the sound is missing"
    )
    assert len(clips.read_clip(path)) == 80
    assert beeps.beeps(path) == pytest.approx(beeps.flashes(path)[:3], abs=IN_STEP_S)
    assert clips.sound_span(path) == pytest.approx((0, 3), abs=0.1)


def test_the_seconds_around_an_event_are_heard(tmp_path: Path) -> None:
    source = beeps.beeping(tmp_path / "a.mkv")
    (path,) = recorded(tmp_path / "r", file(source), mode="on-event", happens=at(3.0), seconds=60.0)
    assert len(clips.read_clip(path)) == 31
    in_step(path, 3)


def test_a_source_without_sound_is_recorded_as_before(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=60, gop=10)
    (path,) = recorded(tmp_path / "r", file(made.path))
    assert test_segments.packets(path) == test_segments.packets(made.path)
    assert clips.sound_span(path) is None


def test_without_the_setting_there_is_no_sound(tmp_path: Path) -> None:
    source = beeps.beeping(tmp_path / "a.mkv", seconds=3)
    test_segments.recorded(tmp_path / "r", file(source))
    (row,) = index(tmp_path / "r")
    (told,) = watched(keeping(tmp_path / "c"), file(source), at(1.0))
    for path in (tmp_path / "r" / row.file, Path(told.clip or "")):
        assert len(beeps.flashes(path)) >= 2
        assert clips.sound_span(path) is None


@pytest.mark.parametrize("kind", ["aac-with-headers", "a-law"])
def test_a_clip_has_the_sound_of_its_seconds(kind: str, tmp_path: Path) -> None:
    encoder, suffix, rate, _, length = CODECS[kind]
    source = beeps.beeping(tmp_path / f"a{suffix}", codec=encoder, rate=rate)
    ring = PacketRing(2.0, sound=True)
    (told,) = watched(keeping(tmp_path / "c"), file(source), at(3.1), ring=ring)
    path = Path(told.clip or "")
    in_step(path, 3)
    begin, end = clips.sound_span(path) or (9.9, 9.9)
    assert abs(begin) <= length
    assert end == pytest.approx(3.1, abs=2 * length + FRAME_S)


def test_a_clip_has_sound_that_begins_later(tmp_path: Path) -> None:
    source = beeps.beeping(tmp_path / "a.mkv", heard=(3.0, 99.0))
    ring = PacketRing(3.0, sound=True)
    (told,) = watched(keeping(tmp_path / "c", before=3.0), file(source), at(3.0), ring=ring)
    path = Path(told.clip or "")
    assert len(beeps.flashes(path)) == 4
    assert beeps.beeps(path) == pytest.approx(beeps.flashes(path)[3:], abs=IN_STEP_S)


def test_a_file_that_is_looped_goes_on_with_its_sound(tmp_path: Path) -> None:
    source = beeps.beeping(tmp_path / "a.mkv", seconds=2)
    (path,) = recorded(
        tmp_path / "r", file(source, loop=True), seconds=60.0,
        see=lambda frame, made: frame.time > 5.9,
    )  # fmt: skip
    in_step(path, len(beeps.flashes(path)))
    assert len(beeps.flashes(path)) >= 5


def test_a_camera_whose_sound_changes(tmp_path: Path) -> None:
    """A reconnection brings A-law instead of AAC: segments have both, a clip the first."""
    first = beeps.beeping(tmp_path / "1.mkv", seconds=20)
    second = beeps.beeping(tmp_path / "2.mkv", codec="pcm_s16le", rate=8000, seconds=20)
    made = keeping(tmp_path / "c", before=1.0, after=20.0)
    told: list[Any] = []
    with rtsp_server(first, sound="aac") as server:
        killed: list[float] = []

        def see(frame: Any, of_run: Any) -> bool:
            found = Inferred(frame, {"net": detections([BOX], numbers=[1])})
            made.look(found)
            if not killed and frame.time > 3:
                told.extend(made.of([event(frame)], found, 0))
                server.kill()
                server.serve(second, "pcma")
                server.start()
            if frame.time > 3:
                killed.append(frame.time)
            return len(killed) > 40

        def opening(ring: Any) -> StreamSource:
            source = StreamSource(server.url, SourceOptions(ring=ring, retry_for=20))
            made.opened(0, source.info, ring)
            return source

        segments = recorded(tmp_path / "r", opening, see=see, seconds=60.0)
    made.ended(0)
    made.close()
    assert [codec_of(path) for path in segments] == ["aac", "aac"]
    before, after = segments
    assert sample_rate(before) == 44100
    assert sample_rate(after) == 8000
    clip = Path(told[0].clip or "")
    for path, least in ((before, 2), (after, 3), (clip, 1)):
        # Of a connection that breaks the last sound or pictures may be missing.
        flashes, heard = beeps.flashes(path), beeps.beeps(path)
        both = min(len(flashes), len(heard))
        assert both >= least
        assert heard[:both] == pytest.approx(flashes[:both], abs=IN_STEP_S)
        assert len(heard) - both <= 1
        assert len(flashes) - both <= 1 or path == clip
    _, silent_from = clips.sound_span(clip) or (9.9, 9.9)
    assert clips.read_clip(clip)[-1].time > silent_from + 0.5, "its pictures go on"


def sample_rate(path: Path) -> int:
    with av.open(str(path)) as container:
        return int(container.streams.audio[0].codec_context.sample_rate)
