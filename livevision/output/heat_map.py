"""Heat maps: where objects were over a whole run, one picture per source.

heat/door.png       the source in grey, overlaid with the time that objects were at each place
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from livevision.errors import OutputError
from livevision.files import write_whole
from livevision.frame import Frame, Image, Rendered
from livevision.output.options import DEFAULTS, OutputOptions
from livevision.output.target import folder_name
from livevision.protocols import OutletPolicy, SourceInfo
from livevision.results import ClassMap, Label

_SCALE = 4  # frame pixels per heat pixel
_RADIUS = 0.03  # of a frame's shorter side: radius of the heat around an object's foot
_LONGEST_S = 1.0  # maximum duration counted for a frame
_SAMPLE_S = 2.0  # between the frames averaged for the background
_SAMPLES = 50
_WRITE_S = 600.0
_TOP = 99.5  # percentile of the heat that is shown as hottest
_PLAIN = 64  # plain background if classes are hidden, since frames would show them


class HeatMapSink:
    """Sums the seconds that objects are at each place, at the middle of their lower edge.

    The picture is written at the end, and every ten minutes. Its background is the mean of some
    frames, so that moving objects vanish.

    Args:
        target: The folder.
        info: The source; the picture has its name unless ``options.sources`` has names.
        options: ``overwrite``, ``sources`` and ``hidden``.

    Raises:
        OutputError: The folder cannot be created; from ``write`` and ``close``: a picture exists,
            or cannot be written.
    """

    wants_image = False
    wants_frame = True
    policy = OutletPolicy()

    def __init__(self, target: str, info: SourceInfo, options: OutputOptions = DEFAULTS) -> None:
        self.where = target
        self._folder, self._info, self._options = Path(target), info, options
        self._infos: dict[int, SourceInfo] = {}
        self._maps: dict[int, _Map] = {}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write heat maps to {target}: {error.strerror}") from None

    def opened(self, source: int, info: SourceInfo) -> None:
        """Add a source whose frames follow."""
        self._infos[source] = info

    def write(self, rendered: Rendered) -> None:
        """Add the objects of a frame."""
        frame = rendered.frame
        size = (frame.image.shape[1], frame.image.shape[0])
        heat = self._maps.get(frame.source)
        if heat is None or heat.size != size:
            heat = self._maps[frame.source] = _Map(size, self._path(frame))
        heat.pass_time(frame)
        if not self._options.hidden:
            heat.sample(frame)
        for result in rendered.results.values():
            if not isinstance(result, ClassMap | Label):
                heat.add(np.asarray(result.xyxy, np.float32))
        if frame.wall_time - heat.written > _WRITE_S:
            heat.written = frame.wall_time
            self._write(heat)

    def close(self) -> None:
        """Write the picture of each source."""
        for heat in self._maps.values():
            self._write(heat)
        self._maps.clear()

    def _path(self, frame: Frame) -> Path:
        names = self._options.sources
        name = (
            names[frame.source]
            if frame.source < len(names)
            else self._infos.get(frame.source, self._info).name
        )
        stem = folder_name(name)
        taken = {heat.path for source, heat in self._maps.items() if source != frame.source}
        path, number = self._folder / f"{stem}.png", 1
        while path in taken:
            number += 1
            path = self._folder / f"{stem}-{number}.png"
        if path.exists() and frame.source not in self._maps and not self._options.overwrite:
            raise OutputError(f"{path} exists; add --overwrite to replace it")
        return path

    @staticmethod
    def _write(heat: _Map) -> None:
        good, encoded = cv2.imencode(".png", heat.picture())
        try:
            if not good:
                raise OSError(28, "it cannot be encoded")
            write_whole(heat.path, encoded.tobytes())
        except OSError as error:
            raise OutputError(f"cannot write {heat.path}: {error.strerror}") from None


class _Map:
    """The heat of one source.

    Attributes:
        size: (width, height) of its frames.
        path: Its picture.
        seconds: float32, H/4×W/4, time that objects were at each place.
        written: ``time.monotonic()`` when its picture was last written.
    """

    def __init__(self, size: tuple[int, int], path: Path) -> None:
        self.size, self.path, self.written = size, path, float("inf")
        self.seconds: NDArray[np.float32] = np.zeros(
            (-(-size[1] // _SCALE), -(-size[0] // _SCALE)), np.float32
        )
        self._radius = max(1, round(_RADIUS * min(size) / _SCALE))
        self._last: float | None = None
        self._passed = 0.0
        self._ground: NDArray[np.float32] = np.zeros((size[1], size[0]), np.float32)
        self._samples, self._sampled = 0, -1e9

    def pass_time(self, frame: Frame) -> None:
        """Count a frame for the duration of the previous one."""
        if self._last is None:
            self.written = frame.wall_time
        since = 0.0 if self._last is None else frame.time - self._last
        self._passed = min(_LONGEST_S, since) if since >= 0 else 0.0
        self._last = frame.time

    def add(self, boxes: NDArray[np.float32]) -> None:
        """Add objects at these boxes: float32, N×4."""
        for x1, _, x2, y2 in np.nan_to_num(boxes).tolist():
            at = (round((x1 + x2) / 2 / _SCALE), round(y2 / _SCALE))
            left, top = max(0, at[0] - self._radius), max(0, at[1] - self._radius)
            right, bottom = at[0] + self._radius + 1, at[1] + self._radius + 1
            part = self.seconds[top:bottom, left:right]
            if part.size:
                disc = np.zeros(part.shape, np.uint8)
                cv2.circle(disc, (at[0] - left, at[1] - top), self._radius, (1,), -1)
                part += np.float32(self._passed) * disc

    def sample(self, frame: Frame) -> None:
        """Average a frame into the background, now and then."""
        if self._samples < _SAMPLES and not 0 <= frame.time - self._sampled < _SAMPLE_S:
            grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY).astype(np.float32)
            self._samples += 1
            self._sampled = frame.time
            self._ground += (grey - self._ground) / np.float32(self._samples)

    def picture(self) -> Image:
        """The heat over the background: uint8, H×W×3, BGR."""
        ground = self._ground * 0.6 if self._samples else np.full_like(self._ground, _PLAIN)
        grey = cv2.cvtColor(ground.astype(np.uint8), cv2.COLOR_GRAY2BGR).astype(np.float32)
        hot = self.seconds[self.seconds > 0]
        if not hot.size:
            return grey.astype(np.uint8)
        share = (self.seconds / np.percentile(hot, _TOP)).clip(0, 1)
        share = cv2.resize(share, self.size, interpolation=cv2.INTER_LINEAR)
        share = cv2.GaussianBlur(share, (0, 0), max(1.0, self._radius * _SCALE / 3))
        colours = cv2.applyColorMap((255 * share).astype(np.uint8), cv2.COLORMAP_TURBO)
        opacity = (2.5 * share).clip(0, 0.8)[..., None]
        mixed = grey * (1 - opacity) + colours.astype(np.float32) * opacity
        return np.asarray(mixed, np.uint8)
