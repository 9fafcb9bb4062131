"""Names of hardware video decoders and encoders, as in their own libraries.

Whether one works here is found by trying it: ``capture.hardware`` and ``output.hardware``.
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
"""Hardware decoders by name; the first one that works is used, else software."""

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
"""Hardware encoders by FFmpeg's name. The first H.264 one that works is used, else libx264."""

SOFTWARE_ENCODER = "libx264"

NOT_BUILT = "this FFmpeg is built without it"
"""The usual reason why a codec does not work."""

TRIALS = threading.Lock()
"""Held while a codec is tried, since FFmpeg's log capture is global to the process."""

# Device nodes of drivers: NVIDIA, Jetson, all others, WSL.
_DEVICES = ("nvidiactl", "nvhost-*", "dri/renderD*", "video*", "dxg")


def hardware_at_hand() -> bool:
    """Whether there is any hardware worth trying, which costs a tenth of a second.

    True if that is unknown.
    """
    if sys.platform != "linux":
        return True
    return any(True for name in _DEVICES for _ in Path("/dev").glob(name))
