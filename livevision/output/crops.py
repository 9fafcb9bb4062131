"""Crops: the best picture of each track, cut out of its frame.

people/door/2026-11-29/081530.042-7-person.jpg      track 7, as it was seen at 8:15:30 UTC
                       081530.042-7-person.json     its source, frame, time, box and score
"""

from __future__ import annotations

import json
import logging
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from livevision.errors import OutputError
from livevision.files import write_whole
from livevision.frame import Frame, Image, Rendered
from livevision.output.kept_files import KeptFiles
from livevision.output.options import DEFAULTS, OutputOptions
from livevision.output.target import folder_name
from livevision.protocols import OutletPolicy, SourceInfo
from livevision.results import ClassMap, Label

log = logging.getLogger(__name__)

_ENDED_S = 5.0  # a track that is not seen for so long has ended
_MARGIN = 0.1  # shown around a box, as a share of its sides
_LONGEST = 640  # pixels of a crop's longer side
_BETTER = 1.05  # ratio by which a crop must be better to replace another
_CUT_OFF = 0.5  # weight of a crop at the frame's edge, which shows only a part
_MOST_BYTES = 64_000_000  # of crops in memory
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 92)
_MINE = re.compile(r"\d{6}\.\d{3}-\d+-[\w-]+\.(jpg|json)")


@dataclass(slots=True)
class _Best:
    """The best crop of a track so far, and when the track was last seen."""

    worth: float
    crop: Image
    about: dict[str, Any]
    moment: datetime
    seen: float


class CropsSink:
    """Keeps the best crop of each track, by size and score, and writes it when the track ends.

    A crop that is cut off by the frame's edge counts half. Longer sides have at most 640 pixels.

    Args:
        target: The folder.
        info: The source; crops contain its name unless ``options.sources`` has names.
        options: ``sources``, ``hidden``, ``max_disk`` and ``keep``.

    Raises:
        OutputError: The folder cannot be created.
    """

    wants_image = False
    wants_frame = True
    policy = OutletPolicy()

    def __init__(self, target: str, info: SourceInfo, options: OutputOptions = DEFAULTS) -> None:
        self.where = target
        self._folder, self._info, self._options = Path(target), info, options
        self._infos: dict[int, SourceInfo] = {}
        try:
            self._files = KeptFiles(self._folder, _is_mine, options.max_disk, options.keep)
        except OSError as error:
            raise OutputError(f"cannot write crops to {target}: {error.strerror}") from None
        self._best: dict[tuple[int, int], _Best] = {}
        self._bytes = 0

    def opened(self, source: int, info: SourceInfo) -> None:
        """Add a source whose frames follow."""
        self._infos[source] = info

    def write(self, rendered: Rendered) -> None:
        """Update the tracks of a frame.

        Raises:
            OutputError: The disk is full, or the folder can no longer be written.
        """
        frame = rendered.frame
        for result in rendered.results.values():
            if isinstance(result, ClassMap | Label) or result.tracker_id is None:
                continue
            names = result.data.get("class_name")
            for i, number in enumerate(result.tracker_id.tolist()):
                name = str(names[i]) if names is not None else "object"
                if number >= 0 and name not in self._options.hidden:
                    score = 1.0 if result.confidence is None else float(result.confidence[i])
                    self._see(frame, int(number), np.asarray(result.xyxy[i]), name, score)
        for key, best in list(self._best.items()):
            if key[0] == frame.source and not 0 <= frame.time - best.seen <= _ENDED_S:
                self._keep(key)
        while self._bytes > _MOST_BYTES:
            self._keep(min(self._best, key=lambda key: self._best[key].seen))

    def close(self) -> None:
        """Write the crops of all remaining tracks."""
        for key in list(self._best):
            self._keep(key)

    def _see(self, frame: Frame, number: int, box: Any, name: str, score: float) -> None:
        best = self._best.get((frame.source, number))
        if best is not None:
            best.seen = frame.time
        height, width = frame.image.shape[:2]
        x1, y1, x2, y2 = (float(v) for v in box)
        worth = score * (max(0.0, x2 - x1) * max(0.0, y2 - y1)) ** 0.5
        if x1 <= 1 or y1 <= 1 or x2 >= width - 1 or y2 >= height - 1:
            worth *= _CUT_OFF
        if worth <= 0 or (best is not None and worth <= _BETTER * best.worth):
            return
        around_x, around_y = _MARGIN * (x2 - x1), _MARGIN * (y2 - y1)
        left, top = max(0, int(x1 - around_x)), max(0, int(y1 - around_y))
        right, bottom = min(width, round(x2 + around_x)), min(height, round(y2 + around_y))
        if right - left < 2 or bottom - top < 2:
            return
        crop = _small(frame.image[top:bottom, left:right])
        now = time.time() - (time.monotonic() - frame.wall_time)
        about = {
            "source": self._source_of(frame),
            "track_id": number,
            "class": name,
            "confidence": round(score, 4),
            "frame": frame.index,
            "time": round(frame.time, 6),
            "box": [round(v, 2) for v in (x1, y1, x2, y2)],
        }
        self._bytes += crop.nbytes - (0 if best is None else best.crop.nbytes)
        moment = datetime.fromtimestamp(now, UTC)
        self._best[frame.source, number] = _Best(worth, crop, about, moment, frame.time)

    def _keep(self, key: tuple[int, int]) -> None:
        best = self._best.pop(key)
        self._bytes -= best.crop.nbytes
        at = best.moment
        class_ = re.sub(r"[^\w-]+", "-", best.about["class"]) or "object"
        stem = f"{at:%H%M%S}.{at.microsecond // 1000:03d}-{key[1]}-{class_}"
        folder = self._folder / folder_name(best.about["source"]) / f"{at:%Y-%m-%d}"
        good, encoded = cv2.imencode(".jpg", best.crop, _JPEG)
        try:
            if not good or not self._files.make_room(len(encoded)):
                raise OSError(28, "no room is left on the disk, or within --max-disk")
            folder.mkdir(parents=True, exist_ok=True)
            about = folder / f"{stem}.json"
            write_whole(about, json.dumps(best.about, ensure_ascii=False) + "\n")
            write_whole(folder / f"{stem}.jpg", encoded.tobytes())
        except OSError as error:
            raise OutputError(f"cannot write crops to {folder}: {error.strerror}") from None
        self._files.added(about)
        self._files.added(folder / f"{stem}.jpg")

    def _source_of(self, frame: Frame) -> str:
        names = self._options.sources
        if frame.source < len(names):
            return names[frame.source]
        return self._infos.get(frame.source, self._info).name


def _small(crop: Image) -> Image:
    """A copy of a part of a frame, scaled down if it is large."""
    longest = max(crop.shape[:2])
    if longest <= _LONGEST:
        return crop.copy()
    scale = _LONGEST / longest
    size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
    return np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)


def _is_mine(path: Path) -> bool:
    return _MINE.fullmatch(path.name) is not None and path.is_file()
