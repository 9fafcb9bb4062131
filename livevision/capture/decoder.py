"""Decodes one video stream of an open container, frame by frame, with exact frame numbers (PyAV).

Shared by files and network streams: chooses the stream, continues after damaged packets, numbers
frames so that lost ones keep their numbers, and detects streams that end too early.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from livevision import cores
from livevision.capture import hardware
from livevision.capture.demuxer import Demuxer
from livevision.capture.interlacing import deinterlaced
from livevision.capture.key_frames import KeyFrames
from livevision.errors import SourceError
from livevision.media.codecs import SOFTWARE
from livevision.media.extras import Extras
from livevision.media.packets import PacketRing

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.stream import VideoStream

log = logging.getLogger(__name__)

# Codecs whose streams may contain packets without a picture of their own.
_PACKETS_WITHOUT_PICTURE = frozenset({"vp8", "mpeg4", "msmpeg4v3", "mpeg1video", "mpeg2video"})
_JPEGS, _JPEG_TAIL = frozenset({"jpeg_pipe", "image2", "mjpeg"}), 64
_PROGRESSIVE_OR_UNKNOWN = (0, 1)
_LEAST_BITS_PER_PIXEL = 0.001


def all_wanted(packets: Iterator[Any]) -> Generator[tuple[Any, bool]]:
    """The default ``arrange``: every packet is decoded."""
    for packet in packets:
        yield packet, True


class Decoder:
    """An open video stream.

    Iteration yields ``(number, frame)`` in presentation order; numbers count from 0 and include
    undecodable frames. ``frame.pts`` is None or a presentation time, even if the container (AVI)
    stores none. Damaged packets are skipped, counted in ``losses["corrupt"]`` and warned of once.
    FFmpeg's own errors (``av.error``) are passed on.

    Attributes:
        in_software: Whether it is decoded in software.
        rate: Average frames per second, or None.
        count: Frame numbers used so far, including lost frames.
        packets: The packets that are not read yet; other streams are passed on as they come.

    Args:
        uri: What FFmpeg opens.
        name: Its name in messages, with passwords hidden.
        losses: Where losses are counted.
        low_delay: Whether to output each frame at once instead of decoding several in parallel;
            called once the container is open.
        options, timeout: As for ``av.open``.
        decoder: The preferred decoder, from ``hardware.choose``; software is the fallback.
        extras, shift, ring: As for ``Demuxer``.
        arrange: Takes the packets and yields each with whether to decode it. Skipped packets are
            counted in ``losses["behind"]``; their frames keep their numbers. The first packet
            after skipped ones must be a key frame.

        fps: Frames per second that are looked at. Where key frames come as often, they alone are
            decoded; the others keep their numbers. None decodes all.

    Raises:
        SourceError: The container has no video, or its codec has no decoder here.
        av.error.FFmpegError: It cannot be opened.
    """

    def __init__(
        self,
        uri: str,
        name: str,
        losses: dict[str, int],
        *,
        low_delay: Callable[[Decoder], bool] = lambda decoder: False,
        options: Mapping[str, str] | None = None,
        timeout: float | None = None,
        decoder: str = SOFTWARE,
        extras: Extras | None = None,
        shift: float = 0.0,
        arrange: Callable[[Iterator[Any]], Generator[tuple[Any, bool]]] = all_wanted,
        ring: PacketRing | None = None,
        fps: float | None = None,
    ) -> None:
        import av

        self.uri, self.name, self.losses = uri, name, losses
        self.count = 0
        self._started = False
        self._pending: list[int] = []  # times of packets whose frame is due, a heap
        self._arrange = arrange
        self._left_out: set[int] = set()  # those of the times whose packets were skipped
        self._left_out_unnumbered = 0
        self._emptied = True  # whether the decoder is empty
        self._unnumbered = 0  # damaged packets not yet explained by a gap in the times
        self._packets = 0
        self._cut = False  # whether the file ended within the last packet
        self.container = av.open(
            uri,
            options=dict(options or {}),
            timeout=timeout,
            metadata_errors="replace",
            hwaccel=hardware.accelerator(decoder),
        )
        try:
            self.stream = self._choose()
        except BaseException:
            self.container.close()
            raise
        self._hurried = low_delay(self)
        self._context = hardware.context_of(self.stream, decoder)
        own = self.stream.codec_context
        self.in_software = self._context is own and not own.is_hwaccel
        if decoder != SOFTWARE and self.in_software:
            log.info("%s: %s is decoded in software, not by %s", name, own.name, decoder)
        threads = self.in_software and not self._hurried
        self.stream.thread_type = "AUTO" if threads else "SLICE"
        if self.in_software and cores.share() is not None:
            self.stream.codec_context.thread_count = cores.usable()
        if self._hurried:
            self.stream.codec_context.options = {"flags": "+low_delay"}
        said = self.stream.sample_aspect_ratio
        self._said_aspect = Fraction(said) if said and said > 0 else Fraction(1)
        self._first_aspect = self._codec_aspect()
        self.rate = _sane_rate(self.stream)
        self._demuxer = Demuxer(
            self.container,
            self.stream,
            live=self._hurried,
            rate=self.rate,
            extras=extras,
            shift=shift,
            ring=ring,
            patience=timeout,
        )
        self.packets: Iterator[Any] = iter(self._demuxer)
        context = self.stream.codec_context
        # Each JPEG has an end marker, but some cameras omit it in other containers.
        self._is_jpeg = self.container.format.name in _JPEGS and context.name == "mjpeg"
        # AVI and similar formats store one packet per tick in decoding order: sorted, their times
        # are presentation times. FFmpeg's presentation times for them are guesses.
        self._only_decoding_times = self.container.format.name == "avi"
        self._keys = KeyFrames(fps) if fps is not None and self.in_software else None
        self._passing = False  # the decoder passes over frames until the next key frame
        # Frames behind a key frame may refer to those before it if some refer to later ones.
        self._reorders = bool(context.has_b_frames)
        self._latest = float("-inf")
        self._gaps_are_losses = (
            not self._only_decoding_times
            and context.name not in _PACKETS_WITHOUT_PICTURE
            and context.field_order in _PROGRESSIVE_OR_UNKNOWN
        )

    def _choose(self) -> VideoStream:
        from av.stream import Disposition

        streams = self.container.streams
        moving = [s for s in streams.video if not s.disposition & Disposition.attached_pic]
        if not moving:
            held = "a cover picture and sound" if streams.video else "only sound"
            held = held if streams.audio else "no stream that FFmpeg knows as video"
            raise SourceError(f"{self.name}: no video in it: it holds {held}")
        usual = [s for s in moving if s.disposition & Disposition.default]
        # Of several streams the largest, as for streams in several qualities.
        chosen = max(usual or moving, key=_pixels)
        if chosen.codec_context is None:
            raise SourceError(
                f"{self.name}: its video codec is unknown to this FFmpeg, so it cannot be decoded;"
                f" convert it to H.264 first"
            )
        return chosen

    def __iter__(self) -> Iterator[tuple[int, VideoFrame]]:
        return deinterlaced(self._decoded())

    def _decoded(self) -> Iterator[tuple[int, VideoFrame]]:
        with closing(self._arrange(self.packets)) as packets:
            for packet, wanted in packets:
                last = packet.size == 0 and packet.dts is None
                if packet.size == 0 and not last:
                    continue  # "repeat the last picture", which a decoder would take for the end
                if not last:
                    self._packets += 1
                    self._cut = packet.is_corrupt or (self._is_jpeg and not _has_end(packet))
                    self._await(packet)
                    if not wanted:
                        self._leave_out(packet)
                        continue
                    self._economise(packet)
                for frame in self._decode(packet, last):
                    yield self._number(frame), frame
        lost = len(self._pending) - len(self._left_out)
        lost = lost if self._gaps_are_losses else self._unnumbered
        self._lose(lost if self._started else 0)

    def _await(self, packet: Any) -> None:
        if packet.pts is None and packet.dts is not None and not (self._started or self._hurried):
            self._only_decoding_times, self._gaps_are_losses = True, False
        moment = packet.dts if self._only_decoding_times else packet.pts
        needed = self._gaps_are_losses or self._only_decoding_times
        if needed and moment is not None and not packet.is_discard:
            heapq.heappush(self._pending, moment)

    def _economise(self, packet: Any) -> None:
        """Have the decoder pass over frames that nobody looks at."""
        if self._keys is None or packet.time_base is None:
            return
        moment = packet.pts if packet.pts is not None else packet.dts
        at = None if moment is None else float(moment * packet.time_base)
        if at is not None:
            # What goes back further is a clock that began anew.
            self._reorders = self._reorders or 0 < self._latest - at < 1
            self._latest = at
        if packet.is_keyframe:
            self._passing = self._keys.suffice(at)
            self._context.skip_frame = "NONKEY" if self._passing else "DEFAULT"
        elif not self._passing and self._keys.unseen(at) and not self._reorders:
            self._passing = True
            self._context.skip_frame = "NONKEY"
        if self._passing and not packet.is_keyframe:
            # Its frame will not come, and is not lost.
            if self._gaps_are_losses:
                self._left_out.update(() if packet.pts is None else (packet.pts,))
            else:
                self._left_out_unnumbered += self._started

    def _leave_out(self, packet: Any) -> None:
        """Skip a packet, and drop what the decoder still holds."""
        if not self._emptied:
            # Later frames must not refer to these.
            self._context.flush_buffers()
            self._emptied = True
            self._left_out.update(self._pending)
            self.losses["behind"] += max(0, len(self._pending) - 1)
        self.losses["behind"] += self._started
        if self._pending:
            moment = packet.dts if self._only_decoding_times else packet.pts
            self._left_out.update(() if moment is None else (moment,))
        if not self._gaps_are_losses:
            self._left_out_unnumbered += self._started

    def _decode(self, packet: Any, last: bool) -> list[VideoFrame]:
        import av

        self._emptied = False
        frames: list[VideoFrame] = []
        # At the end the decoder is drained: one damaged frame must not hide those behind it.
        for _ in range(64 if last else 1):
            try:
                frames += self._context.decode(packet)
                break
            except av.error.EOFError:
                break
            except (av.error.InvalidDataError, av.error.PatchWelcomeError, av.error.UnknownError):
                self._unnumbered += 1
                if not self._gaps_are_losses:
                    self._count_loss(1)
        return frames

    def _number(self, frame: VideoFrame) -> int:
        """The frame's number; lost packets before it take the numbers in between."""
        skipped = 0
        if self._gaps_are_losses and frame.pts is not None:
            while self._pending and self._pending[0] <= frame.pts:
                moment = heapq.heappop(self._pending)
                if moment in self._left_out:
                    self._left_out.discard(moment)
                    self.count += self._started
                else:
                    skipped += moment < frame.pts
        else:
            if self._only_decoding_times:
                frame.pts = heapq.heappop(self._pending) if self._pending else None
            else:
                self._pending.clear()
            skipped, self._unnumbered = self._unnumbered, 0
            self.count += self._left_out_unnumbered
            self._left_out_unnumbered = 0
            self._left_out.clear()
        if self._started:
            self._lose(skipped)
        self._started = True
        number, self.count = self.count, self.count + 1
        return number

    def _lose(self, frames: int) -> None:
        self.count += frames
        if self._gaps_are_losses:
            self._count_loss(frames)

    def _count_loss(self, frames: int) -> None:
        if frames and not self.losses["corrupt"]:
            log.warning("%s: damaged video near frame %d is skipped", self.name, self.count)
        self.losses["corrupt"] += frames

    @property
    def regular(self) -> bool:
        """Whether each packet is a frame, and its time that of the frame."""
        return self._gaps_are_losses

    @property
    def breaks(self) -> int:
        """Breaks in the file's clock so far."""
        return self._demuxer.breaks

    def declared_frames(self) -> int | None:
        """Approximate number of frames by the container, or None."""
        end = self.declared_end()
        if self.stream.frames or end is None or self.rate is None:
            return self.stream.frames or None
        if self.container.bit_rate and self.bit_rate is None:
            return None  # a clock with jumps says nothing about the number of frames
        return round((end - self._start()) * float(self.rate)) or None

    def _start(self) -> float:
        if self.stream.start_time is None or self.stream.time_base is None:
            return 0.0
        return float(self.stream.start_time * self.stream.time_base) - self._demuxer.zero

    def declared_end(self) -> float | None:
        """End of the stream by the container, on the clock of its frames, or None."""
        import av

        stream, start = self.stream, self._start()
        # For an AVI FFmpeg derives the duration from the file's size, even if it is truncated.
        if self.container.format.name == "avi" and stream.frames and self.rate:
            return start + float(stream.frames / self.rate)
        if stream.duration and stream.time_base is not None:
            return start + float(stream.duration * stream.time_base)
        for key, value in stream.metadata.items():
            if key.upper().startswith("DURATION"):
                hours, _, rest = value.partition(":")
                minutes, _, seconds = rest.partition(":")
                try:
                    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
                except ValueError:
                    break
        if self.container.duration and len(self.container.streams) == 1:
            return start + float(Fraction(self.container.duration, av.time_base))
        return None

    def broke_off(self, end: float) -> str | None:
        """How a stream ending at ``end`` (seconds) falls short of its index; None if it does not.

        Indexes are often slightly off, so the difference must be clear: more than three frames,
        half a second, and a hundredth of the declared frames.
        """
        declared = self.declared_end()
        within = f"breaks off at {end:.2f} s, within a frame" if self._cut else None
        if declared is None or self._demuxer.breaks:
            return within  # files joined from parts have no known total
        slack = min(0.5, 0.1 * declared)
        if self.rate:
            slack = max(slack, 3 / float(self.rate))
        frames = self.stream.frames
        if declared - end <= slack or (frames and self._packets >= 0.99 * frames - 2):
            return within
        return f"breaks off at {end:.2f} s of {declared:.2f} s"

    def known_end(self) -> float | None:
        """``declared_end``, unless the clock had breaks."""
        return None if self._demuxer.breaks else self.declared_end()

    @property
    def aspect(self) -> Fraction:
        """Pixel aspect ratio (width by height) of the last frame, as stored; 1 if unspecified.

        The container's value, scaled by what has changed in the codec's value since.
        """
        now = self._codec_aspect()
        if now == self._first_aspect or not now or not self._first_aspect:
            return self._said_aspect
        return self._said_aspect * now / self._first_aspect

    def _codec_aspect(self) -> Fraction:
        said = self._context.sample_aspect_ratio
        return Fraction(said) if said and said > 0 else Fraction(0)

    @property
    def bit_rate(self) -> int | None:
        """Bits per second of the video, or of the whole file; None if unknown or implausible."""
        container = self.container.bit_rate or 0
        size, rate = _pixels(self.stream), float(self.rate or 25)
        # It is size by duration, and a clock with jumps gives a wrong duration.
        believed = container > _LEAST_BITS_PER_PIXEL * size * rate
        return self.stream.bit_rate or (container if believed else 0) or None

    def close(self) -> None:
        self.container.close()


def _has_end(jpeg: Any) -> bool:
    return b"\xff\xd9" in bytes(memoryview(jpeg)[-_JPEG_TAIL:])


def _pixels(stream: VideoStream) -> int:
    context = stream.codec_context
    return context.width * context.height if context else 0


def _sane_rate(stream: VideoStream) -> Fraction | None:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0 < rate <= 1000:
            return Fraction(rate)
    return None
