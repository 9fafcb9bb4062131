"""A network stream (RTSP, HTTP, UDP, RTMP) through FFmpeg (PyAV).

FFmpeg may block in a read for seconds if a server falls silent, and cannot be interrupted. A thread
of this source therefore reads and decodes, and hands over at most two frames: the iteration and
``close`` never wait for the network, and memory stays bounded.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from livevision.capture import hardware
from livevision.capture.backlog import Backlog
from livevision.capture.decoder import Decoder, all_wanted
from livevision.capture.demuxer import NO_TIMES
from livevision.capture.life import BackOff, Life
from livevision.capture.network import explain, ffmpeg_address, ffmpeg_options, gives_up
from livevision.capture.options import DEFAULTS, SourceOptions
from livevision.capture.pictures import Pictures
from livevision.capture.replay import Replay
from livevision.capture.sampling import Sampler
from livevision.capture.times import FileTimes, LiveTimes
from livevision.errors import SourceError
from livevision.frame import Frame
from livevision.media.extras import Extras
from livevision.protocols import SourceInfo
from livevision.redact import redact_uri

if TYPE_CHECKING:
    from av import VideoFrame

    from livevision.media.packets import PacketRing

log = logging.getLogger(__name__)

_LONGEST_SILENCE = 10.0
_HANDED_OVER = 2
# Formats that deliver several seconds at once, to be played in real time.
_PLAYLISTS = frozenset({"hls", "dash"})
_UNTOUCHED_S = 0.25  # after which a waiting frame is replaced by a newer one


@dataclass(frozen=True, slots=True)
class _Taken:
    """A decoded frame from the reading thread."""

    number: int
    time: float
    due: float
    lag: float
    frame: VideoFrame
    aspect: Fraction


@dataclass(frozen=True, slots=True)
class _Over:
    """The end of the frames, with its error."""

    error: BaseException | None = None


class StreamSource:
    """Frames of a stream; live unless it is a file served over HTTP.

    Live: times count from the first frame and continue across reconnections. A stream that ends,
    fails or falls silent is reconnected, with pauses of 0.5 s growing to 10 s, until ``retry_for``
    seconds have passed without a frame. A file over HTTP (its container has a duration, or the
    server states its size) gives every frame at its own time and ends with the last one. A file of
    unstated size looks live until it is fetched again and found to be the same.

    A live frame's age is measured by the stream's own clock (``LiveTimes``). Packets that are too
    late to be seen are skipped undecoded, up to a key frame, unless ``every_frame`` is set
    (``Backlog``).

    Attributes:
        losses: ``corrupt``: undecodable frames. ``reconnects``: new connections. ``behind``: frames
            skipped because they were late.

    Args:
        uri: ``rtsp://``, ``rtsps://``, ``rtspu://`` (over UDP), ``http://``, ``https://``,
            ``udp://``, ``rtmp://``.
        options: ``index``, ``stride``, ``fps``, ``every_frame``, ``decoder``, ``copies``, ``life``,
            ``ring``, ``retry_for`` (for the first connection too, unless the address is wrong)
            and ``stopping`` until the first frame; after that ``close`` is used.

    Raises:
        SourceError: The address is wrong, or no frame came for ``retry_for`` seconds.
    """

    def __init__(self, uri: str, options: SourceOptions = DEFAULTS) -> None:
        self._uri, self._name = uri, redact_uri(uri)
        self._source, self._fps = options.index, options.fps
        self._sampler = Sampler(options.stride, options.fps)
        self._retry_for = options.retry_for
        self._decoder, self._ring = options.decoder, options.ring
        # Short, so that a silent server leaves time for more attempts.
        self._silence = min(_LONGEST_SILENCE, max(1.0, options.retry_for / 3))
        self._skips = not options.every_frame
        self.losses = {"corrupt": 0, "reconnects": 0, "behind": 0}
        self._live, self._trusted = True, True
        # Only web servers send files without their length; other servers start a loop anew.
        self._may_be_file = uri.lower().startswith(("http:", "https:"))
        self._rate: Fraction | None = None
        self._time_base: Fraction | None = None
        self._frames: int | None = None
        self._bit_rate: int | None = None
        self._extras = Extras(options.copies) if options.copies else None
        self.life = options.life or Life()
        self._closed = self.life.closing
        self._stopping = options.stopping or self._closed.is_set
        self._touched = time.monotonic()
        self._handed: queue.Queue[_Taken | _Over] = queue.Queue(_HANDED_OVER)
        self._options = ffmpeg_options(uri, self._silence)
        self._thread = threading.Thread(
            target=self._read, name=f"stream {options.index}", daemon=True
        )
        try:
            with self.life.opening():
                first = self._start()
        except BaseException:
            self.close()
            raise
        self._stopping = self._closed.is_set
        self._waiting: _Taken | None = first
        self._pictures = Pictures(first.frame, first.aspect)
        self.info = SourceInfo(
            name=self._name,
            live=self._live,
            size=self._pictures.size,
            rate=self._sampler.rate(self._rate),
            time_base=self._time_base,
            frames=self._sampler.count(self._frames, self._rate),
            colours=self._pictures.colours,
            bit_rate=self._bit_rate,
            aspect=self._pictures.aspect,
            extras=None if self._live else self._extras,
        )

    # On the caller's thread.

    def _start(self) -> _Taken:
        """Start the reading thread; returns the first frame."""
        self._thread.start()
        first = self._take()
        if first is None:
            given_up = self._stopping() or self._closed.is_set()
            why = "given up" if given_up else "it ended"
            raise SourceError(f"{self._name}: {why} before its first frame")
        return first

    def __iter__(self) -> Iterator[Frame]:
        try:
            yield from self.life.followed(self._all())
        finally:
            self.close()

    def _all(self) -> Generator[Frame]:
        while not self._closed.is_set():
            taken, self._waiting = self._waiting or self._take(), None
            if taken is None:
                return
            if self._sampler.takes(taken.number, taken.time):
                image = self._pictures(taken.frame, taken.aspect)
                yield Frame(self._source, taken.number, taken.time, taken.due, image, lag=taken.lag)

    def _take(self) -> _Taken | None:
        """The next frame; None at the end and once closed."""
        # The reading thread checks the clock between connections. A connection that brings data
        # but never a frame is noticed only here.
        latest = time.monotonic() + self._retry_for + 2 * self._silence
        while not self._closed.is_set():
            try:
                item = self._handed.get(timeout=0.1)
            except queue.Empty:
                if self._stopping():
                    return None
                if time.monotonic() > latest:
                    raise SourceError(
                        f"{self._name}: data arrives, but no frame for {self._retry_for:g} s"
                    ) from None
                continue
            self._touched = time.monotonic()
            if isinstance(item, _Taken):
                return item
            if item.error is not None:
                raise item.error
            return None
        return None

    def close(self) -> None:
        """End the iteration at once; the connection is closed within its timeout (10 s)."""
        self.life.close()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout=self.life.patience())

    # On the reading thread.

    def _read(self) -> None:
        try:
            for taken in self._connections():
                self._hand(taken)
            self._hand(_Over())
        except BaseException as error:
            self._hand(_Over(error))

    def _hand(self, item: _Taken | _Over) -> None:
        while not self._closed.is_set():
            try:
                return self._handed.put(item, timeout=0.05)
            except queue.Full:
                untouched = time.monotonic() - self._touched
            if self._live and self._skips and untouched > _UNTOUCHED_S:
                # While a model loads nobody takes frames, but the stream continues.
                with contextlib.suppress(queue.Empty):
                    self._handed.get_nowait()
                    self.losses["behind"] += 1

    def _connections(self) -> Iterator[_Taken]:
        """Frames across all reconnections."""
        import av

        times = LiveTimes(self._name)
        number, back_off = 0, BackOff(self.life, self._name, self._retry_for)
        replay = Replay(by_pace=self._skips)
        while not self._closed.is_set():
            why = "the stream ended"
            replay.connecting()
            try:
                for taken in self._connection(times, number, reconnected=back_off.connected):
                    if self._may_be_file and replay.repeats(taken.frame):
                        self._tell_that_it_was_a_file()
                        return
                    if back_off.came(taken.lag if self._live else None):
                        self.losses["reconnects"] += 1
                    number = taken.number + 1
                    yield taken
                    back_off.asking()
                if not self._live or self._closed.is_set():
                    return
                replay.ended()
            except (av.error.FFmpegError, SourceError) as error:
                why = explain(error, self._uri, self._silence)
                if not self._live or (not back_off.connected and gives_up(error, self._uri)):
                    why = why.removeprefix(f"{self._name}: ")
                    raise SourceError(f"{self._name}: {why}") from None
            if not back_off.wait(why.removeprefix(f"{self._name}: ")):
                what = "no frame" if back_off.connected else "no connection"
                raise SourceError(f"{self._name}: {what} for {self._retry_for:g} s: {why}")

    def _tell_that_it_was_a_file(self) -> None:
        log.log(
            logging.WARNING if self._skips else logging.INFO,
            "%s: it starts again, so it is a file; its server does not state its length, so it was "
            "taken for a live stream%s",
            self._name,
            "; add --mode every-frame to see every frame of it" if self._skips else "",
        )

    def _connection(self, times: LiveTimes, number: int, reconnected: bool) -> Iterator[_Taken]:
        """Frames of one connection."""
        backlog = Backlog(times, self._closed, self._name, skips=self._skips)
        decoder = Decoder(
            ffmpeg_address(self._uri),
            self._name,
            self.losses,
            low_delay=_is_live,
            options=self._options,
            timeout=self._silence,
            decoder=hardware.choose(self._decoder),
            arrange=lambda packets: backlog(packets) if self._live else all_wanted(packets),
            extras=self._extras,
            ring=self._ring,
            fps=self._fps,
        )
        try:
            self._note(decoder, reconnected)
            paced = decoder.container.format.name in _PLAYLISTS
            file_times = FileTimes(decoder.rate)
            times.reconnected(decoder.rate, self._trusted, paced)
            if self._live and paced:
                log.info("%s: arrives in segments, and is played a few of them behind", self._name)
            for place, frame in decoder:
                if self._closed.is_set():
                    return
                now = time.monotonic()
                moment, due = file_times(frame), now
                if self._live:
                    moment, due = times(frame, now if times.ahead else backlog.arrived)
                if self._ring is not None:
                    self._place(self._ring, frame, backlog.arrived, moment)
                yield _Taken(number + place, moment, due, now - due, frame, decoder.aspect)
            shortfall = decoder.broke_off(file_times.end)
            if shortfall and not self._live:
                raise SourceError(
                    f"{self._name}: {shortfall}: the connection or the file is broken"
                )
            if self._extras is not None:
                self._extras.end = max(file_times.end, decoder.known_end() or 0.0)
        finally:
            backlog.close()  # the container must not be closed while it is read
            decoder.close()

    def _place(self, ring: PacketRing, frame: VideoFrame, arrived: float, moment: float) -> None:
        """Tell the ring of packets which moment a frame has."""
        if self._live and not self._trusted:
            ring.place(arrived, moment)
        elif frame.time is not None:
            ring.place(frame.time, moment)

    def _note(self, decoder: Decoder, reconnected: bool) -> None:
        """Store what the container says about the stream."""
        self._live = _is_live(decoder)
        if decoder.container.format.name == "mpjpeg":
            self._may_be_file = False  # a camera's, whose picture may be static
        # For raw H.264, motion JPEG and similar the reader invents the times.
        self._trusted = not decoder.container.format.flags & NO_TIMES
        if self._trusted:
            base = decoder.stream.time_base
            self._rate, self._time_base = decoder.rate, Fraction(base) if base else None
        self._frames = None if self._live else decoder.declared_frames()
        self._bit_rate = None if self._live else decoder.bit_rate
        if self._extras is None or reconnected:
            return
        self._extras.declared_end = decoder.known_end()
        if self._live and decoder.container.streams.audio:
            log.warning("%s: sound of a live source is not copied into videos", self._name)


def _is_live(decoder: Decoder) -> bool:
    """Whether the stream is live; a file served over HTTP has a duration, or at least a size."""
    scheme, container = decoder.uri.partition(":")[0].lower(), decoder.container
    if scheme not in ("http", "https"):
        return True
    # The size of a playlist is not that of its contents.
    sized = container.format.name not in _PLAYLISTS and container.size > 0
    return not (container.duration or sized)
