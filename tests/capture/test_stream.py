"""Streams from real servers on loopback: RTSP, HTTP, motion JPEG; breaks, wrong addresses."""

from __future__ import annotations

import contextlib
import itertools
import logging
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import cv2
import pytest

from livevision.capture import demuxer, life, network
from livevision.capture.options import SourceOptions
from livevision.capture.stream import StreamSource
from livevision.errors import SourceError
from livevision.media.packets import PacketRing
from tests import clips
from tests.capture.servers import (
    free_port,
    http_chunked,
    http_files,
    http_live,
    rtsp_server,
    silent_server,
)
from tests.clips import frame_number
from tests.output.test_video_file import join

MPEGTS = ("-c", "copy", "-f", "mpegts")
MOTION_JPEG = (
    *("-c:v", "mjpeg", "-q:v", "3", "-f", "mpjpeg"),
    *("-content_type", "multipart/x-mixed-replace;boundary=ffmpeg"),
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty seconds with a key frame each half second."""
    return clips.make_clip(tmp_path_factory.mktemp("clip") / "a.mkv", frames=900, gop=15).path


def _rising(frames: list[Any]) -> bool:
    return all(a.time < b.time for a, b in itertools.pairwise(frames))


# RTSP --------------------------------------------------------------------------------------------


def test_rtsp_is_live_and_in_step_with_its_own_times(clip: Path) -> None:
    with rtsp_server(clip) as server:
        source = StreamSource(server.url, SourceOptions(retry_for=15))
        assert source.info.live
        assert source.info.size == (320, 240)
        assert source.info.name == server.url
        frames = list(itertools.islice(source, 40))
        source.close()
    numbers = [frame_number(f.image) for f in frames]
    assert numbers == list(range(numbers[0], numbers[0] + 40))
    assert frames[0].time == 0
    assert frames[-1].time == pytest.approx(39 / 30, abs=0.1)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts sockets as Linux has them")
def test_rtsp_over_udp_where_the_address_says_so(clip: Path) -> None:
    def sockets() -> int:
        links = [fd.readlink() for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
        return sum(str(link).startswith("socket:") for link in links)

    with rtsp_server(clip) as server:
        before, more = sockets(), []
        for url in (server.url, server.url.replace("rtsp://", "rtspu://")):
            source = StreamSource(url, SourceOptions(retry_for=15))
            assert source.info.name == url
            frames = iter(source)
            assert len(list(itertools.islice(frames, 5))) == 5
            more.append(sockets() - before)
            source.close()
    # Over UDP, pictures and reports of them have sockets of their own.
    assert more == [1, 3]


def test_rtsp_that_begins_as_it_did_before_is_no_file(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was killed in its first second has sent faster than real time."""
    monkeypatch.setattr("livevision.capture.replay._FASTER", 1000.0)
    with rtsp_server(clip) as server:
        source = StreamSource(server.url, SourceOptions(retry_for=30))
        frames = iter(source)
        for _ in range(3):
            assert next(frames, None) is not None
            server.kill()
            server.start()
            # Frames of the old connection may wait.
            before = source.losses["reconnects"]
            while source.losses["reconnects"] == before:
                assert next(frames, None) is not None
        source.close()


def test_rtsp_goes_on_after_its_server_was_killed_and_started_again(
    clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with rtsp_server(clip) as server:
        source = StreamSource(server.url, SourceOptions(retry_for=30))
        frames = iter(source)
        before = list(itertools.islice(frames, 20))
        server.kill()
        threading.Timer(0.7, server.start).start()
        after = list(itertools.islice(frames, 30))
        source.close()
    assert source.losses["reconnects"] == 1
    # The server plays its file from the start again: these are frames of the new connection.
    assert frame_number(after[-1].image) < frame_number(before[-1].image) + 30
    assert _rising(before + after)
    assert [f.index for f in before + after] == sorted({f.index for f in before + after})
    assert after[-1].time > before[-1].time + 0.7
    assert "connected again" in caplog.text


def test_rtsp_that_ends_properly_went_away(clip: Path, tmp_path: Path) -> None:
    # The server says that it is at the end of its recording, as a camera's does that is restarted.
    short = clips.make_clip(tmp_path / "short.mkv", frames=45, gop=15).path
    with rtsp_server(short) as server:
        source = StreamSource(server.url, SourceOptions(retry_for=20))
        frames = list(itertools.islice(source, 100))
        source.close()
    assert len(frames) == 100
    assert source.losses["reconnects"] >= 2
    assert _rising(frames)
    with rtsp_server(short) as server:
        source = StreamSource(server.url, SourceOptions(retry_for=2))
        seen = iter(source)
        next(seen)
        threading.Timer(0.1, server.kill).start()
        with pytest.raises(SourceError, match="no frame for 2 s"):
            list(seen)


def test_rtsp_with_a_password(clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    with rtsp_server(clip, "me", "geheim") as server:
        plain = server.url.removeprefix("rtsp://")
        with pytest.raises(SourceError, match=r"USER:PASSWORD@HOST"):
            StreamSource(server.url, SourceOptions(retry_for=15))
        with pytest.raises(SourceError, match="password in the address is wrong") as caught:
            StreamSource(f"rtsp://me:wrongword@{plain}", SourceOptions(retry_for=15))
        assert "wrongword" not in str(caught.value)
        source = StreamSource(f"rtsp://me:geheim@{plain}", SourceOptions(retry_for=15))
        frame_number(next(iter(source)).image)
        source.close()
    assert source.info.name == f"rtsp://***@{plain}"
    assert "geheim" not in caplog.text + repr(source.info)


def test_rtsp_without_such_a_path(clip: Path) -> None:
    with rtsp_server(clip) as server, pytest.raises(SourceError, match="no such stream"):
        StreamSource(server.url.replace("video", "nothing"), SourceOptions(retry_for=15))


# HTTP --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [MPEGTS, MOTION_JPEG], ids=["mpegts", "motion_jpeg"])
def test_http_stream_goes_on_after_its_server_was_started_again(
    how: tuple[str, ...], clip: Path
) -> None:
    with http_live(clip, *how) as server:
        source = StreamSource(server.url, SourceOptions(retry_for=30))
        assert source.info.live
        frames = iter(source)
        before = list(itertools.islice(frames, 20))
        server.kill()
        server.start()
        while not source.losses["reconnects"]:
            before.append(next(frames))
        after = list(itertools.islice(frames, 20))
        source.close()
    assert source.losses["reconnects"] == 1
    numbers = [frame_number(f.image) for f in before[:20]]
    assert numbers == list(range(numbers[0], numbers[0] + 20))
    assert _rising(before + after)
    assert {f.image.shape for f in before + after} == {(240, 320, 3)}


def test_a_file_over_http_is_a_file(tmp_path: Path) -> None:
    options = {"movflags": "faststart"}
    clip = clips.with_sound(tmp_path / "a.mp4", start=1.5, frames=40, container_options=options)
    with http_files(tmp_path) as address:
        source = StreamSource(f"{address}/a.mp4")
        assert not source.info.live
        assert source.info.frames == 40
        frames = list(source)
    assert [frame_number(f.image) for f in frames] == list(range(40))
    assert [f.time for f in frames] == pytest.approx(clip.times)


@pytest.mark.parametrize("name", ["a.ts", "a.mpg", "a.h264", "a.mkv"])
def test_a_file_whose_length_the_server_tells_is_a_file(tmp_path: Path, name: str) -> None:
    more = {"codec": "mpeg2video", "rate": 25} if name == "a.mpg" else {}
    clips.make_clip(tmp_path / name, frames=40, **more)
    with http_files(tmp_path) as address:  # it knows no ranges, so FFmpeg finds no duration
        source = StreamSource(f"{address}/{name}")
        assert not source.info.live
        assert [frame_number(f.image) for f in source] == list(range(40))


def test_a_picture_over_http_is_one(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), clips.numbered(7))
    with http_files(tmp_path) as address:
        assert [frame_number(f.image) for f in StreamSource(f"{address}/a.jpg")] == [7]


def test_a_cut_picture_over_http_is_told(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), clips.numbered(7))
    clips.cut(tmp_path / "a.jpg", 0.8)
    with http_files(tmp_path) as address:
        source = StreamSource(f"{address}/a.jpg")
        with pytest.raises(SourceError, match="breaks off"):
            list(source)


@pytest.mark.parametrize("name", ["a.ts", "a.mpg", "a.h264", "a.mjpeg"])
def test_a_file_in_chunks_is_read_once_and_not_for_ever(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    more = {
        "a.mpg": {"codec": "mpeg2video", "rate": 25},
        "a.mjpeg": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    }
    clips.make_clip(tmp_path / name, frames=40, **more.get(name, {}))
    with http_chunked((tmp_path / name).read_bytes()) as (address, server):
        source = StreamSource(f"{address}/{name}", SourceOptions(retry_for=30))
        numbers = [frame_number(f.image) for f in source]
    assert numbers == sorted(set(numbers))
    assert server.fetched == 2
    assert source.losses["reconnects"] == 0
    assert "add --mode every-frame" in caplog.text


def test_every_frame_of_a_file_in_chunks_can_be_had(tmp_path: Path) -> None:
    clips.make_clip(tmp_path / "a.ts", frames=40)
    options = SourceOptions(retry_for=30, every_frame=True)
    with http_chunked((tmp_path / "a.ts").read_bytes()) as (address, _):
        numbers = [frame_number(f.image) for f in StreamSource(f"{address}/a.ts", options)]
    assert numbers == list(range(40))


def test_a_stream_that_begins_otherwise_goes_on(tmp_path: Path) -> None:
    contents = [
        clips.make_clip(tmp_path / f"{first}.ts", frames=10, first=first).path.read_bytes()
        for first in (0, 10, 20)
    ]
    with http_chunked(*contents) as (address, server):
        source = StreamSource(f"{address}/a.ts", SourceOptions(retry_for=30))
        numbers = [frame_number(f.image) for f in source]
    assert numbers == sorted(set(numbers))
    assert {number // 10 for number in numbers} == {0, 1, 2}
    assert server.fetched == 4
    assert source.losses["reconnects"] == 2


def test_a_file_over_http_that_breaks_off(tmp_path: Path) -> None:
    clips.truncated(tmp_path / "a.mp4")
    frames: list[Any] = []
    with http_files(tmp_path) as address, pytest.raises(SourceError, match="breaks off at"):
        frames.extend(StreamSource(f"{address}/a.mp4"))
    assert [frame_number(f.image) for f in frames] == list(range(len(frames)))
    assert len(frames) > 10


def test_a_file_over_http_that_has_to_be_read_from_its_end_says_what_to_do(tmp_path: Path) -> None:
    # Its index is at the end, and the server knows no ranges.
    clips.constant_rate(tmp_path / "a.mp4", size=(640, 480), frames=90)
    with http_files(tmp_path) as address, pytest.raises(SourceError, match="download it"):
        StreamSource(f"{address}/a.mp4")


def test_plainly_wrong_addresses_fail_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page.html").write_text("<html>no video</html>" * 99)

    def nobody(host: str, *rest: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    started = time.monotonic()
    with http_files(tmp_path) as address:
        with pytest.raises(SourceError, match="no such stream"):
            StreamSource(f"{address}/nothing.mp4", SourceOptions(retry_for=600))
        with pytest.raises(SourceError, match="not a video stream"):
            StreamSource(f"{address}/page.html", SourceOptions(retry_for=600))
    monkeypatch.setattr(network.socket, "getaddrinfo", nobody)
    with pytest.raises(SourceError, match=r"no host named 'camera\.invalid'"):
        StreamSource("rtsp://me:geheim@camera.invalid/a", SourceOptions(retry_for=600))
    assert time.monotonic() - started < 300


def test_a_server_that_is_not_up_yet_is_waited_for(clip: Path) -> None:
    with http_live(clip, *MPEGTS) as server:
        server.kill()
        threading.Timer(0.7, server.start).start()
        source = StreamSource(server.url, SourceOptions(retry_for=30))
        frame_number(next(iter(source)).image)
        source.close()
    assert source.losses["reconnects"] == 0


def test_a_server_that_never_comes_is_an_error_in_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(life, "FIRST_PAUSE_S", 0.05)
    url = f"http://me:geheim@127.0.0.1:{free_port()}/live"
    started = time.monotonic()
    with caplog.at_level(logging.DEBUG), pytest.raises(SourceError) as caught:
        StreamSource(url, SourceOptions(retry_for=0.5))
    assert time.monotonic() - started >= 0.5
    assert "no connection for 0.5 s" in str(caught.value)
    assert "refuses" in str(caught.value)
    assert "geheim" not in str(caught.value) + caplog.text
    # One warning; the other attempts are told only to who wants to know.
    assert [r.levelname for r in caplog.records].count("WARNING") == 1


def test_opening_can_be_given_up() -> None:
    giving_up = threading.Event()
    threading.Timer(0.3, giving_up.set).start()
    with pytest.raises(SourceError, match="given up"):
        StreamSource(
            f"http://127.0.0.1:{free_port()}/live",
            SourceOptions(retry_for=600, stopping=giving_up.is_set),
        )


def test_a_stream_that_stays_away_is_an_error_in_the_end(clip: Path) -> None:
    with http_live(clip, *MPEGTS) as server:
        frames = iter(StreamSource(server.url, SourceOptions(retry_for=2)))
        next(frames)
        server.kill()
        with pytest.raises(SourceError, match="no frame for 2 s"):
            list(frames)


def test_a_silent_server_is_an_error_in_the_end() -> None:
    with silent_server() as url, pytest.raises(SourceError, match="no data from"):
        StreamSource(url, SourceOptions(retry_for=1))


def test_data_without_end_and_without_a_frame_is_an_error_in_the_end() -> None:
    # A transport stream whose packets are all padding.
    padding = (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 50
    over = threading.Event()

    def pour(listener: socket.socket) -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:  # the listener is closed: the test is over
                return
            with connection, contextlib.suppress(OSError):
                connection.recv(4096)
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
                while not over.wait(0.02):
                    connection.sendall(padding)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(4)
        threading.Thread(target=pour, args=(listener,), daemon=True).start()
        try:
            with pytest.raises(SourceError):
                StreamSource(
                    f"http://127.0.0.1:{listener.getsockname()[1]}/live",
                    SourceOptions(retry_for=0.5),
                )
        finally:
            over.set()


def test_close_does_not_wait_for_a_server_that_fell_silent(clip: Path) -> None:
    ts = clips.make_clip(clip.with_suffix(".ts"), frames=60).path.read_bytes()
    stop = threading.Event()

    def speak_once(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + ts)
        stop.wait(60)
        connection.close()

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        threading.Thread(target=speak_once, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/live"
        source = StreamSource(url, SourceOptions(retry_for=600))
        threading.Timer(1.0, source.close).start()
        started = time.monotonic()
        frames = list(source)
        waited = time.monotonic() - started
        stop.set()
    assert len(frames) >= 30
    # Without a thread of its own the read would last the ten seconds of the silence limit.
    assert waited < 8


def test_a_connection_that_brings_sound_alone_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sound is read for recordings, and its packets would hide that the pictures stopped."""
    short = clips.constant_rate(tmp_path / "short.mkv", frames=30).path
    long = clips.with_sound(tmp_path / "long.mkv", frames=180).path
    join(tmp_path / "stuck.mkv", (short, "video"), (long, "audio"))
    # A tenth of a second passes with every packet.
    passed = itertools.count()
    monkeypatch.setattr(demuxer, "time", SimpleNamespace(monotonic=lambda: next(passed) / 10))
    ring = PacketRing(5.0, sound=True)
    with av.open(str(tmp_path / "stuck.mkv")) as container:
        read = demuxer.Demuxer(
            container, container.streams.video[0], live=True, rate=None, ring=ring, patience=2.0
        )
        seen = []
        with pytest.raises(SourceError, match="no video for 2 s, but sound"):
            seen.extend(read)
    assert len(seen) == 30


def test_sound_of_a_live_source_is_left_out_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sounding = clips.with_sound(tmp_path / "a.mp4", frames=60).path
    with http_live(sounding, *MPEGTS) as server:
        source = StreamSource(server.url, SourceOptions(copies=1))
        assert source.info.live
        assert source.info.extras is None
        assert len(list(itertools.islice(source, 10))) == 10
        source.close()
    told = [r for r in caplog.records if "sound of a live source is not copied" in r.message]
    assert len(told) == 1
