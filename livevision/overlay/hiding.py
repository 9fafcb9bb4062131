"""Hides detections beyond recognition, such as faces and licence plates.

supervision's annotators for this round a box's edges down, which may leave a strip visible, and
blur with a kernel that keeps large letters legible. Here a box is enlarged by a margin and rounded
outwards, and reduced to the mean colours of a dozen fields.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from livevision.frame import Image
from livevision.overlay.room import Rect, Room
from livevision.results import ClassMap

if TYPE_CHECKING:
    import supervision as sv

_FIELDS = 3  # along the shorter side
_MOST_FIELDS = 8  # along the longer side
_MARGIN = 0.08  # on each side, as a share of the box's sides
_LEAST_PX = 3


class HidingOverlay:
    """Blurs or pixelates ``sv.Detections``, or the classes of a ``ClassMap``, on a picture.

    It is drawn first, so that boxes and texts stay legible.

    Args:
        classes: Names of the classes to hide; None for all.
        fields: Show the fields as plain colours instead of blurring them.
    """

    def __init__(self, classes: Collection[str] | None = None, *, fields: bool = False) -> None:
        self._classes = classes
        self._grow = cv2.INTER_NEAREST if fields else cv2.INTER_LINEAR

    def plan(self, result: sv.Detections | ClassMap, room: Room) -> Callable[[Image], None]:
        """The function that hides; the room is not used."""
        if isinstance(result, ClassMap):
            return lambda image: self._hide_pixels(image, result)
        return lambda image: self._hide_boxes(image, result)

    def draw(self, image: Image, result: sv.Detections | ClassMap) -> Image:
        """Hide on ``image`` (uint8, H×W×3, BGR) in place and return it."""
        self.plan(result, Room(image))(image)
        return image

    def _hide_boxes(self, image: Image, result: sv.Detections) -> None:
        height, width = image.shape[:2]
        for box in self._boxes(result):
            grown = np.maximum(_LEAST_PX, _MARGIN * (box[2:] - box[:2]))
            x1, y1 = np.floor(box[:2] - grown).clip(0, (width, height)).astype(int).tolist()
            x2, y2 = np.ceil(box[2:] + grown).clip(0, (width, height)).astype(int).tolist()
            if x2 > x1 and y2 > y1:
                image[y1:y2, x1:x2] = self._hidden(image[y1:y2, x1:x2])

    def _boxes(self, result: sv.Detections) -> Iterator[NDArray[np.float64]]:
        boxes = np.nan_to_num(np.asarray(result.xyxy, np.float64))
        names = result.data.get("class_name")
        for i in range(len(boxes)):
            if self._classes is None or names is None or str(names[i]) in self._classes:
                yield boxes[i]

    def _hide_pixels(self, image: Image, result: ClassMap) -> None:
        """Hide each connected region of the classes, enlarged by a margin."""
        wanted = np.zeros(256, np.uint8)
        for number, label in enumerate(result.labels[:256]):
            wanted[number] = self._classes is None or label in self._classes
        mask = np.asarray(cv2.LUT(result.class_map, wanted), np.uint8)
        if not mask.any():
            return
        reach = max(_LEAST_PX, round(_MARGIN / 4 * min(mask.shape)))
        mask = np.asarray(cv2.dilate(mask, np.ones((2 * reach + 1,) * 2, np.uint8)), np.uint8)
        count, parts, stats, _ = cv2.connectedComponentsWithStats(mask)
        hidden: list[tuple[Rect, Image]] = []
        for part in range(1, count):
            x, y, w, h = stats[part, :4].tolist()
            rect = (x, y, x + w, y + h)
            hidden.append((rect, self._hidden(image[y : y + h, x : x + w])))
        for part, ((x1, y1, x2, y2), blurred) in enumerate(hidden, 1):
            here = (parts[y1:y2, x1:x2] == part).astype(np.uint8)
            cv2.copyTo(blurred, here, image[y1:y2, x1:x2])

    def _hidden(self, seen: Image) -> Image:
        """The hidden version of a part of a picture: uint8, H×W×3."""
        height, width = seen.shape[:2]
        scale = _FIELDS / min(height, width)
        fields = [max(1, min(_MOST_FIELDS, round(scale * side))) for side in (width, height)]
        columns, rows = min(fields[0], width), min(fields[1], height)
        few = cv2.resize(seen, (columns, rows), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(few, (width, height), interpolation=self._grow), np.uint8)
