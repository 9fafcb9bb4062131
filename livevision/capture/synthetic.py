"""A synthetic moving scene, for benchmarks, tests and a first try."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterator
from fractions import Fraction
from urllib.parse import parse_qsl

import numpy as np

from livevision.capture.life import Life
from livevision.capture.options import DEFAULTS, SourceOptions
from livevision.capture.sampling import Sampler
from livevision.errors import UsageError
from livevision.frame import Frame, Image
from livevision.protocols import SourceInfo

_FORM = "synthetic://WIDTHxHEIGHT@RATE?frames=N&paced=0|1"
_PATTERN = re.compile(
    r"synthetic(?:://(?:(?P<width>\d+)x(?P<height>\d+))?(?:@(?P<rate>\d+(?:\.\d+|/\d+)?))?)?"
    r"/?(?:\?(?P<query>.*))?"
)


class SyntheticSource:
    """Frames with a moving square, and the frame number in the lowest quarter.

    The number is shown as two rows of nine blocks, bright for 1 and dark for 0: a bright block and
    the upper eight bits; below, a dark block and the lower eight.

    Paced, it behaves like a camera: live, one frame each 1/rate seconds, endless unless ``frames``
    is given; frames not fetched in time are lost and counted in ``losses["late"]``. Unpaced, it
    behaves like a file: 300 frames by default (0: endless), as fast as they are fetched.

    Args:
        uri: ``synthetic`` or ``synthetic://1280x720@30?frames=300&paced=0``; any part may be left
            out.
        options: ``index``, ``stride`` and ``loop``, which makes it endless.

    Raises:
        UsageError: The URI is malformed.
    """

    def __init__(self, uri: str, options: SourceOptions = DEFAULTS) -> None:
        self.life = options.life or Life()
        with self.life.opening():
            size, rate, frames, self._paced = _parse(uri)
        if frames is None:
            frames = 0 if self._paced else 300
        self._frames = 0 if options.loop else frames
        self._source, self._rate = options.index, rate
        self._sampler = Sampler(options.stride, options.fps)
        self._closed = self.life.closing
        self._scene = _scene(size)
        self.losses = {"late": 0}
        self.info = SourceInfo(
            name=uri,
            live=self._paced,
            size=size,
            rate=self._sampler.rate(rate),
            time_base=1 / rate,
            frames=self._sampler.count(self._frames, rate),
        )

    def __iter__(self) -> Iterator[Frame]:
        return self.life.followed(self._all())

    def _all(self) -> Generator[Frame]:
        opened, number, period = time.monotonic(), 0, float(1 / self._rate)
        while not self._closed.is_set() and (not self._frames or number < self._frames):
            if self._paced:
                due = opened + number * period
                if self._closed.wait(max(0.0, due - time.monotonic())):
                    return
                missed = int((time.monotonic() - due) / period)
                if self._frames:
                    missed = min(missed, self._frames - number)
                if missed:
                    self.losses["late"] += missed
                    number += missed
                    continue
            moment, wall_time = float(number / self._rate), time.monotonic()
            if self._sampler.takes(number, moment):
                yield Frame(self._source, number, moment, wall_time, self._draw(number))
            number += 1

    def _draw(self, number: int) -> Image:
        image = self._scene.copy()
        height, width = image.shape[:2]
        side = max(1, min(width, height) // 5)
        left = number * max(1, width // 160) % max(1, width - side)
        top = max(0, height // 4 - side // 2)
        image[top : top + side, left : left + side] = (40, 70, 225)
        bits = number % 65536
        top = height - height // 4
        rows = [top + (height - top) * row // 2 for row in range(3)]
        columns = [width * column // 9 for column in range(10)]
        for place in range(18):
            row, column = divmod(place, 9)
            bright = bits >> (16 - row * 8 - column) & 1 if column else row == 0
            block = image[rows[row] : rows[row + 1], columns[column] : columns[column + 1]]
            block[:] = 235 if bright else 16
        return image

    def close(self) -> None:
        self.life.close()


def _scene(size: tuple[int, int]) -> Image:
    width, height = size
    scene = np.empty((height, width, 3), np.uint8)
    scene[..., 0] = np.linspace(60, 180, width)[None, :]
    scene[..., 1] = np.linspace(180, 80, height)[:, None]
    scene[..., 2] = np.linspace(80, 140, width)[None, :]
    return scene


def _parse(uri: str) -> tuple[tuple[int, int], Fraction, int | None, bool]:
    found = _PATTERN.fullmatch(uri)
    query = dict(parse_qsl(found["query"] or "", keep_blank_values=True)) if found else {}
    frames, paced = query.pop("frames", None), query.pop("paced", "0")
    good = found and not query and paced in ("0", "1") and (frames is None or frames.isdecimal())
    if not (found and good):
        raise UsageError(f"{uri}: write a synthetic source as {_FORM}, any part left out")
    size = int(found["width"] or 1280), int(found["height"] or 720)
    try:
        rate = Fraction(found["rate"] or 30)
    except ZeroDivisionError:
        rate = Fraction(0)
    if not (min(size) >= 1 and max(size) <= 16384 and 0 < rate <= 1000):
        raise UsageError(f"{uri}: sizes are 1 to 16384 pixels, rates above 0 and at most 1000")
    return size, rate, int(frames) if frames is not None else None, paced == "1"
