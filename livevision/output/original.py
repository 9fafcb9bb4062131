"""The source's own media file, opened a second time for what its frames do not carry.

That is its sound, the shape of its pixels, and where its video ends. Sound is read as a video is
written, a packet at a time; nothing is kept in memory.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from livevision.errors import OutputError

log = logging.getLogger(__name__)


class Original:
    """A media file behind a source.

    Attributes:
        video_end: When its video ends, in seconds on the clock of its frames, or None.
        aspect: Width of a pixel by its height, as the file stores it.
        stored_size: (width, height) as stored, before any rotation.

    Raises:
        OutputError: It cannot be opened (again).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._container = av.open(str(path))
        except (av.error.FFmpegError, OSError) as error:
            raise OutputError(f"cannot read the sound of {path}: {error}") from error
        self.video_end: float | None = None
        self._frames = 0
        self.aspect = Fraction(1)
        self.stored_size = (0, 0)
        self._tracks: dict[int, _Copy | _Transcode] = {}
        self._packets: Iterator[Any] = iter(())
        self._next: tuple[Any, float] | None = None
        if self._container.streams.video:
            video = self._container.streams.video[0]
            self.video_end = _end(video)
            self._frames = video.frames
            self.aspect = video.sample_aspect_ratio or Fraction(1)
            self.stored_size = (video.width, video.height)

    def ends_after(self, index: int, step: int = 1) -> bool:
        """Whether no picture follows a frame, of those that come ``step`` apart."""
        return self._frames > 0 and index + step >= self._frames

    def add_sound(self, output: Any, muxed: Any) -> None:
        """Give an output a track for each track of sound.

        Args:
            output: PyAV's output container, before anything was written to it.
            muxed: Called with (track, packet) for every packet of sound from then on.
        """
        for stream in self._container.streams.audio:
            name = stream.codec_context.name if stream.codec_context else "unknown"
            try:
                if self._holds(output.format.name, stream.index):
                    track: _Copy | _Transcode = _Copy(stream, output)
                else:
                    track = _Transcode(stream, output)
                    log.warning("%s: %s sound is encoded anew as AAC", self._path.name, name)
            except (av.error.FFmpegError, ValueError) as error:
                log.warning("%s: left out its %s sound: %s", self._path.name, name, error)
                continue
            if "language" in stream.metadata:
                track.output.metadata["language"] = stream.metadata["language"]
            self._tracks[stream.index] = track
        self._muxed = muxed
        if self._tracks:
            streams = [s for s in self._container.streams.audio if s.index in self._tracks]
            self._packets = iter(self._container.demux(streams))
            self._advance()

    def sound_until(self, seconds: float) -> None:
        """Hand on the sound that begins before a moment, on the clock of the frames."""
        while self._next is not None and self._next[1] < seconds:
            packet = self._next[0]
            track = self._tracks[packet.stream_index]
            for ready in track.take(packet):
                self._muxed(track.output, ready)
            self._advance()

    def end_sound(self) -> None:
        """Hand on what encoders still hold."""
        for track in self._tracks.values():
            for ready in track.take(None):
                self._muxed(track.output, ready)

    def close(self) -> None:
        self._container.close()

    def _holds(self, muxer: str, index: int) -> bool:
        """Whether a kind of container takes a track as it is.

        Tried out with one packet and in memory: what muxers list is more than they can write.
        """
        with av.open(str(self._path)) as container:
            stream = container.streams[index]
            packet = next((p for p in container.demux(stream) if p.size), None)
            try:
                with av.open(io.BytesIO(), "w", muxer) as trial:
                    copied = trial.add_stream_from_template(stream)
                    if packet is not None:
                        packet.stream = copied
                        trial.mux(packet)
            except (av.error.FFmpegError, ValueError):
                return False
        return True

    def _advance(self) -> None:
        self._next = None
        try:
            for packet in self._packets:
                # The last, empty packet of a stream only tells that it ends.
                if packet.dts is not None and packet.size:
                    self._next = (packet, float(packet.dts * packet.time_base))
                    return
        except av.error.FFmpegError as error:
            log.warning("%s: its sound breaks off: %s", self._path.name, error)


class _Copy:
    """A track whose packets go over as they are."""

    def __init__(self, stream: Any, output: Any) -> None:
        self.output = output.add_stream_from_template(stream)

    def take(self, packet: Any) -> Iterator[Any]:
        if packet is not None:
            packet.stream = self.output
            yield packet


class _Transcode:
    """A track in a codec that the output's container cannot hold, encoded anew as AAC."""

    def __init__(self, stream: Any, output: Any) -> None:
        stream.codec_context.open(strict=False)  # an error here leaves the track out
        context = stream.codec_context
        # Some sound does not say which of its two channels is the left one.
        layout = {1: "mono", 2: "stereo"}.get(context.layout.nb_channels, context.layout)
        self.output = output.add_stream("aac", rate=context.sample_rate, layout=layout)

    def take(self, packet: Any) -> Iterator[Any]:
        try:
            frames = [None] if packet is None else packet.decode()
        except av.error.FFmpegError:
            return  # an undecodable packet is a gap in the sound, as any player would have it
        for frame in frames:
            yield from self.output.encode(frame)


def _end(stream: Any) -> float | None:
    """When a stream ends in seconds, by its header."""
    if stream.duration is not None:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    # Matroska tells in a tag of each track, as hours:minutes:seconds.
    parts = stream.metadata.get("DURATION", "").split(":")
    try:
        hours, minutes, seconds = (float(part) for part in parts)
    except ValueError:
        return None
    return hours * 3600 + minutes * 60 + seconds
