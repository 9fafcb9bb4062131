"""Packets of a source, unchanged, in a file: a clip, or a segment of a recording.

Sound that the container cannot hold, such as A-law in mp4, is encoded as AAC.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from livevision.errors import OutputError
from livevision.media.extras import Track as Sound
from livevision.media.tap import Kept, Part
from livevision.output.encoder import Encoder
from livevision.output.fragments import FLUSH, MUXERS, Track
from livevision.output.options import OutputOptions
from livevision.output.output_file import OutputFile
from livevision.output.tracks import Copy, Transcode, copied, held
from livevision.protocols import SourceInfo

log = logging.getLogger(__name__)

_IN_MP4 = frozenset({"h264", "hevc", "av1", "mpeg4", "mjpeg", "vp9"})
_PICTURES = Fraction(1, 90000)
# Fast, since clips are written during the run.
_ENCODING = OutputOptions(preset="ultrafast", encoder="libx264", threads=1)


def suffix_of(part: Part) -> str:
    """The suffix of a clip: .mp4 if it can hold the codec, else .mkv."""
    return ".mp4" if part.template is None or part.codec in _IN_MP4 else ".mkv"


class ClipFile:
    """Writes packets of one codec; JPEG pictures are encoded as H.264.

    Args:
        path: The file, with the suffix of ``suffix_of``. An existing file is replaced, but not by
            ``fragments``.
        first: Its first packet, a key frame.
        info: The source: size and rate of pictures.
        fragments: Write it so that it is readable at any moment up to about its last second, also
            after ``kill -9``. Otherwise it is readable once it is closed.
        sound: The first sound that belongs in it. Without that, fragments have no sound, since they
            become readable with the first of each track; other files have what comes later.

    Attributes:
        zero: ``Frame.time`` of the first picture.
        end: ``Frame.time`` of the last picture.

    Raises:
        OutputError: The file cannot be created; also raised by ``write`` and ``close``.
    """

    def __init__(
        self,
        path: Path,
        first: Kept,
        info: SourceInfo,
        *,
        fragments: bool = False,
        sound: Kept | None = None,
    ) -> None:
        assert first.time is not None
        self._path, self._name = path, info.name
        self._file: OutputFile | None = None
        self.zero = self.end = first.time
        self._part = first.part
        # With the index at the front, so that a browser can start before it has all.
        options = {"movflags": "+faststart"} if path.suffix == ".mp4" else {}
        self._last = self._last_sound = -1 << 62
        self._encoder: Encoder | None = None
        self._sound: Copy | Transcode | None = None
        self._container: Any = None
        try:
            with self._told():
                if fragments:
                    self._container = self._in_fragments(path)
                else:
                    self._container = av.open(str(path), "w", options=options)
            self._track, self._sound_track = Track(self._container), Track(self._container)
            self._begin(path, info)
            if sound is not None or not fragments:
                self._begin_sound(sound)
        except BaseException:
            with contextlib.suppress(av.error.FFmpegError, OSError, OutputError):
                if self._container is not None:
                    self._container.close()
            if self._file is not None:
                with contextlib.suppress(OSError):
                    self._file.discard()
            raise

    def _in_fragments(self, path: Path) -> Any:
        muxer, options, blocks = MUXERS[path.suffix]
        # Pictures that are shown before the key frame have times below zero.
        options = {key: value for key, value in options.items() if key != "avoid_negative_ts"}
        self._file = OutputFile(path, blocks=blocks)
        return av.open(self._file, "w", muxer, options={**options, **FLUSH}, buffer_size=1 << 18)

    @property
    def current(self) -> Path:
        """The present name of the file."""
        return self._path if self._file is None else self._file.current

    def _begin(self, path: Path, info: SourceInfo) -> None:
        with self._told():
            if self._part.template is None:
                self._encoder = Encoder(self._container, info, _ENCODING)
            else:
                self._stream = self._container.add_stream_from_template(self._part.template)
                if self._part.codec == "hevc" and path.suffix == ".mp4":
                    self._stream.codec_context.codec_tag = "hvc1"  # browsers need this tag

    def _begin_sound(self, first: Kept | None) -> None:
        """Add the track of the sound; sound that cannot be written is left out of this part."""
        track = self._part.sound
        if track is None:
            return
        packet = None if first is None else first.data
        try:
            if held(track, self._container.format.name, packet):
                self._sound = Copy(track, self._container, packet)
            else:
                self._sound = Transcode(track, self._container)
        except (av.error.FFmpegError, ValueError) as error:
            self._leave_out(self._part, error)

    def _leave_out(self, part: Part, error: Exception) -> None:
        if part.sound is not None:
            codec, part.sound = part.sound.codec, None
            log.warning("%s: its %s sound is not recorded: %s", self._name, codec, error)

    def sound_goes_on_with(self, part: Part, sound: Kept | None) -> bool:
        """Whether the sound from a key frame on can follow in this file.

        Args:
            part: The part of the key frame.
            sound: The first of that sound; None if there is none.
        """
        if self._sound is None:
            return sound is None
        if self._part.sound is None:
            return False  # it failed; a track without packets makes fragments unreadable
        return part.sound is None or self._takes_sound(part)

    def _takes_sound(self, part: Part) -> bool:
        old, new = self._part.sound, part.sound
        if self._sound is None or old is None or new is None or new.template is None:
            return False
        return old is new or _kind(old) == _kind(new)

    def goes_on_with(self, part: Part) -> bool:
        """Whether packets of another part, such as a new connection, can follow in this file."""
        if part is self._part or (part.template is None and self._part.template is None):
            return True
        if part.template is None or self._part.template is None or part.codec != self._part.codec:
            return False
        old, new = self._part.template.codec_context, part.template.codec_context
        return bool(
            (old.width, old.height) == (new.width, new.height)
            and (old.extradata or b"") == (new.extradata or b"")
        )

    def write(self, kept: Kept) -> None:
        """Add a packet whose time is known. Sound from before the first picture is left out."""
        time = kept.time
        assert time is not None
        if kept.sound:
            if time >= self.zero and self._takes_sound(kept.part):
                with self._told():
                    self._write_sound(kept, time)
            return
        self.end = max(self.end, time)
        with self._told():
            self._write(kept, time)

    def _write(self, kept: Kept, time: float) -> None:
        if self._encoder is not None:
            image = cv2.imdecode(np.frombuffer(kept.data, np.uint8), cv2.IMREAD_COLOR)
            ticks = max(self._last + 1, round((time - self.zero) / self._encoder.time_base))
            self._last = ticks
            if image is not None:
                self._put(self._encoder.encode(np.asarray(image, np.uint8), ticks))
            return
        packet = copied(kept.data)
        base = packet.time_base or _PICTURES
        decoded = kept.decoded if kept.decoded is not None else time
        # A clock that was reset must not decrease for the muxer.
        dts = max(self._last + 1, round((decoded - self.zero) / base))
        packet.time_base = base
        packet.dts, packet.pts = dts, max(dts, round((time - self.zero) / base))
        self._last = dts
        packet.stream = self._stream
        self._put([packet])

    def _write_sound(self, kept: Kept, time: float) -> None:
        assert self._sound is not None
        packet = copied(kept.data)
        ticks = round((time - self.zero) / packet.time_base)
        if ticks <= self._last_sound:
            return  # a pass over a file may end later than the next one begins
        self._last_sound = packet.pts = packet.dts = ticks
        try:
            ready = list(self._sound.take(packet))
        except (av.error.FFmpegError, ValueError) as error:
            self._leave_out(kept.part, error)
        else:
            self._put(ready, self._sound_track)

    def _put(self, packets: Iterable[Any], track: Track | None = None) -> None:
        for packet in packets:
            if self._file is None:
                self._container.mux(packet)
            else:
                (track or self._track).put(packet)

    def close(self) -> None:
        """Finish the file; after a failed write what was written before stays as it is."""
        if self._file is not None and self._file.error is not None:
            with contextlib.suppress(av.error.FFmpegError, OSError, OutputError):
                self._container.close()
            self._file.close()
            return
        try:
            with self._told():
                try:
                    if self._encoder is not None:
                        self._put(self._encoder.flush())
                    self._track.end()
                    if self._sound is not None:
                        self._put(self._sound.take(None), self._sound_track)
                        self._sound_track.end()
                finally:
                    self._container.close()
        finally:
            if self._file is not None:
                self._file.close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if self._file is not None and self._file.error is not None:
                raise self._file.error from error
            raise OutputError(getattr(error, "strerror", None) or str(error)) from error


def _kind(track: Sound) -> tuple[Any, ...]:
    """What packets of sound have in common that can follow each other in a track."""
    context = track.template.codec_context
    return (
        track.codec,
        context.sample_rate,
        context.layout.nb_channels,
        context.extradata or b"",
    )
