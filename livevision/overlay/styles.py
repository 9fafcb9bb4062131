"""Drawing styles of detections: corners, filled, dots, traces and heat maps, by supervision.

Colours are those of the boxes. State across pictures (paths of tracks, heat) is kept in the
``Memory`` of the source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from livevision.errors import UsageError, unknown
from livevision.frame import Image
from livevision.overlay.boxes import BoxOverlay, line_width
from livevision.overlay.hiding import HidingOverlay
from livevision.overlay.palette import box_palette, bright
from livevision.overlay.room import Memory, Room
from livevision.protocols import Overlay
from livevision.registry import STYLES

if TYPE_CHECKING:
    import supervision as sv

_TRACE = 60  # frames of a track's path


def styled(style: str, labels: Sequence[str] = ()) -> Overlay:
    """Create the overlay that draws ``sv.Detections`` in a style.

    Args:
        style: One of ``registry.STYLES``.
        labels: Names of all classes, which decide the colours.

    Raises:
        UsageError: The style is unknown.
    """
    if style not in STYLES:
        raise UsageError(unknown("style", style, STYLES))
    if style == "box":
        return BoxOverlay(labels)
    if style == "corner":
        return BoxOverlay(labels, edges="corners")
    if style in ("blur", "pixelate"):
        return HidingOverlay(fields=style == "pixelate")
    return StyleOverlay(style, labels)


class StyleOverlay:
    """Draws ``sv.Detections`` in one of supervision's styles.

    Args:
        style: "mask" (the object's pixels if the model gives them, else its box, filled),
            "heatmap", "trace" (boxes, and the paths of their tracks), "dot" or "none".
        labels: Names of all classes, which decide the colours.
    """

    def __init__(self, style: str, labels: Sequence[str] = ()) -> None:
        self._style = style
        self._colours = box_palette(labels) if labels else bright()
        self._boxes = BoxOverlay(labels) if style == "trace" else None

    def plan(self, result: sv.Detections, room: Room) -> Callable[[Image], None]:
        """Register the boxes in the room; returns a function that draws them."""
        boxes = None if self._boxes is None else self._boxes.plan(result, room)
        if self._boxes is None and self._style != "none" and len(result):
            limits = np.array((room.width, room.height) * 2, np.float32)
            room.objects = np.asarray(result.xyxy, np.float32).clip(0, limits)

        def draw(image: Image) -> None:
            if self._style != "none":
                self._annotator(image, result, room.memory)(image, result)
            if boxes is not None:
                boxes(image)

        return draw

    def draw(self, image: Image, result: sv.Detections, room: Room | None = None) -> Image:
        """Draw on ``image`` (uint8, H×W×3, BGR) in place and return it."""
        room = Room(image) if room is None else room
        room.draw(image, [self.plan(result, room)])
        return image

    def _annotator(self, image: Image, result: sv.Detections, memory: Memory) -> Any:
        """supervision's annotator; the source's own one if the style has state."""
        import supervision as sv

        palette = sv.ColorPalette([sv.Color(r, g, b) for b, g, r in self._colours.tolist()])
        lookup: dict[str, Any] = {"color": palette}
        if result.class_id is None:
            lookup["color_lookup"] = sv.ColorLookup.INDEX
        line = line_width(image)
        annotator: Any
        if self._style == "dot":
            annotator = sv.DotAnnotator(
                radius=2 * line + 1,
                outline_thickness=max(1, line // 2),
                position=sv.Position.CENTER,
                **lookup,
            )
        elif self._style == "mask":
            kind = sv.ColorAnnotator if result.mask is None else sv.MaskAnnotator
            annotator = kind(opacity=0.5, **lookup)
        elif self._style == "heatmap":
            annotator = memory.kept.get("heatmap")
            if annotator is None:
                radius = max(4, min(image.shape[:2]) // 18)
                annotator = memory.kept["heatmap"] = sv.HeatMapAnnotator(
                    opacity=0.4, radius=radius, kernel_size=radius | 1
                )
        else:
            annotator = memory.kept.get("trace")
            if annotator is None:
                annotator = memory.kept["trace"] = sv.TraceAnnotator(
                    position=sv.Position.BOTTOM_CENTER,
                    trace_length=_TRACE,
                    thickness=line,
                    **lookup,
                )
            if result.tracker_id is None:
                return lambda image, result: image
        return annotator.annotate
