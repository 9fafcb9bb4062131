"""A task around a net of somebody else's, whose outputs are decoded outside of the graph."""

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
    """Both halves of a task, with a decoder between the net and the second.

    Args:
        task: One of livevision's own: it places images and results.
        decoder: Brings the net's outputs into the form of those of livevision's graphs.
    """

    def __init__(self, task: Task, decoder: Decoder) -> None:
        self.name = task.name
        self._task = task
        self._decoder = decoder
        self._conf = float(getattr(task, "conf", 0.0))
        self._iou = float(getattr(task, "iou", 0.5))
        self._labels = len(getattr(task, "labels", ()))

    def prepare(self, image: Image) -> tuple[Batch, Placement]:
        """Lay an image, uint8 H×W×3 BGR, into the net's input."""
        batch, placement = self._task.prepare(image)
        return {"image": batch["image"]}, placement

    def decode(self, outputs: Mapping[str, Any], placement: Placement) -> Result:
        """The result in the image's own pixels.

        Raises:
            ModelError: A class is found that has no name.
        """
        found = self._decoder(outputs, placement.input_size, self._conf, self._iou)
        classes = found.get("classes", found.get("class_map"))
        if classes is not None and np.size(classes):
            # 255 is what class maps say where there is no class; it is drawn as a class is.
            highest = int(np.max(classes))
            if highest >= self._labels or int(np.min(classes)) < 0:
                raise ModelError(no_such_class(highest, self._labels))
        return self._task.decode(found, placement)
