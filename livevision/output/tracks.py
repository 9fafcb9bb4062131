"""Copies or transcodes a track other than the video to an output (PyAV)."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import av

from livevision.media.extras import Track

_ADTS_SYNC = 0xFFF0


class Copy:
    """A track whose packets are copied.

    Broadcast AAC repeats in each packet what other containers state once, in the header; it is
    moved there. If joined files change it, packets that no longer fit the header are transcoded.

    Args:
        track: The track.
        output: PyAV's output container.
        first: Its first packet, or None if unknown.

    Raises:
        ValueError, av.error.FFmpegError: The container does not support it.
    """

    def __init__(self, track: Track, output: Any, first: Any) -> None:
        if track.template is None:
            raise ValueError(f"its codec {track.codec} is unknown")
        self._track = track
        self.output = output.add_stream_from_template(track.template)
        self._filter: Any = None
        self._anew: _Anew | None = None
        context = self.output.codec_context
        if track.codec == "aac" and not context.extradata:
            self._head = _adts(first) or _Adts.like(context)
            context.extradata = self._head.specific_config()
            self._filter = av.bitstream.BitStreamFilterContext("aac_adtstoasc", track.template)

    def take(self, packet: Any) -> Iterator[Any]:
        """Convert a packet of the source; None flushes at the end."""
        if packet is None:
            ready = [] if self._anew is None else self._fitting(self._anew.take(None))
        elif self._filter is None:
            ready = [copied(packet)]
        elif (_adts(packet) or self._head) != self._head:
            self._anew = self._anew or _Anew(self._track, self._head.encoder())
            ready = self._fitting(self._anew.take(packet))
        else:
            ready = self._bare(packet)
        for put in ready:
            put.stream = self.output
            yield put

    def _fitting(self, packets: Iterator[Any]) -> list[Any]:
        """Packets of an encoder in the common time base."""
        found, base = list(packets), self._track.template.time_base
        for packet in found:
            unit = packet.time_base / base
            packet.pts, packet.dts = round(packet.pts * unit), round(packet.dts * unit)
            packet.duration = round(packet.duration * unit)
            packet.time_base = base
        return found

    def _bare(self, packet: Any) -> list[Any]:
        """A packet without the header data."""
        try:
            found = self._filter.filter(copied(packet))
        except av.error.FFmpegError:
            return []  # a damaged packet is a gap in the audio, as in any player
        for bare in found:
            bare.time_base = packet.time_base
        # The header has it already; Matroska's muxer would write it again, beyond its space.
        return [copied(bare, but="new_extradata") for bare in found]


class Transcode:
    """An audio track in a codec that the container cannot hold, transcoded to AAC.

    Args:
        track: The track.
        output: PyAV's output container.

    Raises:
        ValueError, av.error.FFmpegError: It cannot be decoded, or has more channels than AAC.
    """

    def __init__(self, track: Track, output: Any) -> None:
        decoder, _ = _decoder(track)
        decoder.open(strict=False)
        layout = _layout(decoder.layout.nb_channels)
        self.output = output.add_stream("aac", rate=decoder.sample_rate, layout=layout)
        self._anew = _Anew(track, self.output.codec_context)

    def take(self, packet: Any) -> Iterator[Any]:
        """Convert a packet of the source; None flushes at the end."""
        for put in self._anew.take(packet):
            put.stream = self.output
            yield put


class _Anew:
    """Decodes and encodes audio; gaps are filled with silence to stay in sync."""

    def __init__(self, track: Track, encoder: Any) -> None:
        # A separate decoder, since other outputs of the source have theirs.
        self._decoder, self._holder = _decoder(track)
        self._encoder = encoder
        self._resampler: Any = None
        self._from: tuple[Any, ...] = ()
        self._next = 0  # position of the next sample, in samples

    def take(self, packet: Any) -> Iterator[Any]:
        try:
            frames = self._decoder.decode(None if packet is None else copied(packet))
        except av.error.FFmpegError:
            frames = []  # an undecodable packet is a gap in the audio, as in any player
        for frame in frames:
            yield from self._encode(frame)
        if packet is None:
            yield from self._resampled(None)
            yield from self._dated(self._encoder.encode(None))

    def _encode(self, frame: Any) -> Iterator[Any]:
        # Some audio does not state its channel layout, and joined files change it.
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._from:
            yield from self._resampled(None)
            into = self._encoder
            self._resampler = av.AudioResampler(
                into.format, into.layout, into.sample_rate, options={"async": "1"}
            )
            self._from = kind
        yield from self._resampled(frame)

    def _resampled(self, frame: Any) -> Iterator[Any]:
        found = [] if self._resampler is None else self._resampler.resample(frame)
        for ready in found:
            if ready.pts is None:  # flushed at the end
                ready.pts, ready.time_base = self._next, Fraction(1, ready.sample_rate)
            start = ready.pts * ready.time_base * ready.sample_rate
            self._next = round(start) + ready.samples
            yield from self._dated(self._encoder.encode(ready))

    def _dated(self, packets: Sequence[Any]) -> list[Any]:
        return [packet for packet in packets if packet.dts is not None]


def copied(packet: Any, but: str = "") -> Any:
    """A copy of a packet with its bytes, times and side data, except one type of that."""
    copy = av.Packet(packet)
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    copy.time_base, copy.is_keyframe = packet.time_base, packet.is_keyframe
    for extra in packet.iter_sidedata():
        if extra.data_type != but:
            copy.set_sidedata(extra)
    return copy


def held(track: Track, muxer: str, first: Any) -> bool:
    """Whether a container holds a track without transcoding.

    Tested in memory, with a packet if there is one: muxers list more codecs than they can write.
    """
    try:
        with av.open(io.BytesIO(), "w", muxer) as trial:
            copy = Copy(track, trial, first)
            trial.start_encoding()
            for packet in copy.take(first):
                trial.mux(packet)
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def _decoder(track: Track) -> tuple[Any, Any]:
    """A new decoder for a track, and the object that must outlive it."""
    if track.template is None:
        raise ValueError(f"its codec {track.codec} is unknown")
    holder: Any = av.open(io.BytesIO(), "w", "null")
    return holder.add_stream_from_template(track.template).codec_context, holder


def _layout(channels: int) -> str:
    """The usual layout for a number of channels."""
    usual = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "6.1", "7.1")
    if not 1 <= channels <= len(usual):
        raise ValueError(f"{channels} channels are more than AAC has a layout for")
    return usual[channels - 1]


class _Adts(NamedTuple):
    """The header of an AAC packet (ADTS): profile, rate and channels."""

    kind: int
    rate: int
    channels: int

    @classmethod
    def like(cls, context: Any) -> _Adts:
        return cls(2, _AAC_RATES.index(context.sample_rate), min(context.layout.nb_channels, 7))

    def specific_config(self) -> bytes:
        """The two bytes with the same data in other containers."""
        if not self.channels:
            raise ValueError("its channel layout is non-standard")
        return (self.kind << 11 | self.rate << 7 | self.channels << 3).to_bytes(2)

    def encoder(self) -> Any:
        """An encoder whose packets fit such a header."""
        encoder: Any = av.CodecContext.create("aac", "w")
        encoder.sample_rate, encoder.format = _AAC_RATES[self.rate], "fltp"
        encoder.layout = _layout(8 if self.channels == 7 else self.channels)
        return encoder


def _adts(packet: Any) -> _Adts | None:
    head = bytes(packet)[:4] if packet is not None else b""
    if len(head) < 4 or int.from_bytes(head[:2]) & 0xFFF6 != _ADTS_SYNC:
        return None
    return _Adts((head[2] >> 6) + 1, head[2] >> 2 & 15, (head[2] & 1) << 2 | head[3] >> 6)


_AAC_RATES = (
    *(96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350),
)
