"""Subtitles of one kind of text as another that the output's container holds (PyAV).

The words and their times stay; their styles do not.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import av

from livevision.media.extras import Track

# By muxer, the text that it holds: FFmpeg's name of an encoder.
_HELD = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip"}

# A sample description (tx3g) as 3GPP TS 26.245 has it: at the bottom, white, 18 points, one font.
_FONT = b"Arial"
_FONTS = struct.pack(">I4sHHB", 13 + len(_FONT), b"ftab", 1, 1, len(_FONT)) + _FONT
_SAMPLE_DESCRIPTION = (
    struct.pack(">IbbI4H", 0, 1, -1, 0, 0, 0, 0, 0)
    + struct.pack(">HHHBBI", 0, 0, 1, 0, 18, 0xFFFFFFFF)
    + _FONTS
)


class Words:
    """A track of subtitles in the kind of text that the container holds.

    Args:
        track: The track.
        output: PyAV's output container.

    Raises:
        ValueError, av.error.FFmpegError: It is no text, or the container holds none.
    """

    def __init__(self, track: Track, output: Any) -> None:
        kind = _HELD.get(output.format.name)
        if track.codec not in _READ or kind is None:
            raise ValueError(f"{track.codec} cannot become text that it holds")
        self._read, self._kind = _READ[track.codec], kind
        self._holder: Any = av.open(io.BytesIO(), "w", "null")
        template = self._holder.add_stream(kind)
        template.time_base = Fraction(1, 1000)
        self.output = output.add_stream_from_template(template)
        if kind == "mov_text":
            self.output.codec_context.extradata = _SAMPLE_DESCRIPTION

    def take(self, packet: Any) -> Iterator[Any]:
        """The output's packets for one of the source's, or for None at the end."""
        words = "" if packet is None else self._read(bytes(packet)).strip()
        if not words:
            return
        data = words.encode()
        put = av.Packet(struct.pack(">H", len(data)) + data if self._kind == "mov_text" else data)
        put.pts, put.dts, put.duration = packet.pts, packet.dts, packet.duration
        put.time_base, put.is_keyframe, put.stream = packet.time_base, True, self.output
        yield put


def _of_mov_text(data: bytes) -> str:
    length = int.from_bytes(data[:2])
    return data[2 : 2 + length].decode(errors="replace")


def _of_ass(data: bytes) -> str:
    # Number, layer, style, name, three margins, effect, text.
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
