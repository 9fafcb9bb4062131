"""Real servers on loopback for the stream tests, and a camera made of code."""

from __future__ import annotations

import functools
import http.server
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from livevision.capture import gstreamer
from tests.clips import numbered

SYSTEM_PYTHON = "/usr/bin/python3"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RtspServer:
    """gst-rtsp-server in a process of its own; it can be killed and started again."""

    def __init__(self, clip: Path, *login: str, sound: str = "") -> None:
        self.port, self._login = free_port(), login
        self._process: subprocess.Popen[str] | None = None
        self.serve(clip, sound)
        self.start()

    def serve(self, clip: Path, sound: str = "") -> None:
        """Set what the next start serves; ``sound`` is "aac", "pcma" or "" for none."""
        self._command = [
            SYSTEM_PYTHON,
            str(Path(__file__).with_name("rtsp_server.py")),
            str(self.port),
            f"{sound}:{clip}" if sound else str(clip),
            *self._login,
        ]

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/video"

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        if "ready" not in self._process.stdout.readline():
            raise RuntimeError(self._process.communicate()[1])

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


_RTSP_PARTS = """
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
assert all(
    Gst.ElementFactory.find(name)
    for name in ("matroskademux", "rtph264pay", "rtpmp4gpay", "aacparse", "alawenc", "rtppcmapay")
)
"""


@functools.cache
def _has_rtsp_server() -> bool:
    if not Path(SYSTEM_PYTHON).exists():
        return False
    command = [SYSTEM_PYTHON, "-c", _RTSP_PARTS]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def rtsp_server(clip: Path, *login: str, sound: str = "") -> Iterator[RtspServer]:
    if not _has_rtsp_server():
        pytest.skip(
            f"needs, for {SYSTEM_PYTHON}: python3-gi, gir1.2-gst-rtsp-server-1.0,"
            " gstreamer1.0-plugins-good"
        )
    server = RtspServer(clip, *login, sound=sound)
    try:
        yield server
    finally:
        server.kill()


class HttpLiveServer:
    """The ffmpeg program serving a clip once to one viewer, at the clip's own pace."""

    def __init__(self, clip: Path, *how: str) -> None:
        if not shutil.which("ffmpeg"):
            pytest.skip("needs the program ffmpeg")
        self.url = f"http://127.0.0.1:{free_port()}/live"
        self._command = ["ffmpeg", "-loglevel", "quiet", "-re", "-i", str(clip), *how]
        self._command += ["-listen", "1", self.url]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def http_live(clip: Path, *how: str) -> Iterator[HttpLiveServer]:
    server = HttpLiveServer(clip, *how)
    try:
        yield server
    finally:
        server.kill()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def http_files(folder: Path) -> Iterator[str]:
    """A web server for a folder; its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _Chunked(http.server.BaseHTTPRequestHandler):
    """Hands out files in chunks, as programs do that make them as they send them."""

    protocol_version = "HTTP/1.1"
    contents: tuple[bytes, ...] = ()
    fetched = 0

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        content = self.contents[min(self.fetched, len(self.contents) - 1)]
        type(self).fetched += 1
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for at in range(0, len(content), 4096):
                part = content[at : at + 4096]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True


@contextmanager
def http_chunked(*contents: bytes) -> Iterator[tuple[str, Any]]:
    """A web server of files whose lengths it does not tell, one after the other and then the last.

    Its address, and an object that counts what was ``fetched``.
    """
    handler: Any = type("Handler", (_Chunked,), {"contents": contents, "fetched": 0})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", handler
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def silent_server() -> Iterator[str]:
    """A server that takes connections and says nothing; its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/live"


class FakeCamera:
    """Stands in for ``cv2.VideoCapture``: numbered pictures at 100 a second.

    Attributes:
        unplugged: While true no camera opens and none gives a picture.
        opened: How many were opened.
    """

    unplugged = False
    opened = 0
    arguments: tuple[Any, ...] = ()
    settings: ClassVar[dict[int, float]] = {}
    size = (320, 240)

    def __init__(self, *arguments: Any) -> None:
        cls = type(self)
        cls.arguments = arguments
        self._open = not cls.unplugged
        cls.opened += self._open
        self._number = 0

    def isOpened(self) -> bool:
        return self._open

    def set(self, prop: int, value: float) -> bool:
        type(self).settings[prop] = value
        return True

    def get(self, prop: int) -> float:
        import cv2

        return 100.0 if prop == cv2.CAP_PROP_FPS else type(self).settings.get(prop, 0.0)

    def read(self) -> tuple[bool, np.ndarray | None]:
        if not self._open or type(self).unplugged:
            return False, None
        time.sleep(0.01)
        self._number += 1
        return True, numbered(self._number - 1, self.size)

    def release(self) -> None:
        self._open = False


def fake_camera(monkeypatch: pytest.MonkeyPatch) -> type[FakeCamera]:
    """Put a fresh fake in the place of OpenCV's capture."""
    import cv2

    fake = type("Fake", (FakeCamera,), {"unplugged": False, "opened": 0, "settings": {}})
    monkeypatch.setattr(cv2, "VideoCapture", fake)
    monkeypatch.setattr(cv2.videoio_registry, "hasBackend", lambda backend: True)
    # What elements this machine's GStreamer has is no matter for a fake.
    monkeypatch.setattr(gstreamer, "_require_elements", lambda name, pipeline: None)
    return fake
