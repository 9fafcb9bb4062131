"""An annotated video: H.264 in mp4, mov or mkv, with exact times and the source's audio.

The file is readable at any moment up to about its last second, also after ``kill -9`` or on a full
disk: mp4 and mov are written in fragments and finished as ordinary files, mkv in short clusters.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import av

from livevision.errors import OutputError
from livevision.frame import Rendered
from livevision.output import hardware
from livevision.output.encoder import Encoder
from livevision.output.extras import ExtrasCopy, kept_tags
from livevision.output.fragments import FLUSH, MUXERS, Track
from livevision.output.options import DEFAULTS, OutputOptions
from livevision.output.output_file import OutputFile
from livevision.output.target import VIDEOS
from livevision.protocols import SourceInfo

log = logging.getLogger(__name__)

# A later first time is a clock's and not a film's, and would begin with an hour of nothing.
_LATEST_START_S = 60.0


def zero_of(info: SourceInfo, first: float) -> float:
    """The time of a source that is an output's 0, by the time of the first frame."""
    film = not info.live and 0 <= first <= _LATEST_START_S
    return 0.0 if film else first


class VideoFileSink:
    """Writes every frame at its presentation time, and the other streams of the source's file.

    Args:
        target: Path ending in .mp4, .mov or .mkv.
        info: The source. ``extras`` has its audio, ``time_base`` keeps times exact, ``bit_rate``
            caps the output's, or ``size`` and ``rate`` if that is unknown.
        options: ``overwrite``, ``encoder``, ``preset``, ``crf``, ``sound`` and ``threads``.

    Raises:
        OutputError: The file exists, or cannot be created or written.
    """

    wants_image = True

    def __init__(self, target: str, info: SourceInfo, options: OutputOptions = DEFAULTS) -> None:
        path = Path(target)
        if path.suffix.lower() not in MUXERS:
            raise OutputError(f"cannot write {path}: a video ends in {', '.join(VIDEOS)}")
        self.where = str(path)
        self._info = info
        muxer, muxer_options, blocks = MUXERS[path.suffix.lower()]
        self._file = OutputFile(path, overwrite=options.overwrite, blocks=blocks)
        self._extras: ExtrasCopy | None = None
        self._closed = False
        try:
            options_given = {**muxer_options, **FLUSH}
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
        self._video = Track(self._container)
        self._beside: dict[int, Track] = {}
        if self._encoder.coded_size != info.size:
            log.info(
                "%s: H.264 requires even sizes: written as %dx%d", path, *self._encoder.coded_size
            )
        self._zero = 0.0
        self._last: float | None = None  # time of the last frame
        self._pts: int | None = None
        self._gap = float(1 / info.rate) if info.rate else 1 / 30

    def write(self, rendered: Rendered) -> None:
        """Write the next frame; the picture is uint8, H×W×3, BGR.

        Raises:
            OutputError: The disk is full, or the file can no longer be written. What was written
                before is readable.
        """
        time = rendered.frame.time
        if self._last is None:
            self._begin(time)
        else:
            self._gap = max(time - self._last, 0.0) or self._gap
        self._last = time
        pts = round((time - self._zero) / self._encoder.time_base)
        # A source whose clock stops or goes back must not end the file.
        self._pts = pts if self._pts is None else max(pts, self._pts + 1)
        with self._errors_told():
            self._put_video(self._encoder.encode(rendered.image, self._pts))

    def _begin(self, time: float) -> None:
        """Start the output's clock with the first frame."""
        self._zero = zero_of(self._info, time)
        if self._extras is not None:
            self._extras.begin(self._zero)

    def close(self) -> None:
        """Finish the file; without frames, or after a failure, nothing is finished.

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
                # Closing the muxer writes to a file that has failed, or is discarded.
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

    def _finish(self, last: float) -> None:
        """Write the last frame's duration, the rest of the audio, and the index."""
        end, whole = self._end(last)
        self._put_video(self._flushed())
        if self._extras is not None:
            self._extras.until(float("inf") if whole else end)
            self._extras.end()
        for track in self._beside.values():
            with self._file_errors_told():
                track.end()
        ticks = round((end - self._zero) / self._encoder.time_base)
        self._video.end(max(1, ticks - (self._pts or 0)))
        self._container.close()

    def _flushed(self) -> list[Any]:
        return self._encoder.flush()

    def _end(self, last: float) -> tuple[float, bool]:
        """The end of the last frame on the source's clock, and whether the source ended there."""
        usual, extras = last + self._gap, self._info.extras
        if extras is None:
            return usual, False
        if extras.end is not None:
            return (extras.end if extras.end > last else usual), True
        declared = extras.declared_end
        if declared is not None and 0 < declared - last < 1.5 * self._gap:
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
                self._beside.setdefault(stream.index, Track(self._container)).put(packet)
            else:
                self._container.mux(packet)  # its duration is known

    @contextlib.contextmanager
    def _file_errors_told(self) -> Iterator[None]:
        """Raise the file's own error, whatever it was wrapped in."""
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
