"""A server of live streams for benchmarks: one clip, looped, with a number in each picture.

It runs in a process of its own and serves FLV over HTTP on this machine: ``/0``, ``/1``, …. Each
is a camera of its own, whose frames come between those of the others. FLV marks where a picture
ends, as RTP does; a reader of MPEG-TS has to wait for the next one.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from livevision.bench import time_code
from livevision.capture.options import SourceOptions
from livevision.capture.synthetic import SyntheticSource
from livevision.capture.video_file import VideoFileSource
from livevision.frame import Image

_SECONDS = 8  # of the loop, which is more than a frame's age can be
_KEY_FRAMES_S = 2
_GOLDEN = 0.618  # spreads any number of cameras over the time between two frames


@dataclass(frozen=True, slots=True)
class Served:
    """What is served.

    Attributes:
        size: (width, height) of the pictures.
        fps: Pictures a second.
        streams: How many streams there may be.
        clip: Shown in them; None for a made-up scene.
    """

    size: tuple[int, int]
    fps: int
    streams: int
    clip: Path | None = None


class StreamServer:
    """The process that serves.

    Args:
        served: What to serve.
    """

    def __init__(self, served: Served) -> None:
        self.served = served
        spawn = multiprocessing.get_context("spawn")
        self._sent = spawn.Array("d", served.streams * served.fps * _SECONDS, lock=False)
        ours, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(served, self._sent, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._port: int = ours.recv()

    def url(self, stream: int) -> str:
        """Where a stream is."""
        return f"http://127.0.0.1:{self._port}/{stream}"

    def sent(self, stream: int, number: int) -> float:
        """``time.monotonic()`` when a stream's picture with this number was sent last."""
        frames = self.served.fps * _SECONDS
        return float(self._sent[stream * frames + number % frames])

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.join()


def _serve(served: Served, sent: Any, announce: Connection) -> None:
    packets, template = _encoded(served)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/x-flv")
            self.end_headers()
            with suppress(OSError, av.error.FFmpegError, ValueError):
                _play(self.wfile, packets, template, served, int(self.path[1:]), sent)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    announce.send(server.server_port)
    announce.close()
    server.serve_forever()


def _play(
    wire: Any, packets: list[tuple[bytes, bool]], template: Any, served: Served, stream: int,
    sent: Any,
) -> None:  # fmt: skip
    """Send the loop in real time, for as long as somebody listens."""
    base = Fraction(1, 1000)
    period = Fraction(1, served.fps)
    begun = time.monotonic() + float(period) * (stream * _GOLDEN % 1)
    options = {"flush_packets": "1", "flvflags": "no_duration_filesize"}
    with av.open(wire, "w", "flv", options=options) as container:
        video = container.add_stream_from_template(template)
        for number in count():
            time.sleep(max(0.0, begun + number * float(period) - time.monotonic()))
            data, is_key = packets[number % len(packets)]
            packet = av.Packet(data)
            packet.stream, packet.time_base = video, base
            packet.pts = packet.dts = round(number * period / base)
            packet.duration, packet.is_keyframe = round(period / base), is_key
            sent[stream * len(packets) + number % len(packets)] = time.monotonic()
            container.mux(packet)


def _encoded(served: Served) -> tuple[list[tuple[bytes, bool]], Any]:
    """The loop as packets of H.264, and a stream to make others like."""
    import io

    width, height = served.size
    frames = served.fps * _SECONDS
    file = io.BytesIO()
    with av.open(file, "w", "flv") as container:
        settings = {"preset": "veryfast", "bf": "0", "g": str(_KEY_FRAMES_S * served.fps)}
        stream: Any = container.add_stream("libx264", rate=served.fps, options=settings)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number, image in enumerate(islice(_pictures(served), frames)):
            picture = np.asarray(cv2.resize(image, (width, height)), np.uint8)
            time_code.draw(picture, number)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    file.seek(0)
    read: Any = av.open(file, format="flv")
    packets = [
        (bytes(packet), bool(packet.is_keyframe)) for packet in read.demux(video=0) if packet.size
    ]
    return packets, read.streams.video[0]


def _pictures(served: Served) -> Iterator[Image]:
    """Pictures without end."""
    if served.clip is None:
        width, height = served.size
        with closing(SyntheticSource(f"synthetic://{width}x{height}@{served.fps}")) as scene:
            yield from (frame.image for frame in scene)
        return
    with closing(VideoFileSource(str(served.clip), SourceOptions(loop=True))) as film:
        yield from (frame.image for frame in film)
