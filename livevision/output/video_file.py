"""An annotated copy of a video: H.264 in mp4, mov or mkv, with true times and the source's sound.

The file can be read at any moment up to about its last second, also after ``kill -9`` or on a full
disk: mp4 and mov are written in fragments and become ordinary ones when they are finished, mkv in
short clusters.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import av

from livevision.errors import OutputError
from livevision.frame import Frame, Rendered
from livevision.output import hardware
from livevision.output.encoder import Encoder
from livevision.output.extras import ExtrasCopy, kept_tags
from livevision.output.options import DEFAULTS, OutputOptions
from livevision.output.output_file import OutputFile
from livevision.output.target import VIDEOS
from livevision.protocols import SourceInfo

log = logging.getLogger(__name__)

_FRAGMENT_MS = 400
# A first time beyond this is a clock's and not a film's, and would be an hour of nothing to see.
_LATEST_START_S = 60.0

# By suffix: the muxer, its options, and the marks of the parts that a reader takes as a whole.
_MP4 = {
    # The index is added when the file is finished; until then each fragment has its own.
    "movflags": "hybrid_fragmented+delay_moov",
    "frag_duration": str(_FRAGMENT_MS * 1000),
}
_MKV = {
    "cluster_time_limit": str(_FRAGMENT_MS),
    # Sound may begin a moment before zero; shifting everything would falsify the pictures' times.
    "avoid_negative_ts": "disabled",
}
_MUXERS = {
    ".mp4": ("mp4", _MP4, (b"moof", b"moov")),
    ".mov": ("mov", _MP4, (b"moof", b"moov")),
    ".mkv": ("matroska", _MKV, (bytes.fromhex("1F43B675"), bytes.fromhex("1C53BB6B"))),
}
_FLUSH = {"flush_packets": "1", "max_interleave_delta": str(_FRAGMENT_MS * 1000)}


class VideoFileSink:
    """Writes every frame at its own presentation time, and what else the source's file holds.

    Args:
        target: Path ending in .mp4, .mov or .mkv.
        info: The source. ``extras`` brings its sound, ``time_base`` keeps times exact,
            ``bit_rate`` caps the output's, or ``size`` and ``rate`` where it is not known.
        options: ``overwrite``, ``encoder``, ``preset``, ``crf``, ``sound`` and ``threads``.

    Raises:
        OutputError: The file exists, or cannot be made or written.
    """

    wants_image = True

    def __init__(self, target: str, info: SourceInfo, options: OutputOptions = DEFAULTS) -> None:
        path = Path(target)
        if path.suffix.lower() not in _MUXERS:
            raise OutputError(f"cannot write {path}: a video ends in {', '.join(VIDEOS)}")
        self.where = str(path)
        self._info = info
        muxer, muxer_options, blocks = _MUXERS[path.suffix.lower()]
        self._file = OutputFile(path, overwrite=options.overwrite, blocks=blocks)
        self._extras: ExtrasCopy | None = None
        self._closed = False
        try:
            options_given = {**muxer_options, **_FLUSH}
            if info.extras is not None:
                for name, value in kept_tags(info.extras, path.suffix.lower()).items():
                    options_given[name] = options_given.get(name, "") + value
            self._container: Any = av.open(
                self._file, "w", muxer, options=options_given, buffer_size=1 << 18
            )
            encoder = hardware.choose(info, options)
            self._encoder = Encoder(self._container, info, options, info.aspect, encoder)
            if info.extras is not None:
                self._extras = ExtrasCopy(
                    info.extras,
                    self._container,
                    self._encoder.stream,
                    info.name,
                    self.where,
                    self._put_beside,
                    sound=options.sound,
                )
        except BaseException:
            self._file.discard()
            raise
        self._video = _Track(self._container)
        self._beside: dict[int, _Track] = {}
        if self._encoder.coded_size != info.size:
            log.info(
                "%s: H.264 wants even sizes: written as %dx%d", path, *self._encoder.coded_size
            )
        self._zero = 0.0
        self._last: Frame | None = None
        self._pts: int | None = None
        self._gap = float(1 / info.rate) if info.rate else 1 / 30

    def write(self, rendered: Rendered) -> None:
        """Take the next frame; the picture is uint8, H×W×3, BGR.

        Raises:
            OutputError: The disk is full or the file cannot be written any more. What was written
                before can be read.
        """
        frame = rendered.frame
        if self._last is None:
            film = not self._info.live and 0 <= frame.time <= _LATEST_START_S
            self._zero = 0.0 if film else frame.time
            if self._extras is not None:
                self._extras.begin(self._zero)
        else:
            self._gap = max(frame.time - self._last.time, 0.0) or self._gap
        self._last = frame
        pts = round((frame.time - self._zero) / self._encoder.time_base)
        # A source whose clock stands still or goes back must not break the file off.
        self._pts = pts if self._pts is None else max(pts, self._pts + 1)
        with self._errors_told():
            self._put_video(self._encoder.encode(rendered.image, self._pts))

    def close(self) -> None:
        """Finish the file; where no frame came, or after a failure, nothing is finished.

        Raises:
            OutputError: The end cannot be written.
        """
        if self._closed:
            return
        self._closed = True
        try:
            if self._last is not None and self._file.error is None:
                with self._errors_told():
                    self._finish(self._last)
            else:
                # The muxer wants to end a file that takes nothing more, or is thrown away.
                with contextlib.suppress(av.error.FFmpegError, OutputError):
                    self._container.close()
        finally:
            if self._extras is not None:
                self._extras.close()
            if self._last is not None:
                self._file.close()
            else:
                self._file.discard()
                log.warning("%s: no frame came, nothing is written", self.where)
                self.where = ""

    def _finish(self, last: Frame) -> None:
        """Give the last frame its duration, the sound its end and the file its index."""
        end, whole = self._end(last)
        self._put_video(self._encoder.flush())
        if self._extras is not None:
            self._extras.until(float("inf") if whole else end)
            self._extras.end()
        for track in self._beside.values():
            with self._file_errors_told():
                track.end()
        ticks = round((end - self._zero) / self._encoder.time_base)
        self._video.end(max(1, ticks - (self._pts or 0)))
        self._container.close()

    def _end(self, last: Frame) -> tuple[float, bool]:
        """When the last frame ends, on the source's clock, and whether the source ended there."""
        usual, extras = last.time + self._gap, self._info.extras
        if extras is None:
            return usual, False
        if extras.end is not None:
            return (extras.end if extras.end > last.time else usual), True
        declared = extras.declared_end
        if declared is not None and 0 < declared - last.time < 1.5 * self._gap:
            return declared, True
        return usual, False

    def _put_video(self, packets: Iterable[Any]) -> None:
        for packet in packets:
            if self._extras is not None:
                self._extras.until(float(packet.pts * self._encoder.time_base) + self._zero)
            self._video.put(packet)

    def _put_beside(self, stream: Any, packet: Any) -> None:
        if self._zero:
            ticks = round(self._zero / packet.time_base)
            packet.dts -= ticks
            packet.pts = None if packet.pts is None else packet.pts - ticks
        with self._file_errors_told():
            if stream.type == "audio":
                self._beside.setdefault(stream.index, _Track(self._container)).put(packet)
            else:
                self._container.mux(packet)  # it lasts as long as it says

    @contextlib.contextmanager
    def _file_errors_told(self) -> Iterator[None]:
        """Lets the file's errors through as they are told to the user, whatever they came as."""
        try:
            yield
        except Exception:
            if self._file.error is not None:
                raise self._file.error from None
            raise

    @contextlib.contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            raise self._file.error or OutputError(f"cannot write {self.where}: {error}") from error


class _Track:
    """Keeps one packet back, for only the next one tells how long it lasts.

    A fragment ends after its last packet's duration, and the next one has to begin there.
    """

    def __init__(self, container: Any) -> None:
        self._container = container
        self._held: Any = None

    def put(self, packet: Any) -> None:
        if self._held is not None:
            if packet.dts <= self._held.dts:
                return  # sound that repeats a time: no container takes it
            self._held.duration = packet.dts - self._held.dts
            self._container.mux(self._held)
        self._held = packet

    def end(self, duration: int | None = None) -> None:
        """Let go of the last packet, which lasts as long as is told or as it says itself."""
        if self._held is not None:
            if duration is not None:
                self._held.duration = duration
            self._container.mux(self._held)
            self._held = None
