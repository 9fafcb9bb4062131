"""Classification: what a whole image shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from livevision.frame import Batch, Image, Placement
from livevision.protocols import Fit
from livevision.results import Label


class ClassifyTask:
    """Both halves of classification around a net that gives the most likely classes.

    Args:
        labels: Class names.
        fit: Lays images into the net's input.
    """

    name = "classify"

    def __init__(self, labels: Sequence[str], fit: Fit) -> None:
        self.labels = labels
        self.fit = fit

    def prepare(self, image: Image) -> tuple[Batch, Placement]:
        """Lay an image, uint8 H×W×3 BGR, into the net's input."""
        array, placement = self.fit.place(image)
        return {"image": array}, placement

    def decode(self, outputs: Mapping[str, Any], placement: Placement) -> Label:
        """The most likely classes of the image, five of them where there are as many."""
        del placement  # a label belongs to the image as a whole
        classes = np.asarray(outputs["classes"][0], np.int64)
        return Label(classes, np.asarray(outputs["probabilities"][0], np.float32), self.labels)
