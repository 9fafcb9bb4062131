"""Classification: the class of a whole image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from livevision.frame import Batch, Image, Placement
from livevision.protocols import Fit
from livevision.results import Label


class ClassifyTask:
    """Pre- and post-processing of a net that gives the most likely classes.

    Args:
        labels: Class names.
        fit: Resizes images to the net's input.
    """

    name = "classify"

    def __init__(self, labels: Sequence[str], fit: Fit) -> None:
        self.labels = labels
        self.fit = fit

    def prepare(self, image: Image) -> tuple[Batch, Placement]:
        """Resize an image, uint8 H×W×3 BGR, into the net's input."""
        array, placement = self.fit.place(image)
        return {"image": array}, placement

    def decode(self, outputs: Mapping[str, Any], placement: Placement) -> Label:
        """The most likely classes of the image, at most five."""
        del placement  # a label applies to the whole image
        classes = np.asarray(outputs["classes"][0], np.int64)
        return Label(classes, np.asarray(outputs["probabilities"][0], np.float32), self.labels)
