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
from livevision.output import hardware as hardware_encoders
from livevision.output.options import OutputOptions
from livevision.protocols import SourceInfo

CODEC = "libx264"

# Numbers of ITU-T H.273 as FFmpeg uses them, and swscale's own for the same matrix.
_BT709, _BT601, _SWSCALE_BT601 = 1, 6, 5
_LIMITED, _FULL = 1, 2

# x264 looks ahead to spend bits well; what it looks at is lost when the process is killed.
_LOOKAHEAD_S = 0.3
_KEYFRAMES_S = 4
# The cap above the source's own bit rate, and the least that keeps an annotated picture good.
_MOST_OF_SOURCE = 1.8
_LEAST_BITS_PER_PIXEL = 0.04

# "auto" is ultrafast with the cheap half of what makes veryfast's files small. What looks ahead and
# weighs blocks (mbtree, aq) is left out, which saves about a tenth of the work: at a crf two higher
# four clips of 250 frames at 1280x720 came out at the same size (-1 % to +5 %), with 0.3 to 0.9 dB
# more of PSNR and the same SSIM (within 0.0005).
_AUTO = "cabac=1:deblock=0,0:8x8dct=1:aq-mode=0:mbtree=0"
_AUTO_STEPS = 2


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
        self.size = info.size
        # Chroma is stored once for two by two pixels, so H.264 wants even sizes.
        self.coded_size = (info.size[0] + info.size[0] % 2, info.size[1] + info.size[1] % 2)
        width, height = self.coded_size
        rate = (info.rate or Fraction(30)).limit_denominator(1_000_000)
        try:
            if hardware is None:
                self.stream = output.add_stream(CODEC, rate=rate, options=_settings(info, options))
            else:
                self.stream = hardware_encoders.add_stream(output, hardware, rate, info, options)
        except (av.codec.codec.UnknownCodecError, ValueError) as error:
            raise OutputError(
                f"this installation of PyAV cannot write H.264 ({error}); the one from PyPI can: "
                "pip install --force-reinstall av"
            ) from error
        context = self.stream.codec_context
        self._pixels = "yuv420p" if hardware is None else hardware.pixels
        context.width, context.height, context.pix_fmt = width, height, self._pixels
        context.time_base = self.stream.time_base = self.time_base = time_base(info)
        context.sample_aspect_ratio = aspect
        context.thread_count = options.threads or max(1, min(8, (os.cpu_count() or 2) // 2))
        # The colours themselves are those of BT.709 for HD and of BT.601 below, as players guess
        # where nothing is said; how they are coded is said, and always BT.601.
        large = width >= 1280 or height >= 720
        context.color_primaries = context.color_trc = _BT709 if large else _BT601
        context.colorspace, context.color_range = _BT601, _LIMITED
        self._reformat = av.video.reformatter.VideoReformatter().reformat

    def encode(self, image: Image, pts: int) -> list[Any]:
        """A picture in, finished packets out.

        Args:
            image: uint8, H×W×3, BGR. One of another size than the source's is fitted in.
            pts: Presentation time in ``time_base``.
        """
        frame = self._frame(self._fit(image))
        frame.pts, frame.time_base = pts, self.time_base
        packets: list[Any] = self.stream.encode(frame)
        return packets

    def flush(self) -> list[Any]:
        """The packets of the pictures that the encoder still looks ahead to."""
        packets: list[Any] = self.stream.encode(None)
        return packets

    def _frame(self, image: Image) -> Any:
        """The picture in the encoder's pixel format.

        OpenCV knows BT.601 only and takes a sixth of swscale's time. Where chroma was decoded from
        4:2:0 it takes the very values again, which swscale blurs: 45 dB of PSNR for 42 at 1280x720.
        """
        if self._pixels == "yuv420p" and self.coded_size[1] > 2:  # PyAV lends it no single row
            planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), np.uint8)
            return av.VideoFrame.from_numpy_buffer(planes, format="yuv420p")
        # One thread: waiting for others costs more than it wins beside a busy net.
        return self._reformat(
            av.VideoFrame.from_numpy_buffer(image, format="bgr24"),
            format=self._pixels,
            dst_colorspace=_SWSCALE_BT601,
            src_color_range=_FULL,
            dst_color_range=_LIMITED,
            threads=1,
        )

    def _fit(self, image: Image) -> Image:
        """The picture at the coded size: content stays in place, the last column and row repeat."""
        if (image.shape[1], image.shape[0]) != self.size:
            image = _letterbox(image, self.size)
        right, below = self.coded_size[0] - self.size[0], self.coded_size[1] - self.size[1]
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


def _settings(info: SourceInfo, options: OutputOptions) -> dict[str, str]:
    """x264's options: constant quality, with the source's bit rate as the measure of its cap."""
    rate = float(info.rate or 30)
    pixels = info.size[0] * info.size[1]
    # Pictures in the look-ahead take memory too: 8K ones 50 MB each.
    lookahead = max(0, min(10, int(_LOOKAHEAD_S * rate), int(8e7 / pixels)))
    auto = options.preset == "auto"
    settings = {
        "preset": "ultrafast" if auto else options.preset,
        "crf": str(min(51, options.crf + _AUTO_STEPS * auto)),
        "bf": "0",
        "g": str(max(1, min(250, round(_KEYFRAMES_S * rate)))),
        "rc-lookahead": str(0 if auto else lookahead),
    }
    if auto:
        settings["x264-params"] = _AUTO
    if info.bit_rate:
        least = _LEAST_BITS_PER_PIXEL * pixels * rate
        most = int(max(_MOST_OF_SOURCE * info.bit_rate, least))
        settings |= {"maxrate": str(most), "bufsize": str(2 * most)}
    return settings
