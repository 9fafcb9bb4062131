"""Semantic segmentation: the class of every pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from livevision.frame import Batch, Image, Placement
from livevision.protocols import Fit
from livevision.results import ClassMap


class SegmentTask:
    """Pre- and post-processing of a net that gives a class map of its input.

    Args:
        labels: Class names.
        fit: Resizes images to the net's input, and maps class maps back.
    """

    name = "segment"

    def __init__(self, labels: Sequence[str], fit: Fit) -> None:
        self.labels = labels
        self.fit = fit

    def prepare(self, image: Image) -> tuple[Batch, Placement]:
        """Resize an image, uint8 H×W×3 BGR, into the net's input."""
        array, placement = self.fit.place(image)
        return {"image": array}, placement

    def decode(self, outputs: Mapping[str, Any], placement: Placement) -> ClassMap:
        """The class of every pixel of the image, at the image's own size."""
        return ClassMap(self.fit.class_map(outputs["class_map"][0], placement), self.labels)
