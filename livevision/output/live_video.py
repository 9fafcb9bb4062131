"""Pictures as H.264 in fragments of MP4, one a picture, for browsers that watch live."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av

from livevision.errors import OutputError
from livevision.frame import Image
from livevision.media.codecs import SOFTWARE_ENCODER
from livevision.output import x264
from livevision.output.encoder import Encoder
from livevision.output.mp4_fragment import fragment, units, with_lengths
from livevision.output.options import OutputOptions
from livevision.protocols import SourceInfo

_HOW = OutputOptions(preset="auto", encoder="libx264", crf=25, threads=1)
_RATE = Fraction(25)
_SHORTEST_S, _LONGEST_S = 1 / 60, 1.0
_SEQUENCE_PARAMETERS = 7


@dataclass(frozen=True, slots=True)
class Fragment:
    """A picture.

    Attributes:
        data: A fragment of MP4.
        key: Whether watching can begin with it.
    """

    data: bytes
    key: bool


class LiveVideo:
    """Encodes pictures of one size.

    The video's own times have no gaps: each picture begins where the one before ends, and lasts as
    long as that one did, but a second at most. A browser takes nothing else for going on.

    Args:
        size: (width, height) of the pictures.

    Attributes:
        size: The same.
        head: What a browser needs before the first fragment.
        mime: The type of the video, with its codec.

    Raises:
        OutputError: There is no encoder.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        info = SourceInfo("", live=True, size=size, rate=_RATE)
        settings = {**x264.live(info, _HOW), "forced-idr": "1", "g": "1000"}
        file = io.BytesIO()
        options = {"movflags": "empty_moov+default_base_moof+skip_sidx"}
        try:
            self._container = av.open(file, "w", "mp4", options=options)
            self._encoder = Encoder(self._container, info, _HOW, settings=settings)
            self._container.start_encoding()
        except av.error.FFmpegError as error:
            raise OutputError(f"cannot encode H.264 for the page: {error}") from None
        self.head = file.getvalue()
        headers: bytes = self._encoder.stream.codec_context.extradata
        known = next(u for u in units(headers) if u[0] & 31 == _SEQUENCE_PARAMETERS)
        self.mime = f'video/mp4; codecs="avc1.{known[1:4].hex().upper()}"'
        self._base = float(self._encoder.stream.time_base)
        self._number, self._pts, self._at = 0, -1, 0
        self._last: float | None = None
        self._duration = round(float(1 / _RATE) / self._base)

    def encode(self, image: Image, seconds: float, *, key: bool = False) -> Fragment:
        """Encode a picture.

        Args:
            image: uint8, H×W×3, BGR.
            seconds: When it was captured, on any clock that only rises.
            key: Make it a key frame.

        Raises:
            OutputError: The encoder fails.
        """
        begin = self._at
        if self._last is not None:
            passed = min(_LONGEST_S, max(_SHORTEST_S, seconds - self._last))
            self._duration = round(passed / self._base)
        self._last = seconds
        self._at += self._duration
        self._number += 1
        self._pts = max(self._pts + 1, round(begin * self._base / self._encoder.time_base))
        try:
            packets = self._encoder.encode(image, self._pts, key=key)
        except (av.error.FFmpegError, OSError) as error:
            raise OutputError(f"cannot encode H.264 for the page: {error}") from None
        key = any(packet.is_keyframe for packet in packets)
        picture = b"".join(with_lengths(bytes(packet)) for packet in packets)
        return Fragment(fragment(self._number, begin, self._duration, picture, key=key), key)


@cache
def can_encode() -> bool:
    """Whether there is an encoder."""
    try:
        av.codec.Codec(SOFTWARE_ENCODER, "w")
    except (av.codec.codec.UnknownCodecError, ValueError):
        return False
    return True
