"""What x264 is told: quality and pace, and a cap on the bits of a file's copy."""

from __future__ import annotations

from fractions import Fraction

from livevision.output.options import OutputOptions
from livevision.protocols import SourceInfo

# x264 looks ahead to spend bits well; what it looks at is lost when the process is killed.
_LOOKAHEAD_S = 0.3
_KEYFRAMES_S = 4
# The cap above the source's own bit rate, and the least that keeps an annotated picture good.
_MOST_OF_SOURCE = 1.8
_LEAST_BITS_PER_PIXEL = 0.04
# The cap where the bit rate is not told, as of a camera: four times what usual films take.
_MOST_BITS_PER_PIXEL, _LEAST_BITS = 0.3, 2e6
# So many seconds' bits may come at once: in an encoder that keeps to the cap, as into a player's
# buffer; before it takes over from one that does not; and what is left to it then.
_BUFFER_S, _BURST_S, _LEFT_S = 2.0, 1.5, 0.6

# "auto" is ultrafast with the cheap half of what makes veryfast's files small. What looks ahead and
# weighs blocks (mbtree, aq) is left out, which saves about a tenth of the work at the same size and
# quality with a crf two higher (figures: docs/performance.md, "Video encoder").
_AUTO = "cabac=1:deblock=0,0:8x8dct=1:aq-mode=0:mbtree=0"
_AUTO_STEPS = 2
# Parameter sets that tell nothing of the quality: one encoder can go on with another's track.
_ALIKE = "stitchable=1"


def free(info: SourceInfo, options: OutputOptions) -> dict[str, str]:
    """Settings of the encoder that begins a track, which keeps to no cap that would cost time.

    "auto" holds the quantizer itself. A constant rate factor, and any cap, analyse a small copy of
    each picture beforehand, which is a fifth of the encoder's work (figures: docs/performance.md,
    "Video encoder").
    """
    if options.preset == "auto":
        return _settings(info, options, "qp")
    return capped(info, options) if info.bit_rate else _settings(info, options, "crf")


def capped(info: SourceInfo, options: OutputOptions, before: bytes | None = None) -> dict[str, str]:
    """Settings of an encoder that keeps to the cap for the source: quality gives way to it.

    Args:
        info: The source.
        options: ``preset`` and ``crf``.
        before: The parameter sets of the encoder that it takes over from, as Annex B of H.264 has
            them. It gets the same ones, where x264 would choose the level by the cap.
    """
    settings = _settings(info, options, "crf")
    if before is not None:
        level = before[before.index(b"\0\0\1") + 6]
        settings["x264-params"] += f":level={level}:vbv-init={_LEFT_S / _BUFFER_S}"
    most = cap(info)
    return settings | {"maxrate": str(most), "bufsize": str(int(_BUFFER_S * most))}


def cap(info: SourceInfo) -> int:
    """Bits a second that a copy may take, by its source's, or by its size where these are not told.

    A camera's noise at night would otherwise fill a disk.
    """
    pixels = info.size[0] * info.size[1] * float(info.rate or 30)
    if info.bit_rate:
        return int(max(_MOST_OF_SOURCE * info.bit_rate, _LEAST_BITS_PER_PIXEL * pixels))
    return int(max(_MOST_BITS_PER_PIXEL * pixels, _LEAST_BITS))


class Bits:
    """Watches the bits of a track against a cap.

    Args:
        cap: Bits a second.
    """

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._over = 0.0

    def too_many(self, bits: int, seconds: Fraction | float) -> bool:
        """Whether with another picture there are more than the cap and a burst allow.

        Args:
            bits: The picture's.
            seconds: How long after the last picture it is shown.
        """
        self._over = max(0.0, self._over - self._cap * float(seconds)) + bits
        return self._over > _BURST_S * self._cap


def key_frame_interval(rate: Fraction | float) -> str:
    """Frames from one key frame to the next, as FFmpeg's encoders take them: four seconds'."""
    return str(max(1, min(250, round(_KEYFRAMES_S * rate))))


def _settings(info: SourceInfo, options: OutputOptions, control: str) -> dict[str, str]:
    """All but the cap; ``control`` is x264's name for what the quality is a number of."""
    rate = float(info.rate or 30)
    pixels = info.size[0] * info.size[1]
    # Pictures in the look-ahead take memory too: 8K ones 50 MB each.
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
