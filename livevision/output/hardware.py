"""Hardware video encoders, each tested before it is used.

FFmpeg lists what it was built for, whether or not this machine has it, and hardware has its own
limits. A few pictures are therefore encoded at the size in question, once per process, decoded and
checked.
"""

from __future__ import annotations

import io
import logging
from fractions import Fraction
from typing import Any

import av
import numpy as np

from livevision.media.codecs import ENCODERS, NOT_BUILT, SOFTWARE_ENCODER, TRIALS, hardware_at_hand
from livevision.output.encoder import Encoder
from livevision.output.hardware_encoders import HardwareEncoder, encoder_of
from livevision.output.options import OutputOptions
from livevision.protocols import SourceInfo

log = logging.getLogger(__name__)

_SHADES = (40, 90, 140, 190, 230)  # of the test frames, uniform grey
_TOLERANCE = 8


_tried: dict[tuple[str, tuple[int, int]], str | None] = {}


def choose(info: SourceInfo, options: OutputOptions) -> HardwareEncoder | None:
    """The encoder for a source, or None for libx264; logs the choice.

    "auto" takes the first H.264 encoder that works, unless an x264 preset was requested.
    """
    asked = options.encoder
    if asked == SOFTWARE_ENCODER or (asked == "auto" and options.preset != "auto"):
        return None
    names = [asked]
    if asked == "auto":
        names = [n for n in ENCODERS if n.startswith("h264")] if hardware_at_hand() else []
    for name in names:
        reason = why_not(name, info.size)
        if reason is None:
            log.info("video is encoded by %s: %s", name, ENCODERS[name])
            return encoder_of(name)
        if asked == "auto":
            log.debug("video cannot be encoded by %s: %s", name, reason)
        else:
            log.warning(
                "--encoder %s does not work here (%s): %s encodes", name, reason, SOFTWARE_ENCODER
            )
    return None


def why_not(name: str, size: tuple[int, int] = (640, 384)) -> str | None:
    """Why an encoder does not work here at a size (width, height); None if it works."""
    if (name, size) not in _tried:
        _tried[name, size] = _try(name, size)
    return _tried[name, size]


def _try(name: str, size: tuple[int, int]) -> str | None:
    try:
        av.codec.Codec(name, "w")
    except (av.codec.codec.UnknownCodecError, ValueError):
        return NOT_BUILT
    with TRIALS, av.logging.Capture() as said:
        before = av.logging.get_level()
        av.logging.set_level(av.logging.ERROR)
        try:
            found = _written_and_read(encoder_of(name), size)
        except (av.error.FFmpegError, RuntimeError, ValueError, NotImplementedError) as error:
            # FFmpeg's first message names the driver or library; the error is often only a number.
            return said[0][2].strip() if said else getattr(error, "strerror", None) or str(error)
        finally:
            av.logging.set_level(before)
    if len(found) != len(_SHADES):
        return f"it wrote {len(found)} of {len(_SHADES)} frames"
    if any(abs(a - b) > _TOLERANCE for a, b in zip(found, _SHADES, strict=True)):
        return f"its pictures are wrong: grey of {_SHADES} came out as {found}"
    return None


def _written_and_read(encoder: HardwareEncoder, size: tuple[int, int]) -> list[int]:
    """The mean of each frame of a short mp4 that the encoder wrote, decoded in software."""
    info = SourceInfo("a trial", False, size, rate=Fraction(25))
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        track = Encoder(output, info, OutputOptions(encoder=encoder.name), hardware=encoder)
        packets: list[Any] = []
        for number, shade in enumerate(_SHADES):
            grey = np.full((size[1], size[0], 3), shade, np.uint8)
            packets += track.encode(grey, round(number / 25 / track.time_base))
        output.mux(packets + track.flush())
    with av.open(io.BytesIO(file.getvalue()), "r") as container:
        return [
            round(float(f.to_ndarray(format="bgr24").mean())) for f in container.decode(video=0)
        ]
