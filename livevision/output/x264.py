"""Settings of x264: quality, pace, and a cap on the bit rate of copies."""

from __future__ import annotations

from fractions import Fraction

from livevision.output.options import OutputOptions
from livevision.protocols import SourceInfo

# The look-ahead improves bit allocation; its pictures are lost when the process is killed.
_LOOKAHEAD_S = 0.3
_KEYFRAMES_S = 4
_LIVE_KEYFRAMES_S = 2  # a viewer who joins waits for one
# The cap relative to the source's bit rate, enough for a good annotated picture.
_MOST_OF_SOURCE = 1.8
_LEAST_BITS_PER_PIXEL = 0.04
# The cap if the bit rate is unknown, as for cameras: four times that of usual films.
_MOST_BITS_PER_PIXEL, _LEAST_BITS = 0.3, 2e6
# Seconds of bits that may come at once: in an encoder that keeps to the cap, as in a player's
# buffer; before it takes over from one that does not; and what remains for it then.
_BUFFER_S, _BURST_S, _LEFT_S = 2.0, 1.5, 0.6

# "auto" is ultrafast plus the cheap half of veryfast's tools. Look-ahead and block weighting
# (mbtree, aq) are off, which saves about a tenth of the work at the same size and quality with a
# crf two higher (figures: docs/performance.md, "Video encoder").
_AUTO = "cabac=1:deblock=0,0:8x8dct=1:aq-mode=0:mbtree=0"
_AUTO_STEPS = 2
# Parameter sets without the quality, so that one encoder can continue another's track.
_ALIKE = "stitchable=1"


def free(info: SourceInfo, options: OutputOptions) -> dict[str, str]:
    """Settings of the encoder that begins a track, without a cap, which would cost time.

    "auto" uses a constant quantizer. A constant rate factor, and any cap, analyse a small copy of
    each picture first, which is a fifth of the encoder's work (figures: docs/performance.md,
    "Video encoder").
    """
    if options.preset == "auto":
        return _settings(info, options, "qp")
    return capped(info, options) if info.bit_rate else _settings(info, options, "crf")


def capped(info: SourceInfo, options: OutputOptions, before: bytes | None = None) -> dict[str, str]:
    """Settings of an encoder that keeps to the source's cap at the cost of quality.

    Args:
        info: The source.
        options: ``preset`` and ``crf``.
        before: Parameter sets of the encoder it takes over from, in Annex B format of H.264. It
            gets the same ones; otherwise x264 would choose the level by the cap.
    """
    settings = _settings(info, options, "crf")
    if before is not None:
        level = before[before.index(b"\0\0\1") + 6]
        settings["x264-params"] += f":level={level}:vbv-init={_LEFT_S / _BUFFER_S}"
    most = cap(info)
    return settings | {"maxrate": str(most), "bufsize": str(int(_BUFFER_S * most))}


def live(info: SourceInfo, options: OutputOptions) -> dict[str, str]:
    """Settings for a stream: no delay in the encoder, and a key frame every two seconds."""
    settings = _settings(info, options, "crf")
    most, rate = cap(info), float(info.rate or 30)
    return settings | {
        "x264-params": f"crf={options.crf}",
        "tune": "zerolatency",
        "g": str(max(1, round(_LIVE_KEYFRAMES_S * rate))),
        "maxrate": str(most),
        "bufsize": str(most),
    }


def cap(info: SourceInfo) -> int:
    """The bit-rate cap of a copy, from the source's bit rate, or from its size if that is unknown.

    Otherwise a camera's noise at night would fill a disk.
    """
    pixels = info.size[0] * info.size[1] * float(info.rate or 30)
    if info.bit_rate:
        return int(max(_MOST_OF_SOURCE * info.bit_rate, _LEAST_BITS_PER_PIXEL * pixels))
    return int(max(_MOST_BITS_PER_PIXEL * pixels, _LEAST_BITS))


class Bits:
    """Compares the bits of a track with a cap.

    Args:
        cap: Bits per second.
    """

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._over = 0.0

    def too_many(self, bits: int, seconds: Fraction | float) -> bool:
        """Whether the track with another picture exceeds the cap and the allowed burst.

        Args:
            bits: Size of the picture.
            seconds: Time since the last picture.
        """
        self._over = max(0.0, self._over - self._cap * float(seconds)) + bits
        return self._over > _BURST_S * self._cap


def key_frame_interval(rate: Fraction | float) -> str:
    """Frames between key frames, as FFmpeg's encoders take it: four seconds."""
    return str(max(1, min(250, round(_KEYFRAMES_S * rate))))


def _settings(info: SourceInfo, options: OutputOptions, control: str) -> dict[str, str]:
    """All settings but the cap; ``control`` is x264's name of the quality setting."""
    rate = float(info.rate or 30)
    pixels = info.size[0] * info.size[1]
    # Pictures in the look-ahead take memory too: 50 MB each for 8K.
    lookahead = max(0, min(10, int(_LOOKAHEAD_S * rate), int(8e7 / pixels)))
    auto = options.preset == "auto"
    quality = f"{control}={min(51, options.crf + _AUTO_STEPS * auto)}"
    return {
        "preset": "ultrafast" if auto else options.preset,
        "bf": "0",
        "g": key_frame_interval(rate),
        "rc-lookahead": str(0 if auto else lookahead),
        "x264-params": ":".join([_AUTO, _ALIKE, quality] if auto else [quality]),
    }
