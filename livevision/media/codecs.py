"""Names of what decodes and encodes video, as their own libraries have them.

Which of them work here is found out by trying: ``capture.hardware`` and ``output.hardware``.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

SOFTWARE = "software"

DECODERS = {
    "cuda": "NVIDIA's NVDEC, through FFmpeg",
    "vaapi": "Intel's and AMD's on Linux, through FFmpeg",
    "qsv": "Intel's Quick Sync, through FFmpeg",
    "videotoolbox": "Apple's, through FFmpeg",
    "d3d11va": "any GPU's on Windows, through FFmpeg",
    "v4l2m2m": "boards such as the Raspberry Pi, through FFmpeg",
    "nvv4l2decoder": "a Jetson's, through GStreamer, for rtsp:// sources",
}
"""By name, what they are; the first one that works is taken, software where none does."""

ENCODERS = {
    "h264_nvenc": "NVIDIA's NVENC",
    "h264_vaapi": "Intel's and AMD's on Linux",
    "h264_qsv": "Intel's Quick Sync",
    "h264_amf": "AMD's AMF",
    "h264_videotoolbox": "Apple's",
    "h264_v4l2m2m": "boards such as the Raspberry Pi",
    "hevc_nvenc": "NVIDIA's NVENC, H.265",
    "hevc_vaapi": "Intel's and AMD's on Linux, H.265",
    "hevc_qsv": "Intel's Quick Sync, H.265",
    "hevc_videotoolbox": "Apple's, H.265",
}
"""By FFmpeg's name, whose they are. The first of H.264 that works is taken, libx264 where none."""

SOFTWARE_ENCODER = "libx264"

NOT_BUILT = "this FFmpeg is built without it"
"""Why most of them do not work in most places."""

TRIALS = threading.Lock()
"""Held while a codec is tried, since what FFmpeg says of it is set up for the whole process."""

# What drivers of GPUs and of boards' codecs put there: NVIDIA's, a Jetson's, all others', WSL's.
_DEVICES = ("nvidiactl", "nvhost-*", "dri/renderD*", "video*", "dxg")


def hardware_at_hand() -> bool:
    """Whether anything is there that trying could be worth while for; it costs a tenth of a second.

    Where nobody knows, True.
    """
    if sys.platform != "linux":
        return True
    return any(True for name in _DEVICES for _ in Path("/dev").glob(name))
