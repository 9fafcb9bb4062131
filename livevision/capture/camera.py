"""A local camera, through OpenCV (V4L2 on Linux)."""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from livevision.capture.life import BackOff, Life
from livevision.capture.options import DEFAULTS, SourceOptions
from livevision.capture.quiet import quiet_opencv
from livevision.capture.sampling import Sampler
from livevision.errors import SourceError
from livevision.frame import Frame, Image
from livevision.protocols import SourceInfo

log = logging.getLogger(__name__)

_WANTED_SIZE = (1280, 720)
# OpenCV waits ten seconds for a missing frame by default; close() would have to wait as long.
_SELECT_SECONDS = "2"


class CameraSource:
    """Frames of a camera, live, at 1280×720 or the nearest size the camera has.

    Motion JPEG is chosen if it has a higher frame rate than the raw format. OpenCV buffers a single
    frame, so that reads return the newest one. ``Frame.time`` counts from the first frame.

    A camera that stops giving frames is reopened, with growing pauses, for ``retry_for`` seconds.

    Attributes:
        losses: ``reconnects``: how often it was reopened.

    Args:
        uri: A number (0 is the first camera) or ``/dev/videoN``.
        options: ``index``, ``stride`` and ``retry_for``.

    Raises:
        SourceError: The camera does not exist, access is denied, or it is gone for good.
    """

    def __init__(self, uri: str, options: SourceOptions = DEFAULTS) -> None:
        number = re.search(r"\d+$", uri)
        if number is None:
            raise SourceError(f"{uri}: a camera is a number or /dev/videoN")
        self._number = int(number[0])
        self._source = options.index
        self._sampler = Sampler(options.stride, options.fps)
        self._retry_for = options.retry_for
        self.life = options.life or Life()
        self.losses = {"reconnects": 0}
        self._name = uri if uri.startswith("/") else f"camera {uri}"
        self._back_off = BackOff(self.life, self._name, options.retry_for)
        with self.life.opening():
            self._capture, first = self._open_first()
        self._waiting: tuple[float, Image] | None = (time.monotonic(), first)
        rate = _rate(self._capture)
        self.info = SourceInfo(
            name=self._name,
            live=True,
            size=(first.shape[1], first.shape[0]),
            rate=self._sampler.rate(rate),
        )

    def _open_first(self) -> tuple[Any, Image]:
        capture = self._open()
        first = _read(capture)
        if first is None:
            capture.release()
            raise SourceError(
                f"{self._name}: opens but gives no picture: is another program using it?"
            )
        self._back_off.came()
        return capture, first

    def _open(self) -> Any:
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", _SELECT_SECONDS)
        import cv2

        with quiet_opencv():
            interface = cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY
            capture = cv2.VideoCapture(self._number, interface)
            if not capture.isOpened():
                capture.release()
                raise SourceError(f"{self._name}: {_why_not(self._number)}")
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, _WANTED_SIZE[0])
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, _WANTED_SIZE[1])
            raw_format, raw_rate = capture.get(cv2.CAP_PROP_FOURCC), _rate(capture) or 0
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
            if (_rate(capture) or 0) < raw_rate:
                capture.set(cv2.CAP_PROP_FOURCC, raw_format)
        return capture

    def __iter__(self) -> Iterator[Frame]:
        try:
            yield from self.life.followed(self._all())
        finally:
            self.close()
            self._capture.release()

    def _all(self) -> Generator[Frame]:
        number, opened = 0, None
        while not self.life.closing.is_set():
            taken, self._waiting = self._waiting or self._take(), None
            if taken is None:
                return
            wall_time, image = taken
            opened = wall_time if opened is None else opened
            moment = wall_time - opened
            if self._sampler.takes(number, moment):
                yield Frame(self._source, number, moment, wall_time, image)
            number += 1

    def _take(self) -> tuple[float, Image] | None:
        """The next picture, after reopening the camera if needed; None once closed."""
        self._back_off.asking()
        image = _read(self._capture)
        why = "it gives no picture"
        while image is None:
            self._capture.release()
            if not self._back_off.wait(why):
                raise SourceError(
                    f"{self._name}: disconnected and did not come back"
                    f" in {self._retry_for:g} s ({why})"
                )
            if self.life.closing.is_set():
                return None
            try:
                self._capture = self._open()
            except SourceError as error:
                why = str(error).removeprefix(f"{self._name}: ")
                continue
            why = "it gives no picture"
            image = _read(self._capture)
        if self._back_off.came():
            self.losses["reconnects"] += 1
        return time.monotonic(), image

    def close(self) -> None:
        """End the iteration, which releases the camera; a wait for a frame takes 2 s at most."""
        self.life.close()
        if self._waiting is not None:
            self._capture.release()


def _read(capture: Any) -> Image | None:
    with quiet_opencv():
        good, image = capture.read()
    return np.asarray(image, np.uint8) if good and image is not None else None


def _rate(capture: Any) -> Fraction | None:
    import cv2

    rate = capture.get(cv2.CAP_PROP_FPS)
    return Fraction(rate).limit_denominator(1001) if 0 < rate <= 1000 else None


def _why_not(number: int) -> str:
    """Why a camera does not open, and what to do."""
    if sys.platform != "linux":
        return "no such camera, or this program may not use it (see the system's privacy settings)"
    there = sorted(str(path) for path in Path("/dev").glob("video*"))
    device = Path(f"/dev/video{number}")
    if not there:
        return "no camera is connected: there is no /dev/video*"
    if not device.exists():
        return f"no such camera; connected are {', '.join(there)}"
    if not os.access(device, os.R_OK | os.W_OK):
        import grp

        try:
            group = grp.getgrgid(device.stat().st_gid).gr_name
        except KeyError:
            group = "video"
        return (
            f"you may not use {device}: join the group {group!r}"
            f" (sudo usermod -aG {group} $USER), then log in again"
        )
    others = ", ".join(path for path in there if path != str(device))
    hint = f"; other devices: {others}" if others else ""
    return f"{device} gives no video: another program is using it, or it is no camera{hint}"
