"""Pictures to H.264, or H.265 by hardware: sizes, colours, quality and pace of the encoder."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np

from livevision.errors import OutputError
from livevision.frame import Image
from livevision.media.codecs import SOFTWARE_ENCODER
from livevision.output import hardware_encoders, x264
from livevision.output.options import OutputOptions
from livevision.output.planes import Planes
from livevision.protocols import SourceInfo

# Numbers of ITU-T H.273 as FFmpeg uses them.
_BT601, _LIMITED = 6, 1


def time_base(info: SourceInfo) -> Fraction:
    """A unit of time in which the source's presentation times are whole numbers.

    Fine enough for any other times as well (a tenth of a millisecond), and 1/90000, the unit of
    broadcasts, where the source has none or one too fine for a video file.
    """
    base = info.time_base
    if base is None or base <= 0 or base.denominator > 1_000_000:
        return Fraction(1, 90000)
    ticks = base.denominator
    while ticks < 10_000:
        ticks *= 2
    return Fraction(1, ticks)


class Encoder:
    """An H.264 track of an output and the way of a picture into it.

    Pictures without B-frames: they leave in the order of their times, so that a file cut off
    anywhere is whole up to there and durations are exact.

    Args:
        output: PyAV's output container.
        info: The source: size, rate, bit rate.
        options: ``preset``, ``crf`` and ``threads``.
        aspect: Width of a pixel by its height.
        hardware: What encodes in place of libx264; one that was seen to work at this size.

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
    ) -> None:
        self._info, self._options = info, options
        # Chroma is stored once for two by two pixels, so H.264 wants even sizes.
        self.coded_size = (info.size[0] + info.size[0] % 2, info.size[1] + info.size[1] % 2)
        rate = (info.rate or Fraction(30)).limit_denominator(1_000_000)
        try:
            if hardware is None:
                settings = x264.free(info, options)
                self.stream = output.add_stream(SOFTWARE_ENCODER, rate=rate, options=settings)
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
        watched = hardware is None and options.preset == "auto"
        self._bits = x264.Bits(x264.cap(info)) if watched else None
        self._last = 0

    def encode(self, image: Image, pts: int) -> list[Any]:
        """A picture in, finished packets out.

        Args:
            image: uint8, H×W×3, BGR. One of another size than the source's is fitted in.
            pts: Presentation time in ``time_base``.
        """
        frame = self._frame(self._fit(image))
        frame.pts, frame.time_base = pts, self.time_base
        packets = self._given(self._context.encode(frame))
        if self._bits is not None:
            bits = 8 * sum(packet.size for packet in packets)
            over = self._bits.too_many(bits, (pts - self._last) * self.time_base)
            # Two first pictures of two encoders, one behind the other, would pass for one picture.
            if over and not packets[-1].is_keyframe:
                packets += self._cap()
        self._last = pts
        return packets

    def flush(self) -> list[Any]:
        """The packets of the pictures that the encoder still looks ahead to."""
        return self._given(self._context.encode(None))

    def _given(self, packets: list[Any]) -> list[Any]:
        for packet in packets:
            packet.stream = self.stream
        return packets

    def _cap(self) -> list[Any]:
        """Leave the track to an encoder that keeps to the cap; the last packets of the one before.

        It begins with a key frame. Its parameter sets are the same, for players know them from the
        track's header alone.
        """
        old, self._bits = self._context, None
        new: Any = av.CodecContext.create(SOFTWARE_ENCODER, "w")
        new.options = x264.capped(self._info, self._options, before=old.extradata)
        new.flags, new.framerate = old.flags, old.framerate
        self._context = self._set(new, old.sample_aspect_ratio)
        return self._given(old.encode(None))

    def _set(self, context: Any, aspect: Fraction) -> Any:
        """Tell an encoder what its pictures are, before it is opened."""
        context.width, context.height = self.coded_size
        context.pix_fmt, context.time_base = self._pixels, self.time_base
        context.sample_aspect_ratio = aspect
        half = max(1, min(8, (os.cpu_count() or 2) // 2))
        context.thread_count = self._options.threads or half
        # The colours themselves are the source's; how they are coded is always BT.601.
        context.color_primaries, context.color_trc = self._info.colours
        context.colorspace, context.color_range = _BT601, _LIMITED
        return context

    def _fit(self, image: Image) -> Image:
        """The picture at the coded size: content stays in place, the last column and row repeat."""
        width, height = self._info.size
        if image.shape[:2] != (height, width):
            image = _letterbox(image, (width, height))
        right, below = self.coded_size[0] - width, self.coded_size[1] - height
        if right or below:
            padded = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
            return np.asarray(padded, np.uint8)
        return np.ascontiguousarray(image)


def _letterbox(image: Image, size: tuple[int, int]) -> Image:
    """The whole picture as large as fits in the middle of black."""
    (width, height), (h, w) = size, image.shape[:2]
    scale = min(width / w, height / h)
    wide, high = max(1, round(w * scale)), max(1, round(h * scale))
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top = (width - wide) // 2, (height - high) // 2
    small = cv2.resize(image, (wide, high), interpolation=cv2.INTER_AREA)
    canvas[top : top + high, left : left + wide] = small
    return canvas
