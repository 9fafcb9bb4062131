"""Boxes with class and confidence on a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from livevision.frame import Image
from livevision.overlay.palette import spread
from livevision.overlay.text import TextSize, tag

if TYPE_CHECKING:
    import supervision as sv


class BoxOverlay:
    """Draws ``sv.Detections``: a box a detection, coloured by class, labelled on its top edge.

    Lines and letters grow with the picture, so that both 360 lines and 4K read well. Drawn with
    OpenCV directly: one pass over a picture that is already ours costs less than a chain of
    annotators, each with its own copy.

    Args:
        confidence: Write the confidence after the class.
    """

    def __init__(self, *, confidence: bool = True) -> None:
        self._confidence = confidence

    def draw(self, image: Image, result: sv.Detections) -> Image:
        """Draw on ``image`` (uint8, H×W×3, BGR) in place and give it back.

        Args:
            image: The picture.
            result: Boxes in the picture's pixels; what lies outside the picture is cut off.
        """
        height, width = image.shape[:2]
        size = TextSize.for_picture(image, factor=0.7)
        line = max(1, round(min(height, width) / 240))
        texts = [self._text(result, i) for i in range(len(result))]
        # Least sure first, so that the surest box and label lie on top.
        surest = np.zeros(len(result)) if result.confidence is None else result.confidence
        for i in np.argsort(surest, kind="stable"):
            colour = spread(0 if result.class_id is None else int(result.class_id[i]))
            # Far outside, OpenCV's fixed-point coordinates would wrap round.
            x1, x2 = (round(float(v)) for v in result.xyxy[i, 0::2].clip(-line, width + line))
            y1, y2 = (round(float(v)) for v in result.xyxy[i, 1::2].clip(-line, height + line))
            cv2.rectangle(image, (x1, y1), (x2, y2), colour, line)
            if texts[i]:
                above = y1 - size.extent(texts[i])[1]
                tag(image, texts[i], x1, above if above >= 0 else y1, size, colour)
        return image

    def _text(self, result: sv.Detections, i: int) -> str:
        """What is written on a box: class, number of its track, confidence, as far as known."""
        words = []
        names = result.data.get("class_name")
        if names is not None:
            words.append(str(names[i]))
        elif result.class_id is not None:
            words.append(str(int(result.class_id[i])))
        if result.tracker_id is not None:
            words.append(f"#{int(result.tracker_id[i])}")
        if self._confidence and result.confidence is not None:
            words.append(f"{float(result.confidence[i]):.2f}")
        return " ".join(words)
