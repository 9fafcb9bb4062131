"""Cameras on this machine that show the time: a loop of pictures, sent by all protocols at once.

Each picture has its number drawn in (``livevision.bench.time_code``), and number n of the loop is
sent at ``zero + n / fps``, so that a reader knows how old what it sees is, up to the length of the
loop.
"""

from __future__ import annotations

import functools
import io
import multiprocessing
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from livevision.bench import time_code
from livevision.capture.synthetic import SyntheticSource
from tests.capture.servers import SYSTEM_PYTHON, free_port

FPS, LOOP_S = 5, 60
SIZE = (320, 180)
_BASE = Fraction(1, 90000)
_COPY = ("ffmpeg", "-loglevel", "error", "-fflags", "nobuffer", "-probesize", "32000")
_QUICK = ("-analyzeduration", "500000")
_AS_TS = ("-c", "copy", "-flush_packets", "1", "-f", "mpegts")


@dataclass
class Loop:
    """The pictures, encoded: H.264 with its headers in every key frame, and JPEG."""

    packets: list[tuple[bytes, bool]]
    jpegs: list[bytes]
    template: Any


def _loop() -> Loop:
    file = io.BytesIO()
    jpegs = []
    with av.open(file, "w", "mpegts") as container:
        settings = {"preset": "veryfast", "tune": "zerolatency", "bf": "0", "g": str(FPS)}
        stream: Any = container.add_stream("libx264", rate=FPS, options=settings)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        scene = SyntheticSource(f"synthetic://{SIZE[0]}x{SIZE[1]}@{FPS}")
        for number, frame in enumerate(islice(scene, FPS * LOOP_S)):
            picture = np.ascontiguousarray(frame.image).copy()
            time_code.draw(picture, number)
            jpegs.append(cv2.imencode(".jpg", picture)[1].tobytes())
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
        scene.close()
    file.seek(0)
    read: Any = av.open(file, format="mpegts")
    packets = [(bytes(p), bool(p.is_keyframe)) for p in read.demux(video=0) if p.size]
    assert len(packets) == len(jpegs)
    return Loop(packets, jpegs, read.streams.video[0])


class Cameras:
    """All cameras; ``close`` ends their processes.

    Attributes:
        urls: Addresses of the sources by protocol.
        missing: Protocols that could not be served here, with the reason.
    """

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._folder = tempfile.TemporaryDirectory(prefix="livevision-cameras-")
        self.zero = time.monotonic() + 3.0
        rtp, rtsp, srt, udp = (free_port() for _ in range(4))
        ours, theirs = spawn.Pipe()
        self._process = spawn.Process(
            target=_serve, args=(self.zero, self._folder.name, rtp, theirs), daemon=True
        )
        self._process.start()
        http = ours.recv()
        self._programs: list[subprocess.Popen[bytes]] = []
        script = Path(__file__).parents[1] / "tests" / "capture" / "rtsp_server.py"
        self._begin([SYSTEM_PYTHON, str(script), str(rtsp), f"rtp:{rtp}"])
        self.urls = {
            "rtsp, tcp": f"rtsp://127.0.0.1:{rtsp}/video",
            "rtsp, udp": f"rtspu://127.0.0.1:{rtsp}/video",
            "http, flv": f"http://127.0.0.1:{http}/flv",
            "hls": f"http://127.0.0.1:{http}/hls/live.m3u8",
            "mjpeg": f"http://127.0.0.1:{http}/mjpeg",
        }
        self.missing: dict[str, str] = {}
        if (
            "srt"
            in subprocess.run(
                ["ffmpeg", "-hide_banner", "-protocols"],
                capture_output=True,
                text=True,
                check=False,
            ).stdout.split()
        ):
            time.sleep(max(0.0, self.zero - time.monotonic()))
            # PyAV's FFmpeg has no SRT: the program sends it, takes it and passes it on.
            there = f"srt://127.0.0.1:{srt}?latency=50000"
            sender = [
                *_COPY,
                *_QUICK,
                "-i",
                self.urls["http, flv"],
                *_AS_TS,
                f"{there}&mode=listener",
            ]
            taker = [*_COPY, *_QUICK, "-i", there, *_AS_TS, f"udp://127.0.0.1:{udp}?pkt_size=1316"]
            self._begin(sender)
            for _ in range(20):  # until the sender listens
                time.sleep(1)
                if self._begin(taker, 5.0).poll() is None:
                    break
            self.urls["srt, by ffmpeg to udp"] = f"udp://127.0.0.1:{udp}"
        else:
            self.missing["srt"] = "the program ffmpeg has none"

    def age(self, number: int, now: float) -> float:
        """Seconds since a picture was sent last, at ``time.monotonic()``."""
        return (now - self.zero - number / FPS) % LOOP_S

    def close(self) -> None:
        """End all processes."""
        for program in self._programs:
            program.kill()
            program.wait()
        self._process.terminate()
        self._process.join()
        self._folder.cleanup()

    def _begin(self, command: Sequence[str], seconds: float = 0.5) -> subprocess.Popen[bytes]:
        nothing = subprocess.DEVNULL
        program = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing)
        self._programs.append(program)
        with suppress(subprocess.TimeoutExpired):
            program.wait(seconds)
        return program


def _serve(zero: float, folder: str, rtp: int, announce: Any) -> None:
    loop = _loop()
    (Path(folder) / "hls").mkdir()
    handler = functools.partial(_Handler, loop, zero, directory=folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hls = {"hls_time": "2", "hls_list_size": "4", "hls_flags": "delete_segments+temp_file"}
    for target, muxer, options in (
        (f"rtp://127.0.0.1:{rtp}", "rtp", {"payload_type": "96"}),
        (str(Path(folder) / "hls" / "live.m3u8"), "hls", hls),
    ):
        threading.Thread(target=_play, args=(target, muxer, options, loop, zero)).start()
    announce.send(server.server_port)
    server.serve_forever()


def _due(zero: float) -> Iterator[int]:
    """Numbers of pictures from now on, each when it is due."""
    first = max(0, int((time.monotonic() - zero) * FPS) + 1)
    for number in count(first):
        time.sleep(max(0.0, zero + number / FPS - time.monotonic()))
        yield number


def _play(target: Any, muxer: str, options: dict[str, str], loop: Loop, zero: float) -> None:
    """Send the loop in real time, from the next key frame on."""
    with av.open(target, "w", muxer, options=options) as container:
        video = container.add_stream_from_template(loop.template)
        begun: int | None = None
        for number in _due(zero):
            data, is_key = loop.packets[number % len(loop.packets)]
            if begun is None and not is_key:
                continue
            begun = number if begun is None else begun
            packet = av.Packet(data)
            packet.stream, packet.time_base, packet.is_keyframe = video, _BASE, is_key
            packet.pts = packet.dts = round((number - begun) / FPS / _BASE)
            packet.duration = round(1 / FPS / _BASE)
            container.mux(packet)


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, loop: Loop, zero: float, *arguments: Any, **named: Any) -> None:
        self._loop, self._zero = loop, zero
        super().__init__(*arguments, **named)

    def do_GET(self) -> None:
        if self.path.startswith("/hls/"):
            super().do_GET()
            return
        flv = self.path == "/flv"
        kind = "video/x-flv" if flv else "multipart/x-mixed-replace; boundary=picture"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        with suppress(OSError, av.error.FFmpegError, ValueError):
            if flv:
                options = {"flush_packets": "1", "flvflags": "no_duration_filesize"}
                _play(self.wfile, "flv", options, self._loop, self._zero)
            else:
                self._jpegs()

    def _jpegs(self) -> None:
        for number in _due(self._zero):
            data = self._loop.jpegs[number % len(self._loop.jpegs)]
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(b"--picture\r\n" + head.encode() + data + b"\r\n")
            self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        pass
