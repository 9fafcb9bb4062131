"""How far a live stream is behind, by its own clock; and that it is caught up with."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import pytest

from livevision.capture import backlog
from livevision.capture.backlog import Backlog
from livevision.capture.decoder import Decoder
from livevision.capture.options import SourceOptions
from livevision.capture.stream import StreamSource
from livevision.capture.times import LiveTimes
from livevision.frame import Frame
from tests import clips
from tests.capture.servers import http_files, http_live, rtsp_server
from tests.clips import frame_number

RATE = 30
MPEGTS = ("-c", "copy", "-f", "mpegts")
MOTION_JPEG = (
    *("-c:v", "mjpeg", "-q:v", "3", "-f", "mpjpeg"),
    *("-content_type", "multipart/x-mixed-replace;boundary=ffmpeg"),
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty seconds with a key frame each half second."""
    path = tmp_path_factory.mktemp("clip") / "a.mkv"
    return clips.make_clip(path, frames=40 * RATE, rate=RATE, gop=15).path


def watch(source: StreamSource, seconds: float) -> list[tuple[Frame, int, float]]:
    """Frames for a while: each with the number in its picture and when it came."""
    found = []
    until = time.monotonic() + seconds
    for frame in source:
        found.append((frame, frame_number(frame.image), time.monotonic()))
        if time.monotonic() > until:
            break
    source.close()
    return found


@contextlib.contextmanager
def server_of(kind: str, clip: Path) -> Iterator[str]:
    if kind == "rtsp":
        with rtsp_server(clip) as rtsp:
            yield rtsp.url
    else:
        with http_live(clip, *(MPEGTS if kind == "mpegts" else MOTION_JPEG)) as http:
            yield http.url


@dataclass(frozen=True)
class Watched:
    """A stream that was watched: when that began, what came, and what was lost."""

    began: float
    seen: list[tuple[Frame, int, float]]
    losses: Mapping[str, int]


def watched(server: AbstractContextManager[str], seconds: float, **options: Any) -> Watched:
    with server as url:
        source = StreamSource(url, SourceOptions(**options))
        began = time.monotonic()
        seen = watch(source, seconds)
    return Watched(began, seen, dict(source.losses))


@pytest.fixture(scope="module")
def slowly(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Watched]:
    """Streams watched by a decoder that manages 20 frames a second; all at once, to wait once."""
    decode = Decoder._decode

    def slow(self: Decoder, packet: Any, last: bool) -> list[Any]:
        time.sleep(0.05)
        return decode(self, packet, last)

    folder = tmp_path_factory.mktemp("pieces")
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor() as pool:
        patch.setattr(Decoder, "_decode", slow)
        begun = {
            kind: pool.submit(watched, server_of(kind, clip), 7, retry_for=15)
            for kind in ("rtsp", "mpegts", "motion_jpeg")
        }
        server = server_of("mpegts", clip)
        begun["every frame"] = pool.submit(watched, server, 5, every_frame=True)
        begun["pieces"] = pool.submit(watched, hls_server(clip, folder), 6, retry_for=15)
        return {name: one.result() for name, one in begun.items()}


@pytest.mark.parametrize("kind", ["rtsp", "mpegts", "motion_jpeg"])
def test_a_slow_decoder_is_seen_and_kept_up_with(kind: str, slowly: dict[str, Watched]) -> None:
    one = slowly[kind]
    # By the numbers in the pictures: when each would have been seen without any delay.
    zero = min(came - number / RATE for _, number, came in one.seen)
    assert zero < one.began + 0.5
    for frame, number, came in one.seen:
        age = came - number / RATE - zero
        assert came - frame.wall_time == pytest.approx(age, abs=0.25)
        assert age < 1.2
        assert 0 <= frame.lag <= came - frame.wall_time
        assert frame.index == number - (one.seen[0][1] - one.seen[0][0].index)
    assert one.losses["behind"] > 20
    assert one.losses["corrupt"] == one.losses["reconnects"] == 0
    assert one.seen[-1][1] > 5.5 * RATE, "the last frame is one of the last seconds"


def test_where_every_frame_counts_the_lag_grows_and_is_told(slowly: dict[str, Watched]) -> None:
    seen = slowly["every frame"].seen
    numbers = [number for _, number, _ in seen]
    assert numbers == list(range(numbers[0], numbers[0] + len(seen)))
    # 20 of 30 frames a second.
    assert seen[-1][0].lag - seen[0][0].lag == pytest.approx(5 / 3, abs=0.6)


def test_a_stream_that_stood_still_is_caught_up_with(clip: Path) -> None:
    with http_live(clip, *MPEGTS) as server:
        source = StreamSource(server.url, SourceOptions(retry_for=15))
        process = server._process
        assert process is not None
        threading.Timer(1.0, os.kill, (process.pid, signal.SIGSTOP)).start()
        threading.Timer(3.0, os.kill, (process.pid, signal.SIGCONT)).start()
        seen = watch(source, 6)
    assert any(came - frame.wall_time > 1.5 for frame, _, came in seen), "of what stood still"
    assert all(came - frame.wall_time < 0.3 for frame, _, came in seen[-30:])
    zero = min(came - number / RATE for _, number, came in seen)
    assert all(came - n / RATE - zero < 0.4 for _, n, came in seen[-30:])


@contextlib.contextmanager
def hls_server(clip: Path, folder: Path) -> Iterator[str]:
    """A playlist that grows by a piece of a second at a time."""
    if not shutil.which("ffmpeg"):
        pytest.skip("needs the program ffmpeg")
    command = ["ffmpeg", "-loglevel", "quiet", "-re", "-i", str(clip), "-c", "copy", "-f", "hls"]
    command += ["-hls_time", "1", "-hls_list_size", "6", str(folder / "live.m3u8")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while len(list(folder.glob("*.ts"))) < 5:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with http_files(folder) as address:
            yield f"{address}/live.m3u8"
    finally:
        process.kill()
        process.wait()


def test_a_stream_in_pieces_is_played_at_its_own_pace(clip: Path, tmp_path: Path) -> None:
    with hls_server(clip, tmp_path) as url:
        seen = watch(StreamSource(url, SourceOptions(retry_for=15)), 6)
    numbers = [number for _, number, _ in seen]
    assert numbers == list(range(numbers[0], numbers[0] + len(seen)))
    assert all(came - frame.wall_time < 0.8 for frame, _, came in seen)  # a busy machine is late
    # A piece comes at once, but what is in it is a second long.
    pace = [
        after - before for (_, _, before), (_, _, after) in zip(seen[30:], seen[60:], strict=False)
    ]
    assert median(pace) == pytest.approx(1, abs=0.4)  # a busy machine stands still now and then


def test_a_stream_in_pieces_is_caught_up_with_too(slowly: dict[str, Watched]) -> None:
    one = slowly["pieces"]
    assert one.losses["behind"] > 10
    assert all(came - frame.wall_time < 1.2 for frame, _, came in one.seen)
    assert one.seen[-1][1] - one.seen[0][1] > 4.5 * RATE


@contextlib.contextmanager
def slow_server(data: bytes, seconds: float, speed: float) -> Iterator[str]:
    """Hands out so many seconds of a stream from their beginning, slower than they play."""
    over = threading.Event()
    piece = round(len(data) / seconds * speed / 50)

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
            for at in range(0, len(data), piece):
                connection.sendall(data[at : at + piece])
                if over.wait(1 / 50):
                    return

    def listen(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(4)
        threading.Thread(target=listen, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/live"
        over.set()


def test_what_lies_in_the_networks_buffers_is_left_behind_by_connecting_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backlog, "_ELSEWHERE_S", 1.0)
    ts = clips.make_clip(tmp_path / "a.ts", frames=20 * RATE, rate=RATE, gop=15).path.read_bytes()
    with slow_server(ts, 20, 0.5) as url:
        source = StreamSource(url, SourceOptions(retry_for=15))
        seen = watch(source, 8)
    assert source.losses["reconnects"] >= 1
    assert "late" in caplog.text
    assert "the network or the sender is slower" in caplog.text
    assert all(frame.lag < 3 for frame, _, _ in seen)


# The clock of a stream ---------------------------------------------------------------------------


class Stream:
    """Packets and frames of a stream with made-up moments, told to ``LiveTimes``."""

    def __init__(self, **how: Any) -> None:
        self.times = LiveTimes("door")
        self.times.reconnected(Fraction(25), **how)

    def packet(self, stamp: float | None, now: float) -> float:
        """When a packet was due."""
        ticks = None if stamp is None else round(stamp * 1000)
        packet = SimpleNamespace(pts=ticks, dts=ticks, time_base=Fraction(1, 1000))
        return self.times.arrived(packet, now)  # type: ignore[arg-type]

    def frame(self, stamp: float | None, now: float) -> tuple[float, float]:
        """Time of a frame, and when it was due."""
        self.packet(stamp, now)
        ticks = None if stamp is None else round(stamp * 1000)
        frame = SimpleNamespace(pts=ticks, dts=None, time_base=Fraction(1, 1000))
        return self.times(frame, now)  # type: ignore[arg-type]


def test_a_lag_counts_from_the_packet_with_the_least_delay() -> None:
    stream = Stream()
    # A camera hands over the last two seconds at once, then goes on.
    for number in range(50):
        stream.packet(number / 25, 100.0)
    assert stream.packet(2.0, 100.04) == pytest.approx(100.04, abs=0.01)
    assert stream.packet(2.04, 100.58) == pytest.approx(100.08, abs=0.01)  # half a second late
    assert stream.packet(2.6, 100.64) == pytest.approx(100.64, abs=0.01)


def test_a_lag_of_minutes_is_no_new_clock(caplog: pytest.LogCaptureFixture) -> None:
    stream = Stream()
    for number in range(25 * 60):  # each second of the stream takes a second and a half
        now = 100 + 1.5 * number / 25
        time_, due = stream.frame(number / 25, now)
        assert time_ == pytest.approx(number / 25, abs=1e-3)
    assert now - due == pytest.approx(30, abs=0.2)
    assert not caplog.records


@pytest.mark.parametrize("jump", [-3600.0, -2.0, -0.5, 20.0, 3600.0])
def test_a_clock_that_jumps_keeps_the_lag_and_is_told(
    jump: float, caplog: pytest.LogCaptureFixture
) -> None:
    stream, late = Stream(), 0.3
    stream.frame(10.0, 100.0)
    before = [stream.frame(10 + n / 25, 100 + n / 25 + late) for n in range(1, 25)]
    after = [stream.frame(jump + 10 + n / 25, 100 + n / 25 + late) for n in range(25, 50)]
    for n, (_, due) in enumerate(before + after, start=1):
        assert 100 + n / 25 + late - due == pytest.approx(late, abs=0.05)
    times = [time_ for time_, _ in before + after]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(49 / 25, abs=0.1)
    told = [r for r in caplog.records if "clock was reset" in r.message]
    assert len(told) == (1 if abs(jump) > 1 else 0)


def test_clocks_may_drift_apart() -> None:
    stream = Stream()
    for minute in range(6 * 60):
        now = 100 + 60 * minute * (1 + 200e-6)  # the camera's is slow
        assert now - stream.packet(60 * minute, now) < 0.1


def test_a_stream_whose_first_packet_has_no_time() -> None:
    stream = Stream()
    assert stream.frame(None, 100.0)[0] == 0
    assert stream.frame(0.04, 100.04)[0] == pytest.approx(0.04)
    assert stream.frame(0.08, 100.08)[0] == pytest.approx(0.08)


def test_what_comes_faster_than_it_plays_is_not_late() -> None:
    stream = Stream()
    for number in range(25 * 60):  # a minute in a second
        stream.packet(number / 25, 100 + number / 1500)
    assert stream.times.ahead
    stream = Stream()
    for number in range(25 * 60):  # a server that keeps five seconds for those who join
        stream.packet(number / 25, 100 + max(0.0, number / 25 - 5))
    assert not stream.times.ahead


def test_times_that_are_made_up_do_not_count() -> None:
    stream = Stream(trusted=False)
    for number in range(100):  # stamped with 25 frames a second, of which 10 come
        time_, due = stream.frame(number / 25, 100 + number / 10)
        assert due == 100 + number / 10
    assert time_ == pytest.approx(9.9)


# What is left out ---------------------------------------------------------------------------------


def packets(count: int, gop: int, behind: Callable[[int], float] = lambda n: 0.0) -> Iterator[Any]:
    """Packets at 100 a second, each so many seconds late."""
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, began + number / 100 + behind(number) - time.monotonic()))
        yield SimpleNamespace(
            pts=number, dts=number, time_base=Fraction(1, 100), is_keyframe=number % gop == 0
        )


def run_backlog(source: Iterator[Any], work_s: float, **how: Any) -> list[tuple[int, bool]]:
    held = Backlog(LiveTimes(), threading.Event(), "door", **how)
    given = []
    for packet, wanted in held(source):
        given.append((packet.pts, wanted))
        if wanted:
            time.sleep(work_s)
    return given


def test_decoding_goes_on_at_a_key_frame() -> None:
    given = run_backlog(packets(400, 25), 0.02)
    assert [number for number, _ in given] == list(range(400))
    assert sum(wanted for _, wanted in given) < 300
    for (_, before), (number, wanted) in itertools.pairwise(given):
        if wanted and not before:
            assert number % 25 == 0


def test_what_can_be_caught_up_with_is_not_left_out() -> None:
    # A second and a half at once: decoded in less than half a second.
    burst = packets(300, 300, lambda n: max(0.0, 2.0 - n / 100) if n > 50 else 0.0)
    given = run_backlog(burst, 0.001)
    assert all(wanted for _, wanted in given)


def test_the_freshest_of_several_key_frames_is_taken() -> None:
    late = [n for n, wanted in run_backlog(packets(500, 1), 0.05) if wanted]
    # Each key frame can be begun with: those that are decoded are spread over the whole time.
    assert late[-1] > 480


def test_nothing_is_left_out_where_every_frame_counts() -> None:
    given = run_backlog(packets(100, 25), 0.02, skips=False)
    assert all(wanted for _, wanted in given)


def test_an_error_comes_behind_the_packets_before_it(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Iterator[Any]:
        yield from packets(3, 1)
        raise OSError("cable pulled")

    caplog.set_level(logging.DEBUG)
    held = Backlog(LiveTimes(), threading.Event(), "door")
    given = []
    with pytest.raises(OSError, match="cable pulled"):
        given += [packet.pts for packet, _ in held(broken())]
    assert not [t for t in threading.enumerate() if t.name == "stream packets"]
