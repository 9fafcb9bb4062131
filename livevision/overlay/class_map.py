"""Blends a class map over a picture in colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from livevision.errors import UsageError
from livevision.frame import Image
from livevision.overlay.legend import plan_legend
from livevision.overlay.palette import Colour, is_clear, palette
from livevision.overlay.room import Room
from livevision.results import ClassMap

_LINE: Colour = (255, 255, 255)
_LINE_ID = 255  # id of lines; class ids are below it
_COARSE = 80  # rows or columns of the coarse map, whichever are fewer


class ClassMapOverlay:
    """Blends the colour of each pixel's class into the picture, with lines between classes.

    Classes without objects, such as "background", and ids without a label leave the picture
    unchanged.

    Args:
        alpha: Opacity of the class colour, 0 (picture only) .. 1 (colours only).
        palette: See ``palette.palette``.
        legend: Name the visible classes beside their colours, in the bottom left corner or where
            less is hidden; not for an ``alpha`` of 0.
        lines: Draw the lines.

    Raises:
        UsageError: ``alpha`` is outside 0..1, or the palette is unknown.
    """

    def __init__(
        self,
        alpha: float = 0.5,
        *,
        palette: str = "auto",
        legend: bool = True,
        lines: bool = True,
    ) -> None:
        if not 0 <= alpha <= 1:
            raise UsageError(f"alpha is {alpha}; it must lie between 0 and 1")
        self._alpha = alpha
        self._palette = palette
        self._legend = legend and alpha > 0
        self._lines = lines
        self._colours = np.zeros((256, 1, 3), np.uint8)
        self._opaque = np.zeros(256, np.uint8)
        self._labels: Sequence[str] = ()
        self._all_opaque = True
        self._paint: Image = np.empty((0, 0, 3), np.uint8)
        self._ids: NDArray[np.uint8] = np.empty((0, 0), np.uint8)
        self._take_labels(())

    def plan(self, result: ClassMap, room: Room) -> Callable[[Image], None]:
        """Register the classes in the room and place the legend; returns a function that draws.

        Raises:
            ValueError: The class map and the picture differ in size.
        """
        class_map = result.class_map
        if class_map.shape != (room.height, room.width):
            size = (room.height, room.width)
            raise ValueError(f"class map {class_map.shape} for a picture {size}")
        if result.labels is not self._labels:
            self._take_labels(result.labels)
        step = max(1, min(class_map.shape) // _COARSE)
        coarse = np.ascontiguousarray(class_map[::step, ::step])
        opaque = self._opaque[coarse]
        room.busy = _edges(coarse) if opaque.all() else opaque // 255
        if self._legend:
            counts = np.bincount(coarse.reshape(-1), minlength=256)
            shares = np.where(self._opaque, counts / max(1, coarse.size), 0)
            plan_legend(room, shares, self._labels, self._colours[:, 0])
        return lambda image: self._blend(image, class_map)

    def draw(self, image: Image, result: ClassMap, room: Room | None = None) -> Image:
        """Blend into ``image`` (uint8, H×W×3, BGR) in place and return it.

        Raises:
            ValueError: The class map and the picture differ in size.
        """
        room = Room(image) if room is None else room
        room.draw(image, [self.plan(result, room)])
        return image

    def _blend(self, image: Image, class_map: NDArray[np.uint8]) -> None:
        """Blend the whole picture in passes of OpenCV's fixed-point vector code.

        That is several times faster than numpy indexing; buffers are reused, since allocating them
        costs more than the arithmetic.
        """
        if self._paint.shape != image.shape:
            self._paint = np.empty_like(image)
            self._ids = np.empty_like(class_map)
        if self._all_opaque and int(class_map.max(initial=0)) < len(self._labels):
            cv2.applyColorMap(self._with_lines(class_map, self._ids), self._colours, self._paint)
            cv2.addWeighted(image, 1 - self._alpha, self._paint, self._alpha, 0, dst=image)
        else:
            self._blend_what_is_opaque(image, class_map)

    def _blend_what_is_opaque(self, image: Image, class_map: NDArray[np.uint8]) -> None:
        """Blend only where classes are opaque, which often is a small part of the picture."""
        mask = cv2.LUT(class_map, self._opaque)
        x, y, width, height = cv2.boundingRect(mask)
        if not width:
            return
        # Include a margin of transparent pixels, for lines along them.
        more = self._line_width
        rows = slice(max(0, y - more), y + height + more)
        part = rows, slice(max(0, x - more), x + width + more)
        shown, paint, mask = image[part], self._paint[part], mask[part]
        # All transparent ids count as one class.
        ids = np.asarray(cv2.bitwise_and(class_map[part], mask), np.uint8)
        ids = self._with_lines(ids, self._ids[part])
        cv2.applyColorMap(ids, self._colours, paint)
        cv2.addWeighted(shown, 1 - self._alpha, paint, self._alpha, 0, dst=paint)
        cv2.copyTo(paint, mask, shown)

    def _with_lines(self, ids: NDArray[np.uint8], out: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The ids, with ``_LINE_ID`` where a class borders on one with a lower number."""
        if not self._lines or len(self._labels) > _LINE_ID:
            return ids
        across = 2 * self._line_width + 1
        cv2.erode(ids, np.ones((across, across), np.uint8), dst=out)
        cv2.max(ids, cv2.compare(out, ids, cv2.CMP_NE), dst=out)
        return out

    @property
    def _line_width(self) -> int:
        """In pixels, by the size of the picture."""
        shorter: int = min(self._ids.shape)
        return max(1, round(shorter / 270))

    def _take_labels(self, labels: Sequence[str]) -> None:
        """Build the look-up tables for a list of class names."""
        self._labels = labels
        self._colours[:] = _LINE
        self._colours[: len(labels), 0] = palette(labels, self._palette)
        self._opaque[:] = 0
        self._opaque[: len(labels)] = [0 if is_clear(label) else 255 for label in labels]
        self._all_opaque = bool(self._opaque[: len(labels)].all())


def _edges(class_map: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """1 where a pixel's class differs from the one below or to the right, else 0."""
    edges = np.zeros(class_map.shape, np.uint8)
    edges[:-1] |= class_map[:-1] != class_map[1:]
    edges[:, :-1] |= class_map[:, :-1] != class_map[:, 1:]
    return edges
