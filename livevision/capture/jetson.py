"""RTSP through a Jetson's hardware decoder, which only GStreamer can use."""

from __future__ import annotations

import logging

from livevision.capture.hardware import JETSON, why_not

log = logging.getLogger(__name__)

# Short enough to be live, long enough to reorder packets.
_LATENCY_MS = 100


def pipeline_for(uri: str, decoder: str) -> str | None:
    """The ``gst:`` source that reads a stream, or None to use FFmpeg.

    ``auto`` and ``nvv4l2decoder`` use GStreamer for ``rtsp://`` if it has that decoder. Files stay
    with FFmpeg, since OpenCV does not report the times of a pipeline's frames.

    Args:
        uri: Address of a stream.
        decoder: The requested decoder.
    """
    if decoder not in ("auto", JETSON) or not uri.startswith(("rtsp://", "rtsps://")):
        return None
    reason = why_not(JETSON)
    if reason is not None:
        if decoder == JETSON:
            log.warning("--decoder %s does not work here (%s): software decodes", JETSON, reason)
        return None
    log.info("video is decoded by %s, through GStreamer", JETSON)
    return (
        f'gst:rtspsrc location="{uri}" latency={_LATENCY_MS} ! application/x-rtp,media=video ! '
        f"parsebin ! {JETSON} ! nvvidconv ! video/x-raw,format=BGRx"
    )
