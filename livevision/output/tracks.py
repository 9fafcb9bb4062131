"""A track beside the pictures on its way into an output: as it is, or encoded anew (PyAV)."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import av

from livevision.media.extras import Track

_MOST_CHANNELS = 8  # that AAC has a usual layout for
_ADTS_SYNC = 0xFFF0


class Copy:
    """A track whose packets go over as they are.

    AAC of broadcasts repeats in each packet what other containers say once, in the header; there it
    is put.

    Args:
        track: The track.
        output: PyAV's output container.
        first: Its first packet, or None while none is known.

    Raises:
        ValueError, av.error.FFmpegError: The container does not take it.
    """

    def __init__(self, track: Track, output: Any, first: Any) -> None:
        if track.template is None:
            raise ValueError(f"nothing is known of its codec, {track.codec}")
        self.output = output.add_stream_from_template(track.template)
        self._filter: Any = None
        context = self.output.codec_context
        if track.codec == "aac" and not context.extradata:
            context.extradata = _audio_specific_config(first, context)
            self._filter = av.bitstream.BitStreamFilterContext("aac_adtstoasc", track.template)

    def take(self, packet: Any) -> Iterator[Any]:
        """The output's packets for one of the source's, or for None at the end."""
        if packet is None:
            return
        copy = copied(packet)
        if self._filter is None:
            copies: Sequence[Any] = [copy]
        else:
            try:
                copies = self._filter.filter(copy)
            except av.error.FFmpegError:
                return  # a damaged packet is a gap in the sound, as any player would have it
        for ready in copies:
            ready.time_base = packet.time_base
            # The header has it already; Matroska's muxer would write it there again, and too far.
            again = self._filter is not None and ready.has_sidedata("new_extradata")
            put = copied(ready, but="new_extradata") if again else ready
            put.stream = self.output
            yield put


class Transcode:
    """A track of sound in a codec that the output's container cannot hold, encoded anew as AAC.

    Gaps are filled with silence, so that what follows stays in step.

    Args:
        track: The track.
        output: PyAV's output container.

    Raises:
        ValueError, av.error.FFmpegError: It cannot be decoded, or has more channels than AAC.
    """

    def __init__(self, track: Track, output: Any) -> None:
        if track.template is None:
            raise ValueError(f"nothing is known of its codec, {track.codec}")
        # A decoder of its own, as other outputs of the same source have theirs.
        self._holder: Any = av.open(io.BytesIO(), "w", "null")
        self._decoder = self._holder.add_stream_from_template(track.template).codec_context
        self._decoder.open(strict=False)
        layout = _layout(self._decoder.layout)
        self.output = output.add_stream("aac", rate=self._decoder.sample_rate, layout=layout)
        self._resampler: Any = None
        self._from: tuple[Any, ...] = ()

    def take(self, packet: Any) -> Iterator[Any]:
        """The output's packets for one of the source's, or for None at the end."""
        try:
            frames = self._decoder.decode(None if packet is None else copied(packet))
        except av.error.FFmpegError:
            frames = []  # an undecodable packet is a gap in the sound, as any player would have it
        for frame in frames:
            yield from self._encode(frame)
        if packet is None:
            if self._resampler is not None:
                yield from self._encoded(self._resampler.resample(None))
            yield from self.output.encode(None)

    def _encode(self, frame: Any) -> Iterator[Any]:
        # Some sound does not say which channel is which, and joined files change.
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._from:
            if self._resampler is not None:
                yield from self._encoded(self._resampler.resample(None))
            into = self.output.codec_context
            self._resampler = av.AudioResampler(
                into.format, into.layout, into.sample_rate, options={"async": "1"}
            )
            self._from = kind
        yield from self._encoded(self._resampler.resample(frame))

    def _encoded(self, frames: Sequence[Any]) -> Iterator[Any]:
        for frame in frames:
            yield from self.output.encode(frame)


def copied(packet: Any, but: str = "") -> Any:
    """A packet of one's own with the same bytes, times and side data, ``but`` one kind of that."""
    copy = av.Packet(packet)
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    copy.time_base, copy.is_keyframe = packet.time_base, packet.is_keyframe
    for extra in packet.iter_sidedata():
        if extra.data_type != but:
            copy.set_sidedata(extra)
    return copy


def held(track: Track, muxer: str, first: Any) -> bool:
    """Whether a kind of container takes a track as it is.

    Tried out in memory, with a packet where there is one: what muxers list is more than they can
    write.
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


def _layout(given: Any) -> Any:
    """The layout of sound to encode: its own, or the usual one for so many channels."""
    count = given.nb_channels
    if count > _MOST_CHANNELS:
        raise ValueError(f"{count} channels are more than AAC has a layout for")
    usual = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
    return usual[count]


def _audio_specific_config(first: Any, context: Any) -> bytes:
    """The two bytes by which a header describes AAC, from the head of its first packet (ADTS)."""
    head = bytes(first)[:4] if first is not None else b""
    if len(head) == 4 and int.from_bytes(head[:2]) & 0xFFF6 == _ADTS_SYNC:
        kind, rate = (head[2] >> 6) + 1, head[2] >> 2 & 15
        channels = (head[2] & 1) << 2 | head[3] >> 6
    else:
        kind, rate = 2, _AAC_RATES.index(context.sample_rate)
        channels = min(context.layout.nb_channels, 7)
    if not channels:
        raise ValueError("its channels are told in a way of their own")
    return (kind << 11 | rate << 7 | channels << 3).to_bytes(2)


_AAC_RATES = (
    *(96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350),
)
