"""A class map laid over a picture in colours."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from livevision.errors import UsageError
from livevision.frame import Image
from livevision.overlay.palette import is_clear, palette
from livevision.overlay.text import TextSize, tag
from livevision.results import ClassMap


class ClassMapOverlay:
    """Blends the colour of each pixel's class into the picture.

    Classes that stand for nothing, such as "background", and ids without a label leave the picture
    as it is.

    Args:
        alpha: Share of the class colour, 0 (picture only) .. 1 (colours only).
        palette: See ``palette.palette``.
        legend: Name the classes seen, each on its colour, in the bottom left corner.

    Raises:
        UsageError: ``alpha`` is outside 0..1, or there is no such palette.
    """

    def __init__(self, alpha: float = 0.5, *, palette: str = "auto", legend: bool = True) -> None:
        if not 0 <= alpha <= 1:
            raise UsageError(f"alpha is {alpha}; it must lie between 0 and 1")
        self._alpha = alpha
        self._palette = palette
        self._legend = legend
        self._colours = np.zeros((256, 1, 3), np.uint8)
        self._opaque = np.zeros(256, np.uint8)
        self._labels: Sequence[str] = ()
        self._all_opaque = True
        self._paint: Image = np.empty((0, 0, 3), np.uint8)
        self._take_labels(())

    def draw(self, image: Image, result: ClassMap) -> Image:
        """Blend into ``image`` (uint8, H×W×3, BGR) in place and give it back.

        Raises:
            ValueError: The class map has another size than the picture.
        """
        class_map = result.class_map
        if class_map.shape != image.shape[:2]:
            raise ValueError(f"class map {class_map.shape} for a picture {image.shape[:2]}")
        if result.labels is not self._labels:
            self._take_labels(result.labels)
        # Each step is one pass in fixed point with OpenCV's vector code, several times quicker than
        # indexing in numpy; the buffer is kept, since fresh memory costs more than the arithmetic.
        if self._paint.shape != image.shape:
            self._paint = np.empty_like(image)
        if self._all_opaque and int(class_map.max(initial=0)) < len(result.labels):
            cv2.applyColorMap(class_map, self._colours, self._paint)
            cv2.addWeighted(image, 1 - self._alpha, self._paint, self._alpha, 0, dst=image)
        else:
            self._blend_what_is_opaque(image, class_map)
        if self._legend:
            self._draw_legend(image, class_map)
        return image

    def _blend_what_is_opaque(self, image: Image, class_map: NDArray[np.uint8]) -> None:
        """Blend where a class stands for something, which often is a small part of the picture."""
        mask = cv2.LUT(class_map, self._opaque)
        x, y, width, height = cv2.boundingRect(mask)
        if not width:
            return
        part = np.s_[y : y + height, x : x + width]
        shown, paint = image[part], self._paint[part]
        cv2.applyColorMap(class_map[part], self._colours, paint)
        cv2.addWeighted(shown, 1 - self._alpha, paint, self._alpha, 0, dst=paint)
        cv2.copyTo(paint, mask[part], shown)

    def _take_labels(self, labels: Sequence[str]) -> None:
        """Make the look-up tables for a list of class names."""
        self._labels = labels
        self._colours[:] = 0
        self._colours[: len(labels), 0] = palette(labels, self._palette)
        self._opaque[:] = 0
        self._opaque[: len(labels)] = [0 if is_clear(label) else 255 for label in labels]
        self._all_opaque = bool(self._opaque[: len(labels)].all())

    def _draw_legend(self, image: Image, class_map: NDArray[np.uint8]) -> None:
        """Name the classes that cover most, upwards from the bottom left, up to half the height."""
        if min(image.shape[:2]) < 240:
            return
        # Every eighth pixel each way is enough to know what is there.
        counts = np.bincount(class_map[::8, ::8].reshape(-1), minlength=256)
        counts[self._opaque == 0] = 0
        size = TextSize.for_picture(image, factor=0.55)
        high = size.extent("Ag")[1]
        room = image.shape[0] // 2 // high
        largest = np.argsort(-counts, kind="stable")[:room]
        bottom = image.shape[0] - size.pad
        for class_id in sorted(largest[counts[largest] > 0.005 * class_map[::8, ::8].size]):
            blue, green, red = (int(v) for v in self._colours[class_id, 0])
            tag(image, self._labels[class_id], size.pad, bottom - high, size, (blue, green, red))
            bottom -= high
