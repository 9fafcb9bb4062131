"""FFmpeg's hardware encoders (PyAV): their configuration, and tracks that use them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from livevision.output.options import OutputOptions
from livevision.output.x264 import key_frame_interval
from livevision.protocols import SourceInfo

_BITS_PER_PIXEL = 0.1
_LEAST_OF_SOURCE = 1.2


@dataclass(frozen=True, slots=True)
class HardwareEncoder:
    """Configuration of one of FFmpeg's encoders.

    All use no delay and no B-frames, so that packets leave in the order of their times, and a file
    cut off anywhere is whole up to there.

    Attributes:
        name: FFmpeg's name.
        pixels: Pixel format of its input.
        device: Type of device that pictures are uploaded to, or None.
        settings: Its options for a constant quality 0..51 and for a bit rate, whichever it has.
    """

    name: str
    pixels: str
    device: str | None
    settings: Callable[[int, int], dict[str, str]]

    @property
    def tag(self) -> str | None:
        """The codec tag in mp4 and mov; Apple's players require this one for H.265."""
        return "hvc1" if self.name.startswith("hevc") else None


def _nvenc(quality: int, bits: int) -> dict[str, str]:
    return {"preset": "p3", "rc": "vbr", "cq": str(quality), "b": "0", "delay": "0", "bf": "0"}


def _vaapi(quality: int, bits: int) -> dict[str, str]:
    return {"rc_mode": "CQP", "qp": str(quality), "async_depth": "1", "bf": "0"}


def _qsv(quality: int, bits: int) -> dict[str, str]:
    return {"global_quality": str(quality), "preset": "veryfast", "async_depth": "1", "bf": "0"}


def _amf(quality: int, bits: int) -> dict[str, str]:
    qp = str(quality)
    return {"usage": "lowlatency", "quality": "speed", "rc": "cqp", "qp_i": qp, "qp_p": qp}


def _by_rate(quality: int, bits: int) -> dict[str, str]:
    return {"b": str(bits), "bf": "0"}


_FAMILIES: dict[str, tuple[str, str | None, Callable[[int, int], dict[str, str]]]] = {
    "nvenc": ("yuv420p", None, _nvenc),
    "vaapi": ("nv12", "vaapi", _vaapi),
    "qsv": ("nv12", None, _qsv),
    "amf": ("nv12", None, _amf),
    "videotoolbox": ("nv12", None, _by_rate),
    "v4l2m2m": ("yuv420p", None, _by_rate),
}


def encoder_of(name: str) -> HardwareEncoder:
    """The configuration of an encoder of ``codecs.ENCODERS``."""
    return HardwareEncoder(name, *_FAMILIES[name.partition("_")[2]])


def add_stream(
    output: Any,
    encoder: HardwareEncoder,
    rate: Fraction,
    info: SourceInfo,
    options: OutputOptions,
) -> Any:
    """Add a track for the encoder to a container."""
    from av.codec.hwaccel import HWAccel

    bits = int(_BITS_PER_PIXEL * info.size[0] * info.size[1] * rate)
    if info.bit_rate:
        bits = max(bits // 2, int(_LEAST_OF_SOURCE * info.bit_rate))
    settings = encoder.settings(options.crf, bits)
    settings["g"] = key_frame_interval(rate)
    device = None if encoder.device is None else HWAccel(encoder.device)
    stream = output.add_stream(encoder.name, rate=rate, options=settings, hwaccel=device)
    if encoder.tag is not None and output.format.name in ("mp4", "mov"):
        stream.codec_context.codec_tag = encoder.tag
    return stream
