"""Frames from a GStreamer pipeline, where the installed OpenCV is built with GStreamer."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from livevision.cache import lend_cache
from livevision.capture.options import DEFAULTS, SourceOptions
from livevision.capture.quiet import quiet_opencv
from livevision.errors import SourceError, UsageError
from livevision.frame import Frame, Image
from livevision.protocols import SourceInfo
from livevision.redact import redact, redact_uri

log = logging.getLogger(__name__)

_SINK = "videoconvert ! video/x-raw,format=BGR ! appsink sync=false"
_LIVE_SINK = f"{_SINK} drop=true max-buffers=1"
_LONGEST_START = 20.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0


class GStreamerSource:
    """A pipeline given as text, or a CSI camera of a Jetson.

    A pipeline without an ``appsink`` gets one behind it that takes BGR. A pipeline that reads a
    file (``filesrc``) is no live source and ends with the file; any other is live and is started
    again when it stops, for ``retry_for`` seconds.

    Attributes:
        losses: ``reconnects``: how often the pipeline was started again.

    Args:
        uri: ``gst:PIPELINE``, or ``csi://0`` or ``csi://0?size=1280x720&rate=30``.
        options: ``index``, ``stride`` and, for a live pipeline that stopped, ``retry_for``.

    Raises:
        SourceError: OpenCV has no GStreamer, or the pipeline gives no frame, or it stopped.
        UsageError: The uri has another form.
    """

    def __init__(self, uri: str, options: SourceOptions = DEFAULTS) -> None:
        self._pipeline, self._live = _pipeline(uri)
        self._name = redact_uri(uri)
        self._source, self._stride = options.index, options.stride
        self._retry_for = options.retry_for
        self._closed = threading.Event()
        self.losses = {"reconnects": 0}
        lend_cache("GST_REGISTRY", "gstreamer/registry.bin")
        _require_gstreamer(self._name)
        _require_elements(self._name, self._pipeline)
        self._capture = self._start()
        first = _read(self._capture)
        if first is None:
            self._capture.release()
            raise SourceError(f"{self._name}: the pipeline gives no frame; {self._hint()}")
        self._waiting: Image | None = first
        self._rate = _rate(self._capture)
        self.info = SourceInfo(
            name=self._name,
            live=self._live,
            size=(first.shape[1], first.shape[0]),
            rate=self._rate / self._stride if self._rate else None,
        )

    def _start(self) -> Any:
        """Start the pipeline; OpenCV itself would wait for ever for a first frame."""
        import cv2

        started: list[Any] = []

        def start() -> None:
            with quiet_opencv():
                started.append(cv2.VideoCapture(self._pipeline, cv2.CAP_GSTREAMER))

        thread = threading.Thread(target=start, name="gstreamer start", daemon=True)
        thread.start()
        thread.join(_LONGEST_START)
        if not started:
            raise SourceError(
                f"{self._name}: the pipeline gave no frame in {_LONGEST_START:g} s; {self._hint()}"
            )
        return started[0]

    def _hint(self) -> str:
        return f"try it alone: gst-launch-1.0 {redact(self._pipeline.split(_SINK)[0])}fakesink"

    def __iter__(self) -> Iterator[Frame]:
        number, opened = 0, time.monotonic()
        try:
            while not self._closed.is_set():
                image, self._waiting = self._waiting, None
                if image is None:
                    image = _read(self._capture)
                if image is None and self._live:
                    image = self._restart()
                if image is None:
                    return
                if number % self._stride == 0:
                    wall_time = time.monotonic()
                    moment = wall_time - opened
                    if not self._live:
                        moment = float(number / (self._rate or 25))
                    yield Frame(self._source, number, moment, wall_time, image)
                number += 1
        finally:
            self.close()
            self._capture.release()

    def _restart(self) -> Image | None:
        deadline, pause = time.monotonic() + self._retry_for, _FIRST_PAUSE
        log.warning("%s: the pipeline stopped; starting it again", self._name)
        self._capture.release()
        while not self._closed.wait(min(pause, max(0.0, deadline - time.monotonic()))):
            self._capture = self._start()
            image = _read(self._capture)
            if image is not None:
                self.losses["reconnects"] += 1
                return image
            self._capture.release()
            if time.monotonic() >= deadline:
                raise SourceError(
                    f"{self._name}: the pipeline stopped and gave no frame"
                    f" for {self._retry_for:g} s"
                )
            pause = min(2 * pause, _LONGEST_PAUSE)
        return None

    def close(self) -> None:
        self._closed.set()
        if self._waiting is not None:
            self._capture.release()


def _pipeline(uri: str) -> tuple[str, bool]:
    """The whole pipeline, and whether it is live."""
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
    """OpenCV leaves out an element that is missing, and waits for the frames of the rest."""
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
                " the plugin that brings it"
            )


def _read(capture: Any) -> Image | None:
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
