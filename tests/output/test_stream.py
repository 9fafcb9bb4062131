"""Streams to real servers on this machine, and HLS playlists, read back."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from livevision.config import Settings
from livevision.errors import OutputError, UsageError
from livevision.frame import Image
from livevision.output import stream
from livevision.output.options import OutputOptions
from livevision.output.stream import HlsSink, StreamSink
from livevision.output.target import locate, named_after
from livevision.protocols import SourceInfo
from livevision.runtime.metering import Meter
from livevision.runtime.run import Run
from tests import clips
from tests.output.feeding import plain_info, rendered

RATE = 25
LISTENING = {"rtsp": ["-rtsp_flags", "listen"], "rtmp": ["-listen", "1"], "udp": []}
FFMPEG = shutil.which("ffmpeg")

pytestmark = pytest.mark.skipif(FFMPEG is None, reason="ffmpeg is not installed")


def free_port(scheme: str) -> int:
    kind = socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Receiver:
    """FFmpeg as a server that takes one stream, and keeps it in a file."""

    def __init__(self, url: str, file: Path) -> None:
        self._file = file
        listening = LISTENING[url.partition(":")[0]]
        if not listening:
            url += "?timeout=2000000"
        self.process = subprocess.Popen(
            [
                *(str(FFMPEG), "-v", "error", "-probesize", "5000", *listening, "-i", url),
                *("-c", "copy", "-f", "nut", "-flush_packets", "1", "-y", str(file)),
            ],
            stdin=subprocess.DEVNULL,
        )
        time.sleep(1.0)  # it does not say when it listens

    @property
    def received(self) -> int:
        """Bytes so far."""
        return self._file.stat().st_size if self._file.exists() else 0

    def frames(self) -> list[clips.ReadFrame]:
        """What was received, once the sender has gone."""
        self.process.wait(20)
        return clips.read_clip(self._file)


def live() -> SourceInfo:
    return replace(plain_info(), live=True, rate=Fraction(RATE))


@pytest.mark.parametrize("scheme", ["rtsp", "rtmp", "udp"])
def test_every_frame_arrives_at_its_time(scheme: str, tmp_path: Path) -> None:
    url = f"{scheme}://127.0.0.1:{free_port(scheme)}/live/door"
    receiver = Receiver(url, tmp_path / "got.nut")
    sink = StreamSink(url, live())
    # From an hour on, with a gap, as a camera's clock and network have it.
    times = [3600 + n / RATE + (0.4 if n >= 20 else 0) for n in range(50)]
    for number, when in enumerate(times):
        sink.write(rendered(number, time=when))
        time.sleep(0.005)
    sink.close()
    frames = receiver.frames()
    assert [frame.number for frame in frames] == list(range(50))
    # FFmpeg's RTSP server does not know the time of the first frame.
    seen = [frame.time - frames[1].time for frame in frames[1:]]
    assert seen == pytest.approx([when - times[1] for when in times[1:]], abs=0.002)


def test_a_clean_stream_has_the_frame_as_it_was_captured(tmp_path: Path) -> None:
    drawn = rendered(7)
    captured = replace(drawn.frame, image=rendered(3).image)
    for prefix, number in (("", 7), ("clean:", 3)):
        path = tmp_path / prefix.rstrip(":") / "x.m3u8"
        sink = HlsSink(f"{prefix}{path}", live())
        sink.write(replace(drawn, frame=captured))
        sink.close()
        assert [f.number for f in clips.read_clip(path)] == [number]
    with pytest.raises(OutputError, match="--blur"):
        HlsSink(f"clean:{tmp_path / 'y.m3u8'}", live(), OutputOptions(hidden=frozenset({"person"})))


def test_a_playlist_keeps_the_last_segments_of_a_live_source(tmp_path: Path) -> None:
    path = tmp_path / "hls" / "x.m3u8"
    sink = HlsSink(str(path), live())
    for number in range(25 * RATE):
        sink.write(rendered(number % 500, time=number / RATE))
        if number == 10 * RATE:
            assert "#EXTM3U" in path.read_text(), "a viewer may come while it is written"
    sink.close()
    frames = clips.read_clip(path)
    segments = list(path.parent.glob("*.ts"))
    assert len(segments) <= 8
    assert 10 <= len(frames) / RATE <= 14
    assert frames[-1].number == (25 * RATE - 1) % 500
    with pytest.raises(OutputError, match="--overwrite"):
        HlsSink(str(path), live())


def test_a_file_is_streamed_at_its_own_speed_and_its_playlist_holds_all(tmp_path: Path) -> None:
    info = replace(plain_info(), rate=Fraction(RATE))
    path = tmp_path / "x.m3u8"
    sink = HlsSink(str(path), info)
    began = time.monotonic()
    for number in range(30):
        sink.write(rendered(number, time=number / RATE))
    assert time.monotonic() - began > 29 / RATE - 0.05
    sink.close()
    assert [f.number for f in clips.read_clip(path)] == list(range(30))


def test_a_server_may_die_and_come_back(tmp_path: Path) -> None:
    url = f"rtmp://127.0.0.1:{free_port('rtmp')}/live/door"
    servers = [Receiver(url, tmp_path / "0.nut")]
    settings = Settings.of(
        source="synthetic://320x240@20?paced=1&frames=4000",
        model="thundernet-snet49",
        output=[url, str(tmp_path / "all.jsonl")],
        headless=True,
    )
    run = Run(settings, Meter())

    def restart() -> None:
        _wait_for(lambda: servers[0].received > 3000)
        servers[0].process.kill()
        time.sleep(1.5)
        servers.append(Receiver(url, tmp_path / "1.nut"))
        _wait_for(lambda: servers[1].received > 3000)
        run.pipeline.stop()

    restarting = threading.Thread(target=restart)
    restarting.start()
    with closing(run.frames()) as frames:
        for _ in frames:
            pass
    restarting.join()
    assert servers[1].frames()
    report = run.report()
    lines, outlet = sorted(report["outlets"], key=lambda row: row["output"] == url)
    assert outlet["retries"] >= 1
    assert outlet["dropped"]["retrying"] > 0
    for each in (outlet, lines):
        assert each["frames_in"] == each["frames_out"] + sum(each["dropped"].values())
    rows = (tmp_path / "all.jsonl").read_text().splitlines()
    assert len(rows) == lines["frames_out"] == lines["frames_in"]


def test_a_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_SILENT_S", 0.5)
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (240, 320, 3), np.uint8) for _ in range(5)]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rtmp://127.0.0.1:{silent.getsockname()[1]}/live/door"
        sink = StreamSink(url, replace(live(), bit_rate=80_000_000))
        assert "taken nothing for 0.5 s" in _failure(sink, noise)
        sink.close()


def _failure(sink: StreamSink, images: Sequence[Image]) -> str:
    """What a sink says that fails within a thousand frames."""
    for number in range(100, 1100):
        try:
            sink.write(rendered(number, images[number % len(images)], time=number / RATE))
        except OutputError as error:
            return str(error)
        time.sleep(0.005)
    return ""


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_cannot_be_is_said_in_one_line() -> None:
    sink = StreamSink(f"rtmp://me:s%40secret:@127.0.0.1:{free_port('rtmp')}/live/x", live())
    said = _failure(sink, [rendered().image])
    sink.close()
    assert "connection refused" in said
    assert "secret" not in said
    assert "\n" not in said
    with pytest.raises(UsageError, match="clean: is for streams"):
        locate("clean:out.mp4")
    with pytest.raises(UsageError, match="a host is missing"):
        locate("rtsp://")
    with pytest.raises(UsageError, match=r"\{source\}"):
        locate("rtsp://host/live", sources=2)


def test_each_source_has_its_own_stream() -> None:
    target = locate("rtsp://host/live/{source}", sources=2)
    assert named_after(target, "cam 1").target == "rtsp://host/live/cam-1"
    folder = locate("hls/{source}.m3u8", sources=2)
    assert named_after(folder, "door").target == "hls/door.m3u8"
