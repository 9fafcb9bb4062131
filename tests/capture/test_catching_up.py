"""Live streams that stood still, or come too slowly, are caught up with."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from livevision.capture import backlog
from livevision.capture.options import SourceOptions
from livevision.capture.stream import StreamSource
from tests.capture.servers import http_live
from tests.capture.watching import MPEGTS, RATE, numbered_clip, watch


def test_a_stream_that_stood_still_is_caught_up_with(tmp_path: Path) -> None:
    with http_live(numbered_clip(tmp_path), *MPEGTS) as server:
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
    ts = numbered_clip(tmp_path, ".ts", seconds=20).read_bytes()
    with slow_server(ts, 20, 0.5) as url:
        source = StreamSource(url, SourceOptions(retry_for=15))
        seen = watch(source, 8)
    assert source.losses["reconnects"] >= 1
    assert "late" in caplog.text
    assert "the network or the sender is slower" in caplog.text
    assert all(frame.lag < 3 for frame, _, _ in seen)
