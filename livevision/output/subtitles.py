"""Converts text subtitles to the format that the output's container holds (PyAV).

Words and times are kept; styles are lost.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import av

from livevision.media.extras import Track

# By muxer, its text format: FFmpeg's name of the encoder.
_HELD = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip"}

# Finer than the time bases of video and audio, whose numbers FFmpeg compares with those of text.
_TICK = Fraction(1, 90_000)
_UNKNOWN = 5 * 90_000  # ticks of a text without a duration and without a successor

# A sample description (tx3g) by 3GPP TS 26.245: at the bottom, white, 18 points, one font.
_FONT = b"Arial"
_FONTS = struct.pack(">I4sHHB", 13 + len(_FONT), b"ftab", 1, 1, len(_FONT)) + _FONT
_SAMPLE_DESCRIPTION = (
    struct.pack(">IbbI4H", 0, 1, -1, 0, 0, 0, 0, 0)
    + struct.pack(">HHHBBI", 0, 0, 1, 0, 18, 0xFFFFFFFF)
    + _FONTS
)


Turn = tuple[str, int, int]
"""Words, and the ticks between which they are shown."""


class Turns:
    """Converts overlapping texts to a sequence without overlaps.

    In mp4 and mov each text sample lasts until the next one. FFmpeg's muxer computes the ends
    itself, and wrongly in fragmented files: it shifts audio packets, and aborts the process on
    overlapping texts. A text is therefore passed on after its end, with its end.
    """

    def __init__(self) -> None:
        self._since = 0
        self._shown: list[_Shown] = []

    def add(self, words: str, start: int, length: int) -> Iterator[Turn]:
        """Add a text; yields what ends before it. Length 0 lasts until the next text."""
        start = max(start, self._since)
        yield from self.until(start)
        if self._shown and start > self._since:
            yield self._words(), self._since, start
        self._since = start
        self._shown = [shown for shown in self._shown if shown.timed]
        self._shown.append(_Shown(start + (length or _UNKNOWN), words, bool(length)))

    def until(self, tick: float) -> Iterator[Turn]:
        """What has ended at a moment, and an empty text after it if none follows."""
        while self._shown and (end := min(shown.end for shown in self._shown)) <= tick:
            if end > self._since:
                yield self._words(), self._since, end
            self._since = end
            self._shown = [shown for shown in self._shown if shown.end > end]
            if not self._shown:
                yield "", end, end + 1  # FFmpeg guesses the length of samples without one

    def _words(self) -> str:
        return "\n".join(shown.words for shown in self._shown)


class _Shown(NamedTuple):
    """A text with the tick of its end, and whether the file stated it (``timed``)."""

    end: int
    words: str
    timed: bool


class Words:
    """A subtitle track in the text format of the container.

    Args:
        track: The track.
        output: PyAV's output container.

    Raises:
        ValueError, av.error.FFmpegError: The track is not text, or the container holds none.
    """

    def __init__(self, track: Track, output: Any) -> None:
        kind = _HELD.get(output.format.name)
        if track.codec not in _READ or kind is None:
            raise ValueError(f"{track.codec} cannot become text that it holds")
        self._read = _READ[track.codec]
        self._holder: Any = av.open(io.BytesIO(), "w", "null")
        template = self._holder.add_stream(kind)
        template.time_base = _TICK if kind == "mov_text" else Fraction(1, 1000)
        self.output = output.add_stream_from_template(template)
        self._turns: Turns | None = None
        if kind == "mov_text":
            self.output.codec_context.extradata = _SAMPLE_DESCRIPTION
            self._turns = Turns()

    def take(self, packet: Any) -> Iterator[Any]:
        """Convert a packet of the source; None flushes at the end."""
        if packet is None:
            yield from self.due(float("inf"))
            return
        words = self._read(bytes(packet)).strip()
        if not words:
            return
        if self._turns is None:
            put = self._packet(words.encode(), packet.pts, packet.duration)
            put.time_base = packet.time_base
            yield put
            return
        start = round(packet.pts * packet.time_base / _TICK)
        length = round((packet.duration or 0) * packet.time_base / _TICK)
        yield from self._samples(self._turns.add(words, start, length))

    def due(self, seconds: float) -> Iterator[Any]:
        """Packets that are ready at a moment on the clock of the packets."""
        if self._turns is not None:
            yield from self._samples(self._turns.until(seconds / float(_TICK)))

    def _samples(self, turns: Iterator[Turn]) -> Iterator[Any]:
        for words, start, end in turns:
            data = words.encode()
            yield self._packet(struct.pack(">H", len(data)) + data, start, end - start)

    def _packet(self, data: bytes, start: int, length: int | None) -> Any:
        put = av.Packet(data)
        put.pts, put.dts, put.duration = start, start, length or 0
        put.time_base, put.is_keyframe, put.stream = _TICK, True, self.output
        return put


def _of_mov_text(data: bytes) -> str:
    length = int.from_bytes(data[:2])
    return data[2 : 2 + length].decode(errors="replace")


def _of_ass(data: bytes) -> str:
    # Fields: number, layer, style, name, three margins, effect, text.
    text = data.decode(errors="replace").split(",", 8)[-1]
    plain = re.sub(r"\{[^}]*\}", "", text)
    return plain.replace(r"\N", "\n").replace(r"\n", "\n").replace(r"\h", " ")


def _of_text(data: bytes) -> str:
    return re.sub(r"</?[a-zA-Z][^>]*>|\{\\[^}]*\}", "", data.decode(errors="replace"))


_READ: dict[str, Callable[[bytes], str]] = {
    "mov_text": _of_mov_text,
    "ass": _of_ass,
    "ssa": _of_ass,
    "subrip": _of_text,
    "webvtt": _of_text,
    "text": _of_text,
}
