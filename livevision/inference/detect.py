"""Detection: boxes of objects, with their classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from livevision.datasets.aliases import among
from livevision.errors import ModelError, UsageError, unknown
from livevision.frame import Batch, Image, Placement
from livevision.inference.across_classes import one_class_each
from livevision.inference.supervision_import import import_supervision
from livevision.protocols import Fit

if TYPE_CHECKING:
    import supervision as sv


class DetectTask:
    """Pre- and post-processing of a net that gives boxes, scores and classes.

    Args:
        labels: Class names.
        fit: Resizes images to the net's input, and maps boxes back.
        conf: Minimum score of a box, 0..1.
        iou: IoU above which the weaker of two boxes of a class is dropped, 0..1.
        max_det: Maximum boxes per image, strongest first.
        classes: Names or numbers of the classes to keep; None keeps all.
        class_agnostic: Keep only the strongest of boxes of different classes on one object, among
            the classes kept (``across_classes``).

    Raises:
        UsageError: A value is out of range, or a class is unknown.
    """

    name = "detect"

    def __init__(
        self,
        labels: Sequence[str],
        fit: Fit,
        conf: float = 0.25,
        iou: float = 0.5,
        max_det: int = 100,
        classes: Sequence[str | int] | None = None,
        class_agnostic: bool = True,
    ) -> None:
        for setting, value in (("conf", conf), ("iou", iou)):
            if not 0 <= value <= 1:
                raise UsageError(f"{setting} is {value}; it takes a number from 0 to 1")
        if max_det < 1:
            raise UsageError(f"max_det is {max_det}; it takes a whole number of 1 or more")
        self.labels = labels
        self.fit = fit
        self.conf = conf
        self.iou = iou
        self.max_det = max_det
        self.classes = None if classes is None else class_ids(classes, labels)
        self.class_agnostic = class_agnostic
        self._names = np.array(labels)
        self._threshold = np.array([iou], np.float32)

    def prepare(self, image: Image) -> tuple[Batch, Placement]:
        """Resize an image, uint8 H×W×3 BGR, into the net's input."""
        array, placement = self.fit.place(image)
        return {"image": array, "iou_threshold": self._threshold}, placement

    def decode(self, outputs: Mapping[str, Any], placement: Placement) -> sv.Detections:
        """Boxes in the image's own pixels, clipped to it, strongest first."""
        from supervision import Detections

        scores, classes = outputs["scores"][0], outputs["classes"][0]
        # Empty rows have the score -1, which only a conf of zero would admit.
        kept = (scores >= self.conf) & (scores >= 0)
        if self.classes is not None:
            kept &= np.isin(classes, self.classes)
        boxes = self.fit.boxes(outputs["boxes"][0], placement)
        # Boxes in the padding of a letterbox have no area once clipped to the image.
        kept &= (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        rows = np.flatnonzero(kept)
        rows = rows[np.argsort(-scores[rows], kind="stable")]
        if self.class_agnostic:
            rows = rows[one_class_each(boxes[rows], classes[rows])]
        rows = rows[: self.max_det]
        ids = classes[rows].astype(np.int64)
        if len(ids) and not 0 <= ids.min() <= ids.max() < len(self._names):
            raise ModelError(no_such_class(int(ids.max()), len(self._names)))
        return Detections(
            xyxy=boxes[rows],
            confidence=scores[rows],
            class_id=ids,
            data={"class_name": self._names[ids]},
        )


def no_such_class(number: int, labels: int) -> str:
    """The message for a class number without a name."""
    return (
        f"the model found class {number} and has {labels} labels; give those that it was trained "
        "with: --labels coco80, coco91, voc20 or FILE"
    )


def class_ids(classes: Sequence[str | int], labels: Sequence[str]) -> list[int]:
    """Numbers of classes given by name or by number (also as text, "2").

    For classes that Pascal VOC and COCO name differently, either name works.

    Raises:
        UsageError: A name is unknown, or a number is too high.
    """
    ids = []
    for given in classes:
        name = str(given).strip()
        known = among(name, labels)
        if known is not None:
            ids.append(list(labels).index(known))
        elif name.isdigit() and int(name) < len(labels):
            ids.append(int(name))
        elif name.isdigit():
            raise UsageError(f"unknown class {name}; this model numbers them 0..{len(labels) - 1}")
        else:
            raise UsageError(unknown("class", name, labels))
    return ids


def own_classes(classes: Sequence[str | int], labels: Sequence[str]) -> list[str | int]:
    """The classes, by name or number, that are among the labels."""
    own = []
    for given in classes:
        with suppress(UsageError):
            class_ids([given], labels)
            own.append(given)
    return own


def warm() -> None:
    """Import supervision before the first ``decode``; half a second, while engines open."""
    import_supervision()
