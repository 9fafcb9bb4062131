"""Every frame of a video file, upright, at its exact time (PyAV)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from livevision.capture import hardware
from livevision.capture.cut_off import cut_off
from livevision.capture.decoder import Decoder, all_wanted
from livevision.capture.life import Life
from livevision.capture.options import DEFAULTS, SourceOptions
from livevision.capture.pictures import Pictures
from livevision.capture.pipes import is_named_pipe, written_pipe
from livevision.capture.sampling import Sampler
from livevision.capture.stretches import Overshot, from_key
from livevision.capture.times import FileTimes
from livevision.errors import SourceError
from livevision.frame import Frame
from livevision.media.extras import Extras
from livevision.protocols import SourceInfo

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

STDIN = "-"


class VideoFileSource:
    """A video file, or for ``-`` a container stream on standard input.

    Times are those of the file in seconds, including its start offset; formats with arbitrary start
    times (MPEG-TS) begin at 0. With ``loop`` the file restarts at its end; index and time keep
    growing. The file is read once: streams that outputs copy go to ``info.extras`` on the way.

    Attributes:
        losses: ``corrupt``: undecodable frames; they keep their index.

    Args:
        uri: Path of the file, or ``-``.
        options: ``index``, ``stride``, ``fps``, ``loop``, ``decoder``, ``copies``, ``life``,
            ``ring`` and ``stretch``; ``stopping`` while waiting for a pipe's writer.

    Raises:
        SourceError: It is missing, not a video, has no frames, or an unknown codec; raised by the
            iteration, after all readable frames, if the file is truncated.
    """

    def __init__(self, uri: str, options: SourceOptions = DEFAULTS) -> None:
        self._source, self._fps = options.index, options.fps
        self._sampler = Sampler(options.stride, options.fps)
        self._uri = uri
        self._name = "standard input" if uri == STDIN else uri
        if options.loop and not _again(uri):
            raise SourceError(f"{self._name} cannot be looped: it can be read only once")
        self._loop = options.loop
        self._extras = Extras(options.copies) if options.copies else None
        self._ring = options.ring
        self._stretch = options.stretch
        self._decoded_by = hardware.choose(options.decoder)
        self.losses = {"corrupt": 0}
        self._lock = threading.Lock()  # the decoder is closed only between frames
        self.life = options.life or Life()
        self._closed = self.life.closing
        try:
            with self.life.opening():
                self._open_first(options.stopping or self._closed.is_set)
                first = self._first()
                if first is None:
                    raise SourceError(f"{self._name}: {self._without_frames()}")
                self._waiting: tuple[int, VideoFrame] | None = first
                self._pictures = Pictures(first[1], self._decoder.aspect)
                self.info = self._describe()
        except BaseException:
            self.close()
            raise

    def _without_frames(self) -> str:
        if self._closed.is_set():
            return "given up before its first frame"
        return "the video in it has no frames"

    def _first(self) -> tuple[int, VideoFrame] | None:
        """The first decoded frame; of a stretch, the key frame it is read from."""
        try:
            return self._next()
        except Overshot:
            # Its index is wrong, or it has none: read it from the beginning.
            self._decoder.close()
            self._open(seek=False)
            return self._next()

    def _open_first(self, stopping: Callable[[], bool]) -> None:
        if self._uri != STDIN and not is_named_pipe(self._uri):
            self._open()
            return
        path = None if self._uri == STDIN else self._uri
        with written_pipe(path, lambda: stopping() or self._closed.is_set()) as descriptor:
            if descriptor is None:
                raise SourceError(f"{self._name}: given up before its first frame")
            self._open(url=f"pipe:{descriptor}")

    def _open(self, shift: float = 0.0, url: str | None = None, seek: bool = True) -> None:
        import av

        part = self._stretch
        arrange = all_wanted if part is None else partial(from_key, key_time=part.key_time)
        try:
            self._decoder = Decoder(
                url or _url(self._uri),
                self._name,
                self.losses,
                decoder=self._decoded_by,
                extras=self._extras,
                shift=shift,
                ring=self._ring,
                fps=self._fps,
                arrange=arrange,
            )
            if part is not None and part.key_number and seek:
                self._decoder.container.seek(part.key_time, stream=self._decoder.stream)
        except (av.error.FFmpegError, ValueError) as error:
            raise SourceError(f"{self._name}: {_why(self._uri, error)}") from error
        self._frames = iter(self._decoder)
        self._times = FileTimes(self._decoder.rate)

    def _describe(self) -> SourceInfo:
        decoder = self._decoder
        base, rate = decoder.stream.time_base, decoder.rate
        frames = decoder.declared_frames()
        if self._stretch is not None:
            stop = self._stretch.stop or frames
            frames = None if stop is None else stop - self._stretch.first
        if self._extras is not None:
            self._extras.declared_end = decoder.known_end()
        return SourceInfo(
            name=self._name,
            live=False,
            size=self._pictures.size,
            rate=self._sampler.rate(rate),
            time_base=Fraction(base) if base else None,
            frames=None if self._loop else self._sampler.count(frames, rate),
            colours=self._pictures.colours,
            bit_rate=decoder.bit_rate,
            aspect=self._pictures.aspect,
            extras=self._extras,
        )

    def _next(self) -> tuple[int, VideoFrame] | None:
        """The next decoded frame, or None at the end or once closed."""
        import av

        with self._lock:
            if self._closed.is_set():
                return None
            try:
                return next(self._frames, None)
            except av.error.FFmpegError as error:
                if self._times.first is None:
                    raise SourceError(f"{self._name}: {_why(self._uri, error)}") from error
                raise SourceError(
                    f"{self._name}: cannot be read beyond {self._times.end:.2f} s: {error.strerror}"
                ) from error

    def __iter__(self) -> Iterator[Frame]:
        try:
            yield from self.life.followed(self._all())
        finally:
            self.close()

    def _all(self) -> Generator[Frame]:
        # Frames and seconds of earlier rounds.
        before, shift = 0 if self._stretch is None else self._stretch.key_number, 0.0
        while True:
            yield from self._round(before, shift)
            if self._closed.is_set() or (self._stretch is not None and self._stretch.stop):
                return
            self._refuse_if_broken_off()
            if not self._loop:
                if self._extras is not None:
                    self._extras.end = max(self._times.end, self._decoder.known_end() or 0.0)
                return
            before += self._decoder.count
            shift += self._times.end - (self._times.first or 0.0)
            with self._lock:
                if self._closed.is_set():
                    return
                self._decoder.close()
                self._open(shift)

    def _round(self, before: int, shift: float) -> Iterator[Frame]:
        """One pass over the file."""
        item, self._waiting = self._waiting, None
        while item := item or self._next():
            number, frame = item
            moment = self._times(frame) + shift
            if self._ring is not None and frame.time is not None:
                self._ring.place(frame.time, moment)
            if self._stretch is not None:
                if self._stretch.stop is not None and before + number >= self._stretch.stop:
                    return
                if before + number < self._stretch.first:
                    item = None
                    continue
            if self._sampler.takes(before + number, moment):
                wall_time = time.monotonic()
                image = self._pictures(frame, self._decoder.aspect)
                yield Frame(self._source, before + number, moment, wall_time, image)
            item = None

    def skim(self) -> Generator[float]:
        """Read the rest of the file without decoding it, for the streams that outputs copy.

        Yields:
            Time of each packet of the video in seconds, in the file's order.

        Raises:
            SourceError: The file cannot be read further.
        """
        import av

        assert self._waiting is not None
        self._times(self._waiting[1])
        end, usual = self._times.end, self._times.usual
        try:
            for packet in self._decoder.packets:
                if packet.size and packet.pts is not None and packet.time_base:
                    at = float(packet.pts * packet.time_base)
                    length = float(packet.duration * packet.time_base) if packet.duration else usual
                    end = max(end, at + length)
                    yield at
        except av.error.FFmpegError as error:
            raise SourceError(f"{self._name}: cannot be read further: {error.strerror}") from error
        if self._extras is not None:
            self._extras.end = max(end, self._decoder.known_end() or 0.0)

    def _refuse_if_broken_off(self) -> None:
        shortfall = self._decoder.broke_off(self._times.end)
        if shortfall is None and (missing := cut_off(Path(self._uri))):
            shortfall = f"breaks off at {self._times.end:.2f} s, {missing}"
        if shortfall:
            raise SourceError(
                f"{self._name}: {shortfall}: the file is truncated or damaged;"
                f" the {self._decoder.count - self.losses['corrupt']} frames before that were read"
            )

    def close(self) -> None:
        self.life.close()
        # While a pipe is silent the lock is held; the iteration closes later by itself.
        if self._lock.acquire(timeout=self.life.patience()):
            try:
                if hasattr(self, "_decoder"):
                    self._decoder.close()
            finally:
                self._lock.release()


def _again(uri: str) -> bool:
    """Whether a file can be opened again; a pipe cannot."""
    return uri != STDIN and not Path(uri).is_fifo() and not Path(uri).is_char_device()


def _url(path: str) -> str:
    """The path in a form that FFmpeg does not parse as a protocol before a colon."""
    return str(Path(path).absolute())


def _why(uri: str, error: Exception) -> str:
    """Why a file cannot be opened, and what to do."""
    import av

    if isinstance(error, av.error.FileNotFoundError):
        return "no such file"
    if isinstance(error, av.error.PermissionError):
        return "you may not read this file: change its permissions"
    if isinstance(error, av.error.DecoderNotFoundError):
        return "this FFmpeg has no decoder for its video; convert it to H.264 first"
    if uri == STDIN:
        return f"no video arrived ({error}); send a container such as mpegts or matroska"
    path = Path(uri)
    if not path.is_file():
        return str(error)
    if path.stat().st_size == 0:
        return "the file is empty (0 bytes)"
    with path.open("rb") as file:
        head = file.read(4096)
    if head[4:8] in (b"ftyp", b"mdat", b"wide", b"free") and not _has_index(path):
        return (
            "its index (moov) is missing: the recording was cut off before it was finished, or"
            " is still being written"
        )
    if b"\0" not in head:
        return "not a video: the file holds text"
    return f"not a video, or its beginning is damaged ({getattr(error, 'strerror', error)})"


def _has_index(path: Path) -> bool:
    """Whether an mp4 file has a complete box named moov."""
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            header = file.read(16)
            length, name = int.from_bytes(header[:4], "big"), header[4:8]
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            if name == b"moov":
                return at + length <= size
            if length < 8:
                return False
            at += length
    return False


def picture_size(uri: str) -> tuple[int, int] | None:
    """(width, height) of a file's frames as stored, by its header; None if unknown.

    No frame is decoded; errors are left for the source to report.
    """
    return _size_by(_in_header, uri)


def upright_size(uri: str) -> tuple[int, int] | None:
    """(width, height) of a file's frames as captured, by its first one; None if unknown.

    Errors are left for the source to report.
    """
    return _size_by(lambda container: Pictures(next(container.decode(video=0))).size, uri)


def _in_header(container: InputContainer) -> tuple[int, int] | None:
    context = container.streams.video[0].codec_context
    return (context.width, context.height) if context.width and context.height else None


def _size_by(
    read: Callable[[InputContainer], tuple[int, int] | None], uri: str
) -> tuple[int, int] | None:
    """What is read of a file, if it can be opened twice and there is a picture in it."""
    import av

    if not _again(uri):
        return None
    try:
        with av.open(_url(uri)) as container:
            return read(container)
    except (av.error.FFmpegError, IndexError, OSError, StopIteration, ValueError):
        return None
