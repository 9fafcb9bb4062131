"""Reads the packets of a container: video for decoding, other streams for outputs that copy (PyAV).

All share one clock (``media.clock``), so that decoded and copied streams stay in step.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from livevision.capture.beside import beside_of, pictures_of, sound_of, track_of
from livevision.capture.late_sound import LateSound
from livevision.errors import SourceError
from livevision.media.clock import Clock
from livevision.media.extras import Chapter, Extras
from livevision.media.packets import PacketRing
from livevision.media.tap import Part

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
        ring: Receives the packets of the video, and of its sound if it wants that, for clips and
            recordings.
        patience: Seconds of a live stream in which only sound comes, until that is an error; None
            for any.

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
        patience: float | None = None,
    ) -> None:
        from av.stream import Discard

        self._container, self._video, self._ring = container, video, ring
        self._patience = patience if live else None
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
        self._beside = [] if self._extras is None else beside_of(container, video)
        if self._extras is not None and not shift:
            self._describe(self._extras)
        self._sound: Any = None
        self._late: LateSound | None = None
        if ring is not None:
            self._begin_ring(ring, live)
        wanted = {video.index, *(stream.index for stream in self._beside)}
        for stream in container.streams:
            if stream.index not in wanted:
                stream.discard = Discard.all  # neither read nor parsed

    def _begin_ring(self, ring: PacketRing, live: bool) -> None:
        described = track_of(self._video)
        if described.template is None:
            self._ring = None
            return
        part = Part(described.template, described.holder, described.codec)
        sound = sound_of(self._container, self._video) if ring.sound else None
        if sound is not None and not self._by_arrival:
            self._sound = sound
            if LateSound.is_known(sound):
                part.sound = track_of(sound)
            else:
                self._late = LateSound(sound)
            if all(stream.index != sound.index for stream in self._beside):
                self._beside.append(sound)
        ring.begin(part, live=live)

    @property
    def breaks(self) -> int:
        return self._clock.breaks

    def __iter__(self) -> Iterator[Any]:
        """The video packets in decoding order, and an empty one at the end."""
        number, ended = self._video.index, False
        seen = time.monotonic()
        for packet in self._container.demux(self._video, *self._beside):
            if packet.stream.index == number:  # empty packets have it too
                ended = packet.size == 0 and packet.dts is None
                if not ended:
                    self._on_the_clock(packet)
                    if self._ring is not None and packet.size:
                        self._put_in_ring(self._ring, packet)
                yield packet
                seen = time.monotonic()
            elif packet.size:
                self._put_beside(packet)
                if self._patience is not None and time.monotonic() - seen > self._patience:
                    raise SourceError(f"no video for {self._patience:g} s, but sound")
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
            if self._ring is not None and packet.stream is self._sound:
                self._put_sound(self._ring, packet)
            if self._extras is not None:
                self._extras.put(packet)

    def _put_sound(self, ring: PacketRing, packet: Any) -> None:
        if self._late is not None and ring.part is not None:
            ring.part.sound = self._late.track(packet)
            if ring.part.sound is not None:
                self._late = None
        ring.put_sound(packet, float(packet.dts * packet.time_base) - self._shift, packet.size)

    def _describe(self, extras: Extras) -> None:
        container = self._container
        extras.tags = dict(container.metadata)
        extras.video_tags = dict(self._video.metadata)
        extras.tracks = [
            *(track_of(stream) for stream in self._beside),
            *pictures_of(container, self._video),
        ]
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


def _move(packet: Any, seconds: float) -> None:
    ticks = round(seconds / packet.time_base)
    if packet.pts is not None:
        packet.pts += ticks
    if packet.dts is not None:
        packet.dts += ticks
