"""Encodes pictures to H.264, or to H.265 in hardware: size, colours, quality and pace."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np

from livevision.cores import usable
from livevision.errors import OutputError
from livevision.frame import Image
from livevision.media.codecs import SOFTWARE_ENCODER
from livevision.output import hardware_encoders, x264
from livevision.output.options import OutputOptions
from livevision.output.planes import Planes
from livevision.protocols import SourceInfo

# Code points of ITU-T H.273, as in FFmpeg.
_BT601, _LIMITED = 6, 1


def time_base(info: SourceInfo) -> Fraction:
    """A time base in which the source's presentation times are integers.

    At least a tenth of a millisecond fine, for any other times; 1/90000, the unit of broadcasts, if
    the source has none or one too fine for a video file.
    """
    base = info.time_base
    if base is None or base <= 0 or base.denominator > 1_000_000:
        return Fraction(1, 90000)
    ticks = base.denominator
    while ticks < 10_000:
        ticks *= 2
    return Fraction(1, ticks)


class Encoder:
    """The H.264 track of an output, and the encoder of its pictures.

    It uses no B-frames: packets leave in the order of their times, so a file cut off anywhere is
    whole up to there, and durations are exact.

    Args:
        output: PyAV's output container.
        info: The source: size, rate, bit rate.
        options: ``preset``, ``crf`` and ``threads``.
        aspect: Pixel aspect ratio, width by height.
        hardware: The encoder to use instead of libx264; it has been tested at this size.
        settings: Of libx264, if not those of a file.

    Raises:
        OutputError: This PyAV has no H.264 encoder.
    """

    def __init__(
        self,
        output: Any,
        info: SourceInfo,
        options: OutputOptions,
        aspect: Fraction = Fraction(1),
        hardware: hardware_encoders.HardwareEncoder | None = None,
        settings: dict[str, str] | None = None,
    ) -> None:
        self._info, self._options = info, options
        # Chroma is stored once for 2×2 pixels, so H.264 requires even sizes.
        self.coded_size = (info.size[0] + info.size[0] % 2, info.size[1] + info.size[1] % 2)
        rate = (info.rate or Fraction(30)).limit_denominator(1_000_000)
        try:
            if hardware is None:
                chosen = x264.free(info, options) if settings is None else settings
                self.stream = output.add_stream(SOFTWARE_ENCODER, rate=rate, options=chosen)
            else:
                self.stream = hardware_encoders.add_stream(output, hardware, rate, info, options)
        except (av.codec.codec.UnknownCodecError, ValueError) as error:
            raise OutputError(
                f"this installation of PyAV cannot write H.264 ({error}); the one from PyPI can: "
                "pip install --force-reinstall av"
            ) from error
        self._pixels = "yuv420p" if hardware is None else hardware.pixels
        self.stream.time_base = self.time_base = time_base(info)
        self._context = self._set(self.stream.codec_context, aspect)
        self._frame = Planes(self.coded_size, self._pixels)
        watched = hardware is None and options.preset == "auto" and settings is None
        self._bits = x264.Bits(x264.cap(info)) if watched else None
        self._last = 0

    def encode(self, image: Image, pts: int, *, key: bool = False) -> list[Any]:
        """Encode a picture; returns finished packets.

        Args:
            image: uint8, H×W×3, BGR. Another size than the source's is scaled to fit.
            pts: Presentation time in ``time_base``.
            key: Make it a key frame.
        """
        frame = self._frame(self._fit(image))
        frame.pts, frame.time_base = pts, self.time_base
        if key:
            frame.pict_type = av.video.frame.PictureType.I
        packets = self._given(self._context.encode(frame))
        if self._bits is not None:
            bits = 8 * sum(packet.size for packet in packets)
            over = self._bits.too_many(bits, (pts - self._last) * self.time_base)
            # The first pictures of two encoders, in sequence, could be taken for one picture.
            if over and not packets[-1].is_keyframe:
                packets += self._cap()
        self._last = pts
        return packets

    def flush(self) -> list[Any]:
        """The packets of the pictures still in the encoder's look-ahead."""
        return self._given(self._context.encode(None))

    def _given(self, packets: list[Any]) -> list[Any]:
        for packet in packets:
            packet.stream = self.stream
        return packets

    def _cap(self) -> list[Any]:
        """Switch to an encoder that keeps to the bit-rate cap; returns the old one's last packets.

        It starts with a key frame. Its parameter sets are the same, since players read them only
        from the track's header.
        """
        old, self._bits = self._context, None
        new: Any = av.CodecContext.create(SOFTWARE_ENCODER, "w")
        new.options = x264.capped(self._info, self._options, before=old.extradata)
        new.flags, new.framerate = old.flags, old.framerate
        self._context = self._set(new, old.sample_aspect_ratio)
        return self._given(old.encode(None))

    def _set(self, context: Any, aspect: Fraction) -> Any:
        """Configure an encoder before it is opened."""
        context.width, context.height = self.coded_size
        context.pix_fmt, context.time_base = self._pixels, self.time_base
        context.sample_aspect_ratio = aspect
        half = max(1, min(8, usable() // 2))
        context.thread_count = self._options.threads or half
        # Primaries and transfer are the source's; the coding matrix is always BT.601.
        context.color_primaries, context.color_trc = self._info.colours
        context.colorspace, context.color_range = _BT601, _LIMITED
        return context

    def _fit(self, image: Image) -> Image:
        """Pad the picture to the coded size by repeating the last column and row."""
        width, height = self._info.size
        if image.shape[:2] != (height, width):
            image = _letterbox(image, (width, height))
        right, below = self.coded_size[0] - width, self.coded_size[1] - height
        if right or below:
            padded = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
            return np.asarray(padded, np.uint8)
        return np.ascontiguousarray(image)


def _letterbox(image: Image, size: tuple[int, int]) -> Image:
    """Scale a picture to fit, centred on black."""
    (width, height), (h, w) = size, image.shape[:2]
    scale = min(width / w, height / h)
    wide, high = max(1, round(w * scale)), max(1, round(h * scale))
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top = (width - wide) // 2, (height - high) // 2
    small = cv2.resize(image, (wide, high), interpolation=cv2.INTER_AREA)
    canvas[top : top + high, left : left + wide] = small
    return canvas
