"""A source's life as others see it: states, the back-off, and an end that waits for nobody."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from livevision.capture import life as life_module
from livevision.capture.camera import CameraSource
from livevision.capture.gstreamer import GStreamerSource
from livevision.capture.images import ImagesSource
from livevision.capture.life import BackOff, Life, Vitals, close_all
from livevision.capture.options import SourceOptions
from livevision.capture.stream import StreamSource
from livevision.capture.synthetic import SyntheticSource
from livevision.capture.video_file import VideoFileSource
from livevision.errors import SourceError, UsageError
from tests import clips
from tests.capture.servers import FakeCamera, fake_camera, free_port, http_live, rtsp_server

MPEGTS = ("-c", "copy", "-f", "mpegts")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds with a key frame each half second."""
    return clips.make_clip(tmp_path_factory.mktemp("clip") / "a.mkv", frames=300, gop=15).path


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeCamera]:
    monkeypatch.setattr(life_module, "FIRST_PAUSE_S", 0.02)
    return fake_camera(monkeypatch)


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to this"
        time.sleep(0.005)


class Watched:
    """A thread that reads a source, from its opening to its end."""

    def __init__(self, make: Callable[[SourceOptions], Any], **choices: Any) -> None:
        self.life = Life()
        self.source: Any = None
        self.taken = 0
        self.error: Exception | None = None
        self._make, self._options = make, SourceOptions(life=self.life, **choices)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        try:
            self.source = self._make(self._options)
            for _ in self.source:
                self.taken += 1
        except SourceError as error:
            self.error = error


# The state machine -------------------------------------------------------------------------------


def test_what_was_read_does_not_change_any_more() -> None:
    life = Life()
    before = life.now
    assert (before.state, before.retries, before.lag, before.why) == ("connecting", 0, None, "")
    life.came(lag=0.25)
    assert before.state == "connecting"
    assert (life.now.state, life.now.lag) == ("live", 0.25)
    assert life.since >= before.since
    with pytest.raises(AttributeError):
        before.state = "ended"  # type: ignore[misc]


def test_since_tells_when_the_state_changed_and_not_the_last_frame() -> None:
    life = Life()
    life.came()
    since = life.since
    life.came(lag=0.1)
    assert life.since == since
    life.lost("cut")
    lost = life.since
    life.lost("refused")
    assert (life.since, life.why, life.lag) == (lost, "refused", None)
    assert lost >= since


def test_nothing_leads_back_from_the_end_and_its_first_reason_counts() -> None:
    life = Life()
    life.end("broken")
    since = life.since
    life.came()
    life.lost("cut")
    life.end("again")
    life.close()
    assert life.now == Vitals("ended", since, 0, None, "broken")
    assert life.closing.is_set()


def test_a_life_begins_anew_with_another_opener() -> None:
    life = Life()
    with pytest.raises(SourceError), life.opening():
        raise SourceError("no such decoder")
    assert life.now.state == "ended"
    with life.opening():
        assert life.now.state == "connecting"
    assert life.now.state == "live"
    life.close()
    with pytest.raises(SourceError, match="given up"), life.opening():
        pass
    assert life.now.state == "ended"


def test_readers_never_see_halves_of_two_states() -> None:
    life, over, wrong = Life(), threading.Event(), []

    def read() -> None:
        while not over.is_set():
            now = life.now
            if (now.state == "retrying") != (now.lag is None):
                wrong.append(now)

    life.came(0.0)
    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(3000):
        life.lost("cut") if turn % 2 else life.came(0.5)
    over.set()
    for reader in readers:
        reader.join()
    assert not wrong


# The back-off ------------------------------------------------------------------------------------


class Pauses:
    """A clock, and lives whose pauses are not waited for but move it on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.taken: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def life(self) -> Life:
        life = Life()
        life.closing.wait = self._wait  # type: ignore[method-assign]
        return life

    def _wait(self, timeout: float | None = None) -> bool:
        self.taken.append(timeout or 0.0)
        self.now += timeout or 0.0
        return False


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    made = Pauses()
    monkeypatch.setattr(life_module, "time", made)
    return made


def test_pauses_double_to_ten_seconds_and_end_with_the_time_allowed(pauses: Pauses) -> None:
    life = pauses.life()
    back_off = BackOff(life, "door", retry_for=60)
    while back_off.wait("refused"):
        pass
    assert pauses.taken[:6] == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0]
    assert max(pauses.taken) == 10.0
    assert sum(pauses.taken) == pytest.approx(60)
    assert life.retries == len(pauses.taken)
    assert life.now.state == "retrying"


def test_a_frame_begins_the_back_off_anew(pauses: Pauses, caplog: pytest.LogCaptureFixture) -> None:
    life = pauses.life()
    back_off = BackOff(life, "door", retry_for=60)
    with caplog.at_level(logging.DEBUG, logger="livevision"):
        assert not back_off.came()
        for _ in range(3):
            back_off.wait("refused")
        assert back_off.came(lag=0.5)
        assert not back_off.came(lag=0.5)
        back_off.wait("cut")
    assert pauses.taken == [0.5, 1.0, 2.0, 0.5]
    assert (life.retries, life.why) == (4, "cut")
    levels = [r.levelname for r in caplog.records if r.getMessage().startswith("door: ")]
    # The first loss, two further attempts, the coming back, the next loss.
    assert levels == ["WARNING", "DEBUG", "DEBUG", "WARNING", "WARNING"]
    assert "door: refused; retrying for 60 s" in caplog.text
    assert "door: connected again" in caplog.text


def test_time_spent_on_a_frame_is_no_loss(pauses: Pauses) -> None:
    back_off = BackOff(pauses.life(), "door", retry_for=1)
    back_off.came()
    pauses.now += 30  # as where a run waits for an output
    back_off.asking()
    assert back_off.wait("cut")


def test_closing_ends_a_pause_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life_module, "FIRST_PAUSE_S", 60)
    life = Life()
    threading.Timer(0.1, life.close).start()
    started = time.monotonic()
    assert BackOff(life, "door", retry_for=600).wait("refused")
    assert time.monotonic() - started < 30
    assert (life.state, life.retries, life.why) == ("ended", 0, "closed")


# Sources -----------------------------------------------------------------------------------------


def _server_that_comes_back(watched: Watched, server: Any) -> None:
    """See a source through all its states while its server dies and comes back."""
    until(lambda: watched.taken > 5)
    live = watched.life.now
    assert live.state == "live"
    assert live.lag is not None
    assert 0 <= live.lag < 30
    server.kill()
    until(lambda: watched.life.state == "retrying")
    gone = watched.life.now
    assert gone.since > live.since
    assert gone.why
    assert gone.lag is None
    server.start()
    until(lambda: watched.life.state == "live")
    back, taken = watched.life.now, watched.taken
    assert back.retries > live.retries
    assert back.since > gone.since
    until(lambda: watched.taken > taken)
    assert watched.source.losses["reconnects"] == 1
    watched.source.close()
    watched.thread.join(10)
    assert (watched.life.state, watched.life.why) == ("ended", "closed")


def test_http_through_all_states(clip: Path) -> None:
    with http_live(clip, *MPEGTS) as server:
        watched = Watched(lambda options: StreamSource(server.url, options), retry_for=60)
        _server_that_comes_back(watched, server)


def test_rtsp_through_all_states(clip: Path) -> None:
    with rtsp_server(clip) as server:
        watched = Watched(lambda options: StreamSource(server.url, options), retry_for=60)
        _server_that_comes_back(watched, server)


def test_a_server_that_is_not_there_yet() -> None:
    url = f"http://me:geheim@127.0.0.1:{free_port()}/live"
    watched = Watched(lambda options: StreamSource(url, options), retry_for=600)
    assert watched.life.state in ("connecting", "retrying")
    until(lambda: watched.life.retries >= 1)
    assert watched.life.state == "retrying"
    assert watched.life.why == "127.0.0.1 refuses the connection"
    watched.life.close()
    watched.thread.join(10)
    assert watched.life.state == "ended"
    assert "given up" in str(watched.error)


def test_a_stream_that_stays_away_says_why_in_the_end() -> None:
    life = Life()
    with pytest.raises(SourceError) as caught:
        StreamSource(
            f"http://me:geheim@127.0.0.1:{free_port()}/live",
            SourceOptions(retry_for=0.2, life=life),
        )
    assert life.now.state == "ended"
    assert life.why == str(caught.value)
    assert "geheim" not in life.why


@pytest.mark.parametrize("kind", ["camera", "gstreamer"])
def test_cameras_and_pipelines_through_all_states(kind: str, fake: type[FakeCamera]) -> None:
    def make(options: SourceOptions) -> Any:
        if kind == "camera":
            return CameraSource("0", options)
        return GStreamerSource("gst:v4l2src", options)

    watched = Watched(make, retry_for=60)
    until(lambda: watched.taken > 2)
    assert watched.life.now.state == "live"
    assert watched.life.lag is None
    fake.unplugged = True
    until(lambda: watched.life.state == "retrying" and watched.life.retries >= 2)
    assert watched.life.why
    fake.unplugged = False
    until(lambda: watched.life.state == "live")
    taken = watched.taken
    until(lambda: watched.taken > taken)
    assert watched.source.losses["reconnects"] == 1
    watched.source.close()
    watched.thread.join(10)
    assert watched.life.state == "ended"


@pytest.mark.parametrize("kind", ["camera", "gstreamer"])
def test_restarts_leave_neither_threads_nor_descriptors(
    kind: str, fake: type[FakeCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life_module, "FIRST_PAUSE_S", 0.001)
    gone = itertools.cycle([False] * 3 + [True])
    monkeypatch.setattr(fake, "read", _read_or_fail(fake.read, gone))
    source: Any = CameraSource("0") if kind == "camera" else GStreamerSource("gst:v4l2src")
    frames = iter(source)
    next(frames)
    before = _held()
    while source.losses["reconnects"] < 30:
        next(frames)
    assert source.life.retries >= 30
    assert _held() == before
    source.close()


def _read_or_fail(read: Callable[[Any], Any], gone: Iterator[bool]) -> Callable[[Any], Any]:
    return lambda self: (False, None) if next(gone) else read(self)


def _held() -> tuple[int, int]:
    """How many threads and descriptors this process has."""
    descriptors = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0  # noqa: PTH208
    return threading.active_count(), descriptors


def test_a_stream_that_breaks_often_leaves_neither_threads_nor_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life_module, "FIRST_PAUSE_S", 0.001)
    # Two in turns: what begins again as it was would be taken for a file.
    bodies = [
        clips.make_clip(tmp_path / f"{side}.ts", frames=20, size=(side, side)).path.read_bytes()
        for side in (64, 96)
    ]

    def serve(listener: socket.socket) -> None:
        for turn in itertools.count():
            try:
                connection, _ = listener.accept()
            except OSError:  # the listener is closed: the test is over
                return
            with connection, contextlib.suppress(OSError):
                connection.recv(4096)
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
                if turn % 3:
                    connection.sendall(bodies[turn % 3 - 1])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/live"
        watched = Watched(lambda options: StreamSource(url, options), retry_for=60)
        until(lambda: watched.life.retries >= 4)
        before = _held()
        until(lambda: watched.life.retries >= 24, 60)
        # One connection of this source at most, with the thread that reads packets, and its server.
        assert _held()[0] <= before[0] + 1
        assert _held()[1] <= before[1] + 6
        watched.source.close()
        watched.thread.join(10)


def _finite(kind: str, folder: Path) -> tuple[Callable[..., Any], str]:
    if kind == "file":
        return VideoFileSource, str(clips.constant_rate(folder / "a.mp4", frames=5).path)
    if kind == "pictures":
        import cv2

        cv2.imwrite(str(folder / "a.png"), clips.numbered(1))
        return ImagesSource, str(folder)
    return SyntheticSource, "synthetic://64x64@30?frames=5"


@pytest.mark.parametrize("kind", ["file", "pictures", "synthetic"])
def test_what_cannot_break_is_live_until_it_ends(kind: str, tmp_path: Path) -> None:
    source_class, uri = _finite(kind, tmp_path)
    life = Life()
    source = source_class(uri, SourceOptions(life=life))
    assert source.life is life
    assert (life.state, life.lag, life.why) == ("live", None, "")
    assert list(source)
    source.close()
    assert (life.state, life.why) == ("ended", "all its frames have been read")
    left = source_class(uri)
    frames = iter(left)
    next(frames)
    left.close()
    assert list(frames) == []
    assert (left.life.state, left.life.why) == ("ended", "closed")


@pytest.mark.parametrize("kind", ["file", "pictures", "synthetic"])
def test_what_cannot_be_opened_has_ended_and_says_why(kind: str, tmp_path: Path) -> None:
    source_class, _ = _finite(kind, tmp_path)
    life = Life()
    with pytest.raises((SourceError, UsageError)) as caught:
        source_class("synthetic:wrong", SourceOptions(life=life))
    assert (life.state, life.why) == ("ended", str(caught.value))


@pytest.mark.parametrize("kind", ["file", "pictures", "synthetic"])
def test_a_life_that_was_closed_before_opens_nothing(kind: str, tmp_path: Path) -> None:
    source_class, uri = _finite(kind, tmp_path)
    life = Life()
    life.close()
    with pytest.raises(SourceError, match="given up"):
        source_class(uri, SourceOptions(life=life))


def test_a_file_that_breaks_off_has_ended_with_its_error(tmp_path: Path) -> None:
    path = clips.constant_rate(tmp_path / "a.mkv", frames=60).path
    clips.cut(path, 0.6)
    source = VideoFileSource(str(path))
    with pytest.raises(SourceError) as caught:
        list(source)
    assert (source.life.state, source.life.why) == ("ended", str(caught.value))


# Pipes -------------------------------------------------------------------------------------------

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")


@POSIX
def test_a_named_pipe_is_read_from_its_first_byte(tmp_path: Path) -> None:
    clip = clips.make_clip(tmp_path / "a.ts", frames=40)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    watched: dict[str, list[int]] = {}

    def read() -> None:
        source = VideoFileSource(str(pipe))
        watched["numbers"] = [clips.frame_number(frame.image) for frame in source]

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    time.sleep(0.2)
    with pipe.open("wb") as file:
        file.write(clip.path.read_bytes())
    reader.join(30)
    assert watched["numbers"] == list(range(40))


@POSIX
def test_a_pipe_whose_writer_left_before_it_was_opened_by_ffmpeg_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening a pipe a second time would wait for another writer."""
    from livevision.capture import pipes

    tiny = clips.make_clip(tmp_path / "a.ts", frames=3, size=(64, 64)).path.read_bytes()
    assert len(tiny) < 60_000, "it has to fit into the pipe"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    written = pipes._written

    def and_gone(descriptor: int, given_up: Callable[[], bool]) -> bool:
        good = written(descriptor, given_up)
        time.sleep(0.5)  # by now the writer is gone
        return good

    monkeypatch.setattr(pipes, "_written", and_gone)

    def write() -> None:
        with pipe.open("wb") as file:
            file.write(tiny)

    threading.Timer(0.2, write).start()
    watched = Watched(lambda options: VideoFileSource(str(pipe), options))
    watched.thread.join(30)
    assert watched.error is None
    assert watched.taken == 3


@POSIX
def test_the_wait_for_a_writer_can_be_given_up(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    before = _held()
    giving_up = threading.Event()
    threading.Timer(0.2, giving_up.set).start()
    with pytest.raises(SourceError, match="given up before its first frame"):
        VideoFileSource(str(pipe), SourceOptions(stopping=giving_up.is_set))
    assert _held()[1] == before[1]


# Many dead sources -------------------------------------------------------------------------------


@POSIX
def test_closing_many_dead_sources_takes_no_time_each(tmp_path: Path) -> None:
    """64 that never answered: silent, refusing, pipes that nobody writes to."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        uris = [f"http://{address}/{n}" for n in range(12)]
        uris += [f"rtsp://{address}/{n}" for n in range(12)]
        uris += [f"http://127.0.0.1:{free_port()}/{n}" for n in range(20)]
        for number in range(20):
            os.mkfifo(tmp_path / f"{number}")
            uris.append(str(tmp_path / f"{number}"))

        def opener(uri: str) -> Callable[[SourceOptions], Any]:
            kind = StreamSource if "://" in uri else VideoFileSource
            return lambda options: kind(uri, options)

        dead = [Watched(opener(uri), retry_for=600) for uri in uris]
        assert len(dead) == 64
        time.sleep(1.0)
        assert {one.life.state for one in dead} <= {"connecting", "retrying"}
        started = time.monotonic()
        for one in dead:
            one.life.close()
        told = time.monotonic() - started
        for one in dead:
            one.thread.join(30)
        assert not any(one.thread.is_alive() for one in dead)
        waited = time.monotonic() - started
        assert all(one.life.state == "ended" for one in dead)
        assert all("given up" in str(one.error) for one in dead)
    # One after the other they would take 0.3 s each; a silence limit is 10 s.
    assert told < 1
    assert waited < 8
    print(f"64 told in {told:.3f} s, all over after {waited:.3f} s")


def test_closing_many_that_fell_silent_together_waits_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    # Longer than what FFmpeg looks at before it gives out a frame.
    ts = clips.make_clip(tmp_path / "a.ts", frames=120, size=(64, 64)).path.read_bytes()

    def speak(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + ts)
            over.wait(60)

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=speak, args=(connection,), daemon=True).start()

    latest: list[float] = []  # moments up to which threads of streams were waited for
    join = threading.Thread.join

    def joined(self: threading.Thread, timeout: float | None = None) -> None:
        if self.name.startswith("stream") and timeout is not None:
            latest.append(time.monotonic() + timeout)
        join(self, timeout)

    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/live"
        sources = [StreamSource(url, SourceOptions(index=n, retry_for=600)) for n in range(8)]
        monkeypatch.setattr(threading.Thread, "join", joined)
        started = time.monotonic()
        close_all(sources)
        over.set()
    assert all(source.life.state == "ended" for source in sources)
    # One after the other they would be waited for eight times as long.
    assert latest
    assert max(latest) - started < 1
