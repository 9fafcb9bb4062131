"""H.264 streams to a server, or HLS playlists, annotated or clean.

    rtsp://HOST/PATH  rtmp://HOST/APP/KEY  srt://HOST:PORT  udp://HOST:PORT  FOLDER/NAME.m3u8

The prefix ``clean:`` sends the frames as captured.
"""

from __future__ import annotations

import json
import logging
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from livevision.errors import OutputError
from livevision.frame import Frame, Rendered
from livevision.output import hardware, x264
from livevision.output.encoder import Encoder
from livevision.output.options import DEFAULTS, OutputOptions
from livevision.output.target import CLEAN
from livevision.protocols import OutletPolicy, SourceInfo
from livevision.redact import redact, redact_uri

log = logging.getLogger(__name__)

_SILENT_S = 5.0  # after which a server that accepts nothing is given up
_END_S = 2.0
_MOST_WRITES = 64
_SEGMENT_S, _KEPT_SEGMENTS = 2, 6
_JUMP_S = 10.0  # gap between two frames that is removed from the stream


@dataclass(frozen=True, slots=True)
class _Protocol:
    """FFmpeg's muxer for a scheme: name and options."""

    muxer: str
    options: Mapping[str, str] = field(default_factory=dict)


_RTSP = _Protocol("rtsp", {"rtsp_transport": "tcp"})
_RTMP = _Protocol("flv", {"flvflags": "no_duration_filesize", "flush_packets": "1"})
_TS = {"mpegts_flags": "resend_headers", "flush_packets": "1"}
_PROTOCOLS = {
    "rtsp": _RTSP,
    "rtsps": _RTSP,
    "rtmp": _RTMP,
    "rtmps": _RTMP,
    "srt": _Protocol("mpegts", _TS),
    "udp": _Protocol("mpegts", _TS),
}


class _Streaming:
    """Encodes every frame at its time; a file at its own speed.

    Args:
        target: The user's text.
        info: The source.
        options: See the sinks.
        output: Target of the muxer: a path, or a file object.
        protocol: The muxer.
    """

    wants_image = True

    def __init__(
        self,
        target: str,
        info: SourceInfo,
        options: OutputOptions,
        output: Any,
        protocol: _Protocol,
    ) -> None:
        self._clean = target.startswith(CLEAN)
        self.where = redact_uri(target.removeprefix(CLEAN))
        if self._clean and options.hidden:
            raise OutputError(f"{self.where}: a clean stream would show what --blur hides")
        self._info, self._options = info, options
        self._zero: float | None = None
        self._began = 0.0
        self._last: Frame | None = None
        self._pts = -1
        try:
            self._container: Any = av.open(
                output, "w", protocol.muxer, options=dict(protocol.options)
            )
            encoder = hardware.choose(info, options)
            settings = x264.live(info, options)
            self._encoder = Encoder(self._container, info, options, info.aspect, encoder, settings)
            self._container.start_encoding()
        except (av.error.FFmpegError, OSError) as error:
            raise self._failed(error) from None

    def write(self, rendered: Rendered) -> None:
        """Send a frame; the picture is uint8, H×W×3, BGR.

        Raises:
            OutputError: It cannot be sent.
        """
        frame = rendered.frame
        if self._zero is None:
            self._zero, self._began = frame.time, time.monotonic()
        elif self._last is not None and not 0 <= frame.time - self._last.time < _JUMP_S:
            gap = 1 / float(self._info.rate) if self._info.rate else 0.04
            self._zero += frame.time - self._last.time - gap
        self._last = frame
        at = frame.time - self._zero
        if not self._info.live:
            self._wait_until(self._began + at)
        self._pts = max(self._pts + 1, round(at / self._encoder.time_base))
        image = frame.image if self._clean else rendered.image
        try:
            for packet in self._encoder.encode(image, self._pts):
                self._container.mux(packet)
        except (av.error.FFmpegError, OSError) as error:
            raise self._failed(error) from None

    def close(self) -> None:
        """End the stream."""
        with suppress(av.error.FFmpegError, OSError, ValueError):
            for packet in self._encoder.flush() if self._last is not None else ():
                self._container.mux(packet)
        with suppress(av.error.FFmpegError, OSError, ValueError):
            self._container.close()

    def _wait_until(self, moment: float) -> None:
        while (left := moment - time.monotonic()) > 0 and not self._options.stopping():
            time.sleep(min(left, 0.1))

    def _failed(self, error: Exception) -> OutputError:
        said = str(getattr(error, "strerror", None) or error)
        return OutputError(f"cannot stream to {self.where}: {redact(said).lower()}")


class StreamSink(_Streaming):
    """Sends a stream to a server.

    The outlet retries a failing server; frames in the meantime are dropped and counted.

    Args:
        target: The address, optionally prefixed with ``clean:``.
        info: The source: size, rate, bit rate.
        options: ``encoder``, ``preset``, ``crf``, ``hidden``, ``stopping`` and ``threads``.

    Raises:
        OutputError: A clean stream would show what is hidden. An unreachable server is detected
            when frames are sent.
    """

    policy = OutletPolicy(full="wait", failing="retry")

    def __init__(self, target: str, info: SourceInfo, options: OutputOptions = DEFAULTS) -> None:
        uri = target.removeprefix(CLEAN)
        protocol = _PROTOCOLS[uri.partition(":")[0].lower()]
        if uri.lower().startswith("udp:") and "pkt_size" not in uri:
            # Seven packets of MPEG-TS, the most that fit in an Ethernet datagram.
            uri += f"{'&' if '?' in uri else '?'}pkt_size=1316"
        self._sending = _Sending(uri, protocol)
        nut = _Protocol("nut", {"flush_packets": "1"})
        try:
            super().__init__(target, info, options, self._sending, nut)
        except BaseException:
            self._sending.kill()
            raise

    def close(self) -> None:
        """End the stream; what the server does not accept within two seconds is lost."""
        super().close()
        self._sending.end()

    def _failed(self, error: Exception) -> OutputError:
        return super()._failed(OSError(self._sending.kill() or str(error)))


class _Sending:
    """The process that sends a stream, as a file object."""

    def __init__(self, uri: str, protocol: _Protocol) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "livevision.output.remux"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the run, which ends the stream itself
        )
        self._waiting: queue.Queue[bytes | None] = queue.Queue(_MOST_WRITES)
        self._broken = threading.Event()
        asked = {"uri": uri, "muxer": protocol.muxer, "options": dict(protocol.options)}
        self.write(json.dumps(asked).encode() + b"\n")
        threading.Thread(target=self._pass_on, name="stream", daemon=True).start()

    def write(self, data: bytes | memoryview) -> int:
        """Pass on all data.

        Raises:
            OSError: The process has ended, or accepts nothing for too long.
        """
        try:
            self._waiting.put(bytes(data), timeout=_SILENT_S)
        except queue.Full:
            raise TimeoutError(f"the server has taken nothing for {_SILENT_S:g} s") from None
        if self._broken.is_set():
            raise BrokenPipeError("the connection was closed")
        return len(data)

    def end(self) -> None:
        """Let the process send the rest, then end it."""
        with suppress(queue.Full):
            self._waiting.put_nowait(None)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        self.kill()

    def kill(self) -> str:
        """Kill the process; returns its error message, "" if there is none."""
        if self._broken.is_set():
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)  # it may be about to print the reason
        self._process.kill()
        self._process.wait()
        with suppress(queue.Full):
            self._waiting.put_nowait(None)
        assert self._process.stderr is not None
        if self._process.stderr.closed:
            return ""
        with self._process.stderr as said:
            lines = said.read().decode(errors="replace").splitlines()
        return lines[-1] if lines else ""

    def _pass_on(self) -> None:
        """Write to the process on a thread, since writing to a full pipe is uninterruptible."""
        assert self._process.stdin is not None
        try:
            with self._process.stdin as pipe:
                while (data := self._waiting.get()) is not None:
                    pipe.write(data)
                    pipe.flush()
        except (OSError, ValueError):
            self._broken.set()


class HlsSink(_Streaming):
    """Writes an HLS playlist with its segments beside it.

    The last segments of a live source are kept, all of a file.

    Args:
        target: A path that ends in .m3u8, optionally prefixed with ``clean:``.
        info: The source.
        options: See ``StreamSink``, and ``overwrite``.

    Raises:
        OutputError: The playlist exists, cannot be written, or would show what is hidden.
    """

    policy = OutletPolicy()

    def __init__(self, target: str, info: SourceInfo, options: OutputOptions = DEFAULTS) -> None:
        path = Path(target.removeprefix(CLEAN))
        if path.exists() and not options.overwrite:
            raise OutputError(f"{path} exists; add --overwrite to replace it")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {(error.strerror or '').lower()}") from error
        flags = "independent_segments+program_date_time+temp_file"
        kept = {"hls_list_size": "0", "hls_playlist_type": "event", "hls_flags": flags}
        if info.live:
            kept = {"hls_list_size": str(_KEPT_SEGMENTS), "hls_flags": f"{flags}+delete_segments"}
        hls = _Protocol("hls", {"hls_time": str(_SEGMENT_S), **kept})
        super().__init__(target, info, options, str(path), hls)
