"""Parts of a video that were computed apart, and the outputs that are joined from them.

A part of a video is H.264 in NUT, which keeps every time exactly. The joined file is written by the
same sink, with the same settings, as by a single run; only the packets are made already.
"""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from livevision.errors import OutputError
from livevision.frame import Rendered
from livevision.output import hardware, x264
from livevision.output.encoder import Encoder
from livevision.output.options import OutputOptions
from livevision.output.records import COLUMNS
from livevision.output.tracks import copied
from livevision.output.video_file import VideoFileSink, zero_of
from livevision.protocols import SourceInfo

PART = ".nut"
"""Suffix of a part of a video."""

_AHEAD_S = 2.0  # what a file may store of its sound behind the picture shown with it
_SEI = 6
_CYCLE = 32


@dataclass(frozen=True, slots=True)
class Span:
    """The frames of a part, in seconds on the source's clock.

    Attributes:
        frames: How many.
        first, last: Times of the first and the last one.
        gap: Time between the last two; None for a single frame.
    """

    frames: int
    first: float
    last: float
    gap: float | None


def unit_of(info: SourceInfo) -> int:
    """Frames between two moments at which an encoder may start anew and write the same.

    H.264 numbers its key frames alternately, so that they are two intervals apart; x264 ends each
    picture with a bit that depends on its number, in a cycle of 32.
    """
    return math.lcm(2 * int(x264.key_frame_interval(info.rate or 30)), _CYCLE)


class VideoPart:
    """Writes the pictures of a part.

    Args:
        path: Ends in ``PART``.
        info: The source.
        options: As for the joined file.
        film_start: Time of the first frame of the whole source.
    """

    def __init__(
        self, path: Path, info: SourceInfo, options: OutputOptions, film_start: float
    ) -> None:
        self._zero = zero_of(info, film_start)
        self._container: Any = av.open(str(path), "w", "nut")
        encoder = hardware.choose(info, options)
        self._encoder = Encoder(self._container, info, options, info.aspect, encoder)

    def write(self, rendered: Rendered) -> None:
        """Add a frame; the picture is uint8, H×W×3, BGR."""
        pts = round((rendered.frame.time - self._zero) / self._encoder.time_base)
        for packet in self._encoder.encode(rendered.image, pts):
            self._container.mux(packet)

    def close(self) -> None:
        """Finish the file."""
        with contextlib.closing(self._container):
            for packet in self._encoder.flush():
                self._container.mux(packet)


class JoinedVideo(VideoFileSink):
    """The video joined from parts, with the streams beside it of the source's file."""

    def join(self, parts: Sequence[Path], spans: Sequence[Span], source: Iterable[float]) -> None:
        """Write all packets.

        Args:
            parts: The parts in order.
            spans: Their frames.
            source: Times of the source's packets as they are read, which brings its sound.

        Raises:
            OutputError: The file cannot be written, or the parts do not fit together.
        """
        self._begin(spans[0].first)
        reading, reached = iter(source), float("-inf")
        with self._errors_told():
            for number, packet in _packets(parts):
                ticks = round(packet.pts * packet.time_base / self._encoder.time_base)
                packet.pts = packet.dts = ticks
                packet.time_base = self._encoder.time_base
                at = float(packet.pts * self._encoder.time_base) + self._zero
                while reached < at + _AHEAD_S and (read := next(reading, None)) is not None:
                    reached = read
                packet.stream, self._pts = self._encoder.stream, packet.pts
                self._last, self._gap = spans[number].last, spans[number].gap or self._gap
                self._put_video([packet])
            for _ in reading:
                pass

    def _flushed(self) -> list[Any]:
        return []


def join_records(parts: Sequence[Path], path: Path) -> None:
    """Join rows; of tables the heading of the first part stays."""
    heading = ",".join(COLUMNS).encode() + b"\n"
    with path.open("wb") as joined:
        for number, part in enumerate(parts):
            with part.open("rb") as rows:
                if number and path.suffix.lower() == ".csv" and rows.readline() != heading:
                    rows.seek(0)
                shutil.copyfileobj(rows, joined)


def _packets(parts: Sequence[Path]) -> Iterator[tuple[int, Any]]:
    """All packets with the number of their part, as one encoder would have written them."""
    sets: bytes | None = None
    for number, path in enumerate(parts):
        with av.open(str(path), format="nut") as part:
            stream = part.streams.video[0]
            found = bytes(stream.codec_context.extradata or b"")
            if sets is not None and found != sets:
                raise OutputError(
                    f"{path.name}: it was encoded by another encoder than the parts before it; "
                    "name one that all workers have: --encoder libx264"
                )
            sets, first = found, True
            for packet in part.demux(stream):
                if packet.size == 0:
                    continue
                yield number, _without_note(packet) if first and number else copied(packet)
                first = False


def _without_note(packet: Any) -> Any:
    """A part's first packet without the encoder's note on itself, which opens a file only."""
    data = bytes(packet)
    for mark in (b"\0\0\0\1", b"\0\0\1"):
        if data.startswith(mark) and data[len(mark)] & 31 == _SEI:
            rest = data.find(b"\0\0\1", len(mark))
            start = rest - 1 if rest > 0 and data[rest - 1] == 0 else rest
            bare = av.Packet(data[start:])
            bare.pts, bare.dts, bare.duration = packet.pts, packet.dts, packet.duration
            bare.time_base, bare.is_keyframe = packet.time_base, packet.is_keyframe
            return bare
    return copied(packet)
