"""Frames of a GStreamer pipeline, if the installed OpenCV has GStreamer."""

from __future__ import annotations

import contextlib
import logging
import queue
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from livevision.capture.life import BackOff, Life
from livevision.capture.options import DEFAULTS, SourceOptions
from livevision.capture.quiet import quiet_opencv
from livevision.capture.sampling import Sampler
from livevision.errors import SourceError, UsageError
from livevision.files import lend_cache
from livevision.frame import Frame, Image
from livevision.protocols import SourceInfo
from livevision.redact import redact, redact_uri

log = logging.getLogger(__name__)

_SINK = "videoconvert ! video/x-raw,format=BGR ! appsink sync=false"
_LIVE_SINK = f"{_SINK} drop=true max-buffers=1"
_LONGEST_START = 20.0
_SILENT_S = 5.0  # without a frame, until a pipeline counts as lost


@dataclass(frozen=True, slots=True)
class _Taken:
    number: int
    wall_time: float
    image: Image


@dataclass(frozen=True, slots=True)
class _Over:
    """The end of the frames, with its error."""

    error: BaseException | None = None


class GStreamerSource:
    """A pipeline given as text, or a CSI camera of a Jetson.

    A pipeline without an ``appsink`` gets one that takes BGR. A pipeline that reads a file
    (``filesrc``) is not live and ends with the file; any other is live and is restarted when it
    stops, until ``retry_for`` seconds have passed without a frame.

    OpenCV may block forever in a start or a read, and cannot be interrupted. A thread of this
    source therefore does both, restarts included; the iteration and ``close`` never block on it.

    Attributes:
        losses: ``reconnects``: restarts of the pipeline. ``late``: frames replaced by newer ones
            before they were taken.

    Args:
        uri: ``gst:PIPELINE``, or ``csi://0`` or ``csi://0?size=1280x720&rate=30``.
        options: ``index``, ``stride``, ``every_frame``, ``retry_for`` for a live pipeline that
            stopped, and ``stopping`` until the first frame.

    Raises:
        SourceError: OpenCV has no GStreamer, or the pipeline gives no frame, or it stopped.
        UsageError: The URI is malformed.
    """

    def __init__(self, uri: str, options: SourceOptions = DEFAULTS) -> None:
        self._pipeline, self._live = _pipeline(uri)
        self._name = redact_uri(uri)
        self._source = options.index
        self._sampler = Sampler(options.stride, options.fps)
        self._retry_for = options.retry_for
        self._silent = f"the pipeline stopped and gave no frame for {options.retry_for:g} s"
        self._newest = self._live and not options.every_frame
        self.life = options.life or Life()
        self._closed = self.life.closing
        self._stopping = options.stopping or self._closed.is_set
        self._handed: queue.Queue[_Taken | _Over] = queue.Queue(1)
        self._rate: Fraction | None = None
        self.losses = {"reconnects": 0, "late": 0}
        self._thread = threading.Thread(
            target=self._read, name=f"gstreamer {options.index}", daemon=True
        )
        try:
            with self.life.opening():
                first = self._start()
        except BaseException:
            self.close()
            raise
        self._stopping = self._closed.is_set
        self._waiting: _Taken | None = first
        self.info = SourceInfo(
            name=self._name,
            live=self._live,
            size=(first.image.shape[1], first.image.shape[0]),
            rate=self._sampler.rate(self._rate),
        )

    def _start(self) -> _Taken:
        """Start the thread of the pipeline; returns its first frame."""
        lend_cache("GST_REGISTRY", "gstreamer/registry.bin")
        _require_gstreamer(self._name)
        _require_elements(self._name, self._pipeline)
        self._thread.start()
        silent = f"the pipeline gave no frame in {_LONGEST_START:g} s; {self._hint()}"
        first = self._take(_LONGEST_START, silent)
        if first is None:
            why = "given up before its first frame"
            if not (self._stopping() or self._closed.is_set()):
                why = f"the pipeline gives no frame; {self._hint()}"
            raise SourceError(f"{self._name}: {why}")
        return first

    def _hint(self) -> str:
        return f"try it alone: gst-launch-1.0 {redact(self._pipeline.split(_SINK)[0])}fakesink"

    # On the caller's thread.

    def __iter__(self) -> Iterator[Frame]:
        try:
            yield from self.life.followed(self._all())
        finally:
            self.close()

    def _all(self) -> Generator[Frame]:
        opened: float | None = None
        patience = self._retry_for if self._live else float("inf")
        while not self._closed.is_set():
            taken, self._waiting = self._waiting or self._take(patience, self._silent), None
            if taken is None:
                return
            opened = taken.wall_time if opened is None else opened
            moment = taken.wall_time - opened
            if not self._live:
                moment = float(taken.number / (self._rate or 25))
            if self._sampler.takes(taken.number, moment):
                yield Frame(self._source, taken.number, moment, taken.wall_time, taken.image)

    def _take(self, patience: float, silent: str) -> _Taken | None:
        """The next frame; None at the end and once closed.

        Raises:
            SourceError: No frame came for so many seconds; ``silent`` is the message.
        """
        asked = time.monotonic()
        latest = asked + patience
        while not (self._closed.is_set() or self._stopping()):
            try:
                item = self._handed.get(timeout=0.1)
            except queue.Empty:
                if time.monotonic() > latest:
                    raise SourceError(f"{self._name}: {silent}") from None
                if self._live and time.monotonic() > asked + _SILENT_S:
                    self._fell_silent()
                continue
            if isinstance(item, _Taken):
                return item
            if item.error is not None:
                raise item.error
            return None
        return None

    def _fell_silent(self) -> None:
        """Report a silent pipeline, which the thread cannot do while it blocks in a read."""
        if self.life.state == "live":
            self.life.lost(f"no frame for {_SILENT_S:g} s")

    def close(self) -> None:
        """End the iteration at once; the pipeline is released when OpenCV returns from it."""
        self.life.close()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout=self.life.patience())

    # On the thread of the pipeline.

    def _read(self) -> None:
        try:
            for taken in self._frames():
                self._hand(taken)
            self._hand(_Over())
        except BaseException as error:
            self._hand(_Over(error))

    def _frames(self) -> Iterator[_Taken]:
        """Frames across all restarts of a live pipeline."""
        number, back_off = 0, BackOff(self.life, self._name, self._retry_for)
        while not self._closed.is_set():
            for image in self._one_start():
                if back_off.came():
                    self.losses["reconnects"] += 1
                yield _Taken(number, time.monotonic(), image)
                back_off.asking()
                number += 1
            if not self._live or not number or self._closed.is_set():
                return
            if not back_off.wait("the pipeline stopped"):
                raise SourceError(f"{self._name}: {self._silent}")

    def _one_start(self) -> Iterator[Image]:
        """Start the pipeline and yield its frames until it stops."""
        import cv2

        with quiet_opencv():
            capture = cv2.VideoCapture(self._pipeline, cv2.CAP_GSTREAMER)
        try:
            while not self._closed.is_set():
                image = _image(capture)
                if image is None:
                    return
                self._rate = self._rate or _rate(capture)
                yield image
        finally:
            capture.release()

    def _hand(self, item: _Taken | _Over) -> None:
        while not self._closed.is_set():
            try:
                return self._handed.put(item, timeout=0.1 if not self._newest else 0.0)
            except queue.Full:
                if self._newest:
                    self._make_room()

    def _make_room(self) -> None:
        """Drop a waiting frame for a newer one."""
        with contextlib.suppress(queue.Empty):
            self._handed.get_nowait()
            self.losses["late"] += 1


def _pipeline(uri: str) -> tuple[str, bool]:
    """The complete pipeline, and whether it is live."""
    if uri.startswith("csi:"):
        return _csi_pipeline(uri), True
    text = uri.removeprefix("gst:").removeprefix("//").strip()
    if not text:
        raise UsageError(f"{uri}: a pipeline is missing, such as gst:v4l2src ! videoconvert")
    live = "filesrc" not in text
    if "appsink" not in text:
        text = f"{text.rstrip(' !')} ! {_LIVE_SINK if live else _SINK}"
    return text, live


def _csi_pipeline(uri: str) -> str:
    place, _, settings = uri.removeprefix("csi:").removeprefix("//").partition("?")
    query = dict(parse_qsl(settings))
    width, _, height = query.pop("size", "1280x720").partition("x")
    rate = query.pop("rate", "30")
    numbers = (place.strip("/") or "0", width, height, rate)
    if query or not all(number.isdecimal() for number in numbers):
        raise UsageError(f"{uri}: a CSI camera is written csi://0?size=1280x720&rate=30")
    return (
        f"nvarguscamerasrc sensor-id={numbers[0]} ! "
        f"video/x-raw(memory:NVMM),width={width},height={height},framerate={rate}/1 ! "
        f"nvvidconv ! video/x-raw,format=BGRx ! {_LIVE_SINK}"
    )


def _require_gstreamer(name: str) -> None:
    import cv2

    if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        raise SourceError(
            f"{name}: the installed OpenCV ({cv2.__version__}) is built without GStreamer, as are"
            " all builds from PyPI; use the OpenCV of JetPack or of Debian (python3-opencv), or"
            " build it with -D WITH_GSTREAMER=ON; rtsp:// and http:// sources need no GStreamer"
        )


def _require_elements(name: str, pipeline: str) -> None:
    """Check for missing elements: OpenCV skips them, and waits for frames from the rest."""
    inspect = shutil.which("gst-inspect-1.0")
    if inspect is None:
        return
    words = [part.split() for part in pipeline.split("!")]
    elements = [first[0] for first in words if first and re.fullmatch(r"\w+", first[0])]
    for element in dict.fromkeys(elements):
        command = [inspect, "--exists", element]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            raise SourceError(
                f"{name}: GStreamer has no element {element!r} here: check its spelling, or install"
                " its plugin"
            )


def _image(capture: Any) -> Image | None:
    with quiet_opencv():
        good, image = capture.read()
    if not good or image is None:
        return None
    if image.ndim == 2:
        image = np.repeat(image[:, :, None], 3, axis=2)
    return np.asarray(image, np.uint8)


def _rate(capture: Any) -> Fraction | None:
    import cv2

    rate = capture.get(cv2.CAP_PROP_FPS)
    return Fraction(rate).limit_denominator(1001) if 0 < rate <= 1000 else None
