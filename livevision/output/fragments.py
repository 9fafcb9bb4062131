"""Containers that are readable at any moment up to about their last second.

mp4 and mov are written in fragments and finished as ordinary files, mkv in short clusters.
"""

from __future__ import annotations

from typing import Any

_FRAGMENT_MS = 400

_MP4 = {
    # The index is written at the end; until then each fragment has its own.
    "movflags": "hybrid_fragmented+delay_moov",
    "frag_duration": str(_FRAGMENT_MS * 1000),
}
_MKV = {
    "cluster_time_limit": str(_FRAGMENT_MS),
    # Audio may begin slightly before zero; shifting everything would falsify the video's times.
    "avoid_negative_ts": "disabled",
}
MUXERS = {
    ".mp4": ("mp4", _MP4, (b"moof", b"moov")),
    ".mov": ("mov", _MP4, (b"moof", b"moov")),
    ".mkv": ("matroska", _MKV, (bytes.fromhex("1F43B675"), bytes.fromhex("1C53BB6B"))),
}
"""By suffix: the muxer, its options, and the marks of parts that are readable only as a whole."""

FLUSH = {"flush_packets": "1", "max_interleave_delta": str(_FRAGMENT_MS * 1000)}
"""Options of every such muxer."""


class Track:
    """Holds one packet back, since only the next one determines its duration.

    A fragment ends with its last packet's duration, and the next one has to begin there.

    Args:
        container: PyAV's, opened for writing.
    """

    def __init__(self, container: Any) -> None:
        self._container = container
        self._held: Any = None

    def put(self, packet: Any) -> None:
        """Write the packet before this one, and hold this one back."""
        if self._held is not None:
            if packet.dts <= self._held.dts:
                return  # audio that repeats a time, which no container accepts
            self._held.duration = packet.dts - self._held.dts
            self._container.mux(self._held)
        self._held = packet

    def end(self, duration: int | None = None) -> None:
        """Write the last packet, with this duration or its own."""
        if self._held is not None:
            if duration is not None:
                self._held.duration = duration
            self._container.mux(self._held)
            self._held = None
