"""A task for third-party graphs whose outputs are decoded outside the graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from livevision.errors import ModelError
from livevision.frame import Batch, Image, Placement
from livevision.inference.detect import no_such_class
from livevision.protocols import Decoder, Task
from livevision.results import Result


class DecodedTask:
    """One of livevision's tasks with a decoder between the net and ``decode``.

    Args:
        task: Prepares images and places results.
        decoder: Converts the net's outputs into those of livevision's graphs.
    """

    def __init__(self, task: Task, decoder: Decoder) -> None:
        self.name = task.name
        self._task = task
        self._decoder = decoder
        self._conf = float(getattr(task, "conf", 0.0))
        self._iou = float(getattr(task, "iou", 0.5))
        self._labels = len(getattr(task, "labels", ()))

    def prepare(self, image: Image) -> tuple[Batch, Placement]:
        """Fit an image, uint8 H×W×3 BGR, into the net's input."""
        batch, placement = self._task.prepare(image)
        return {"image": batch["image"]}, placement

    def decode(self, outputs: Mapping[str, Any], placement: Placement) -> Result:
        """The result in the image's own pixels.

        Raises:
            ModelError: A class has no name.
        """
        found = self._decoder(outputs, placement.input_size, self._conf, self._iou)
        classes = found.get("classes", found.get("class_map"))
        if classes is not None and np.size(classes):
            # 255 is a class map's value for no class; it would be drawn like a class.
            highest = int(np.max(classes))
            if highest >= self._labels or int(np.min(classes)) < 0:
                raise ModelError(no_such_class(highest, self._labels))
        return self._task.decode(found, placement)
