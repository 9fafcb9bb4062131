"""Reads the packets of a container: video for decoding, other streams for outputs that copy (PyAV).

All share one clock (``media.clock``), so that decoded and copied streams stay in step.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from livevision.media.clock import Clock
from livevision.media.extras import Chapter, Extras, Track
from livevision.media.packets import PacketRing, Part

# Formats whose times start anywhere and may jump. In the others times start with the film.
_FREE_CLOCKS = frozenset({"flv", "live_flv", "asf"})
_USUAL_LENGTH = 1 / 25
NO_TIMES = 0x80
"""FFmpeg's AVFMT_NOTIMESTAMPS: the times of such a format's packets are made up."""


class Demuxer:
    """Packets of one video stream; iterate once.

    Args:
        container: Opened for reading.
        video: Its stream to decode.
        live: A live stream: other streams are not kept, and its clock does not start at 0.
        rate: Frames per second of the video, or None.
        extras: Receives the other streams, if an output copies them.
        shift: Seconds to add to the times of other streams, for looped files.
        ring: Receives the packets of the video, if clips are wanted.

    Attributes:
        breaks: Breaks in the file's clock so far.
    """

    def __init__(
        self,
        container: Any,
        video: Any,
        *,
        live: bool,
        rate: Fraction | None,
        extras: Extras | None = None,
        shift: float = 0.0,
        ring: PacketRing | None = None,
    ) -> None:
        from av.stream import Discard

        self._container, self._video, self._ring = container, video, ring
        # Where times are made up, those of arrival count.
        self._by_arrival = bool(live and container.format.flags & NO_TIMES)
        self._extras = None if live else extras
        self._length = float(1 / rate) if rate else _USUAL_LENGTH
        self._shift = shift
        jumps = _may_jump(container)
        free = jumps or container.format.name in _FREE_CLOCKS
        start = container.start_time
        self.zero = start / 1e6 if free and not live and start else 0.0
        self._clock: Clock[Any] = Clock(self.zero, jumps=jumps, leaps=not live)
        self._beside = [] if self._extras is None else _beside(container, video)
        wanted = {video.index, *(stream.index for stream in self._beside)}
        for stream in container.streams:
            if stream.index not in wanted:
                stream.discard = Discard.all  # neither read nor parsed
        if self._extras is not None and not shift:
            self._describe(self._extras)
        if ring is not None:
            described = _track(video)
            part = Part(described.template, described.holder, described.codec)
            if part.template is not None:
                ring.begin(part, live=live)
            else:
                self._ring = None

    @property
    def breaks(self) -> int:
        return self._clock.breaks

    def __iter__(self) -> Iterator[Any]:
        """The video packets in decoding order, and an empty one at the end."""
        number, ended = self._video.index, False
        for packet in self._container.demux(self._video, *self._beside):
            if packet.stream.index == number:  # empty packets have it too
                ended = packet.size == 0 and packet.dts is None
                if not ended:
                    self._on_the_clock(packet)
                    if self._ring is not None and packet.size:
                        self._put_in_ring(self._ring, packet)
                yield packet
            elif packet.size:
                self._put_beside(packet)
        self._keep(self._clock.waiting(last=True))

    def _on_the_clock(self, packet: Any) -> None:
        base = packet.time_base
        pts, dts = packet.pts, packet.dts
        shift = self._clock.picture(
            None if pts is None else float(pts * base),
            None if dts is None else float(dts * base),
            float(packet.duration * base) if packet.duration else self._length,
        )
        if shift and base:
            _move(packet, shift)
        if self._beside:
            self._keep(self._clock.waiting())

    def _put_in_ring(self, ring: PacketRing, packet: Any) -> None:
        base = packet.time_base
        shown = packet.pts if packet.pts is not None else packet.dts
        if self._by_arrival:
            at, order = time.monotonic(), None
        elif shown is None or not base:
            return  # its time is unknown
        else:
            at = float(shown * base)
            order = None if packet.dts is None else float(packet.dts * base)
        ring.put(packet, at, order, key=bool(packet.is_keyframe), size=packet.size)

    def _put_beside(self, packet: Any) -> None:
        base = packet.time_base
        packet.dts = packet.pts if packet.dts is None else packet.dts
        if packet.dts is None:
            return  # its time is unknown
        self._keep(
            self._clock.beside(
                packet.stream_index,
                float(packet.dts * base),
                float((packet.duration or 0) * base),
                packet,
                steady=packet.stream.type == "audio",
            )
        )

    def _keep(self, found: Iterator[tuple[Any, float]]) -> None:
        for packet, shift in found:
            _move(packet, shift + self._shift)
            if self._extras is not None:
                self._extras.put(packet)

    def _describe(self, extras: Extras) -> None:
        container = self._container
        extras.tags = dict(container.metadata)
        extras.video_tags = dict(self._video.metadata)
        extras.tracks = [_track(s) for s in self._beside] + _pictures(container, self._video)
        extras.chapters = [
            Chapter(
                float(chapter["start"] * chapter["time_base"]) - self.zero,
                float(chapter["end"] * chapter["time_base"]) - self.zero,
                dict(chapter["metadata"]),
            )
            for chapter in container.chapters()
        ]


def _may_jump(container: Any) -> bool:
    from av.format import Flags

    return bool(container.format.flags & Flags.ts_discont.value)


def _beside(container: Any, video: Any) -> list[Any]:
    """The streams that accompany a video, without other pictures and other qualities."""
    found = []
    version = video.metadata.get("variant_bitrate")
    # HLS numbers each playlist; audio with the number of the video belongs to it.
    together = container.format.name == "hls" and any(
        stream.type == "audio" and stream.id == video.id for stream in container.streams
    )
    chapters = bool(container.chapters())
    for stream in container.streams:
        if stream.type not in ("audio", "subtitle", "data", "attachment"):
            continue
        if stream.metadata.get("variant_bitrate", version) != version:
            continue  # another quality of an HLS stream
        if together and stream.id != video.id:
            continue
        if chapters and stream.type == "data" and stream.name == "bin_data":
            continue  # a track of chapter names
        found.append(stream)
    return found


def _pictures(container: Any, video: Any) -> list[Track]:
    """Other videos and cover pictures, which no output copies."""
    from av.stream import Disposition

    if container.format.name == "hls":
        return []  # the same video in other qualities
    return [
        Track(
            stream.index,
            "cover" if stream.disposition & Disposition.attached_pic else "video",
            stream.codec_context.codec.canonical_name if stream.codec_context else "unknown",
            None,
            None,
        )
        for stream in container.streams.video
        if stream.index != video.index
    ]


def _track(stream: Any) -> Track:
    import av

    context = stream.codec_context
    codec = context.codec.canonical_name if context is not None else getattr(stream, "name", None)
    # A container that is never written keeps the parameters after the file is closed.
    holder: Any = av.open(io.BytesIO(), "w", "null")
    try:
        template = holder.add_stream_from_template(stream)
    except (av.error.FFmpegError, ValueError):
        template = None
    return Track(
        stream.index,
        stream.type,
        codec or "unknown",
        template,
        holder,
        _tags(stream),
        int(stream.disposition),
    )


def _tags(stream: Any) -> dict[str, str]:
    tags = dict(stream.metadata)
    if "name" in tags:  # QuickTime's key for a track's title
        tags.setdefault("title", tags.pop("name"))
    return tags


def _move(packet: Any, seconds: float) -> None:
    ticks = round(seconds / packet.time_base)
    if packet.pts is not None:
        packet.pts += ticks
    if packet.dts is not None:
        packet.dts += ticks
