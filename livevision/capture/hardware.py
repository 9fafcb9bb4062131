"""Hardware video decoders (PyAV), each tested before it is used.

FFmpeg lists what it was built for, whether or not this machine has it. A few frames are therefore
decoded and checked, once per process. Decoded pictures are copied to main memory.
"""

from __future__ import annotations

import functools
import io
import logging
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np

from livevision.media.codecs import DECODERS, NOT_BUILT, SOFTWARE, TRIALS, hardware_at_hand

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel
    from av.video.stream import VideoStream

log = logging.getLogger(__name__)

JETSON = "nvv4l2decoder"

# Decoders outside FFmpeg's hwaccel interface, and the names of their codecs.
_SEPARATE = {"v4l2m2m": "{}_v4l2m2m", "qsv": "{}_qsv"}

_SHADES = (40, 90, 140, 190, 230)  # of the test frames, uniform grey
_SIZE = (320, 192)
_TOLERANCE = 6


@functools.cache
def choose(asked: str) -> str:
    """The decoder to use: the requested one if it works here, else software; logs the choice.

    Args:
        asked: "auto", "software" or a name of ``codecs.DECODERS``.
    """
    if asked == SOFTWARE:
        return SOFTWARE
    if asked == JETSON:
        log.info("--decoder %s is for rtsp:// sources: software decodes the others", JETSON)
        return SOFTWARE
    names = [asked]
    if asked == "auto":
        names = [n for n in DECODERS if n != JETSON] if hardware_at_hand() else []
    for name in names:
        reason = why_not(name)
        if reason is None:
            log.info("video is decoded by %s where it can: %s", name, DECODERS[name])
            return name
        if asked == "auto":
            log.debug("video cannot be decoded by %s: %s", name, reason)
        else:
            log.warning("--decoder %s does not work here (%s): software decodes", name, reason)
    return SOFTWARE


@functools.cache
def why_not(name: str) -> str | None:
    """Why a decoder does not work here; None if it works, tested with H.264."""
    import av
    from av.codec.hwaccel import hwdevices_available

    if name == JETSON:
        return _no_jetson()
    if name not in _SEPARATE and name not in hwdevices_available():
        return NOT_BUILT
    try:
        with TRIALS, av.logging.Capture() as said:
            before = av.logging.get_level()
            av.logging.set_level(av.logging.ERROR)
            try:
                found = _decode(_clip(), name)
            finally:
                av.logging.set_level(before)
    except (av.error.FFmpegError, RuntimeError, ValueError, NotImplementedError) as error:
        # FFmpeg's first message names the driver or library; the error is often only a number.
        return said[0][2].strip() if said else getattr(error, "strerror", None) or str(error)
    if len(found) != len(_SHADES):
        return f"it gave {len(found)} of {len(_SHADES)} frames"
    if any(abs(a - b) > _TOLERANCE for a, b in zip(found, _SHADES, strict=True)):
        return f"its pictures are wrong: grey of {_SHADES} came out as {found}"
    return None


def accelerator(name: str) -> HWAccel | None:
    """The ``hwaccel`` argument of ``av.open``; unsupported streams fall back to software."""
    from av.codec.hwaccel import HWAccel

    if name == SOFTWARE or name in _SEPARATE:
        return None
    return HWAccel(name, allow_software_fallback=True)


def context_of(stream: VideoStream, name: str) -> Any:
    """The codec context that decodes a stream of a container opened with ``accelerator``."""
    if name not in _SEPARATE:
        return stream.codec_context
    import av

    own = stream.codec_context
    separate = _SEPARATE[name].format(own.codec.canonical_name)
    try:
        context: Any = av.CodecContext.create(separate, "r")
    except (av.codec.codec.UnknownCodecError, ValueError):
        return stream.codec_context  # this codec has none
    context.extradata = own.extradata
    context.width, context.height = own.width, own.height
    context.pix_fmt = own.pix_fmt
    return context


def _clip() -> bytes:
    """A short H.264 video of uniform grey pictures."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream: Any = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *_SIZE, "yuv420p"
        for shade in _SHADES:
            grey = np.full((_SIZE[1], _SIZE[0], 3), shade, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="bgr24")))
        output.mux(stream.encode(None))
    return file.getvalue()


def _decode(clip: bytes, name: str) -> list[int]:
    """The mean of each frame that the decoder makes of a clip."""
    import av
    from av.codec.hwaccel import HWAccel

    hardware = None if name in _SEPARATE else HWAccel(name, allow_software_fallback=False)
    with av.open(io.BytesIO(clip), "r", hwaccel=hardware) as container:
        stream = container.streams.video[0]
        context: Any = context_of(stream, name)
        if name in _SEPARATE and context is stream.codec_context:
            raise ValueError(NOT_BUILT)
        found = []
        for packet in container.demux(stream):
            for frame in context.decode(packet):
                found.append(round(float(frame.to_ndarray(format="bgr24").mean())))
    return found


def _no_jetson() -> str | None:
    import cv2

    if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        return "the installed OpenCV is built without GStreamer"
    inspect = shutil.which("gst-inspect-1.0")
    if inspect is None:
        return "there is no gst-inspect-1.0"
    done = subprocess.run([inspect, "--exists", JETSON], capture_output=True, check=False)
    return f"GStreamer has no element {JETSON!r}" if done.returncode else None
