"""Average precision of detections, computed by faster-coco-eval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from livevision.errors import ModelError, missing_package


class Objects(Protocol):
    """The true objects of one picture.

    `boxes` N x 4, x1 y1 x2 y2 in pixels; `classes` N; `difficult` bool N. An optional `crowd`,
    bool N, marks regions with any number of objects.
    """

    @property
    def boxes(self) -> npt.NDArray[np.float32]: ...
    @property
    def classes(self) -> npt.NDArray[np.int64]: ...
    @property
    def difficult(self) -> npt.NDArray[np.bool_]: ...


@dataclass(frozen=True)
class Found:
    """Detections in one picture; `boxes` K x 4 in the picture's own pixels."""

    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]


@dataclass(frozen=True)
class BoxScores:
    """Average precision by class; NaN for a class that never occurs.

    Attributes:
        ap50: at an IoU of 0.5.
        ap: averaged over IoUs from 0.5 to 0.95.
        precision: C x 101, at an IoU of 0.5 and recalls 0, 0.01 .. 1: the curve whose area is
            `ap50`.
    """

    ap50: npt.NDArray[np.float64]
    ap: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]


def average_precision(
    truth: Sequence[Objects], found: Sequence[Found], class_names: Sequence[str]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """`ap50` and `ap` of `score_boxes`."""
    scores = score_boxes(truth, found, class_names)
    return scores.ap50, scores.ap


def score_boxes(
    truth: Sequence[Objects], found: Sequence[Found], class_names: Sequence[str]
) -> BoxScores:
    """Average precision of each class, and its curve.

    COCO's rules: 101 points of recall, at most 100 boxes per picture and class. Difficult objects
    and crowds count neither as misses nor their detections as false positives.

    Raises:
        ModelError: faster-coco-eval is not installed.
        ValueError: the two lists differ in length.
    """
    check_installed()
    from faster_coco_eval import COCO, COCOeval_faster

    rows = [
        {
            "image_id": image_id,
            "category_id": int(label),
            "bbox": [float(x1), float(y1), float(x2 - x1), float(y2 - y1)],
            "score": float(score),
        }
        for image_id, (_, f) in enumerate(zip(truth, found, strict=True))
        for (x1, y1, x2, y2), score, label in zip(f.boxes, f.scores, f.classes, strict=True)
    ]
    if not rows:
        curves = np.where(_asked_for(truth, len(class_names))[:, None], np.zeros(101), np.nan)
        return BoxScores(curves[:, 0], curves[:, 0], curves)
    annotations = [a for i, objects in enumerate(truth) for a in _annotations(i, objects)]
    coco = COCO(
        {
            "images": [{"id": i} for i in range(len(truth))],
            "categories": [{"id": i, "name": name} for i, name in enumerate(class_names)],
            "annotations": [{"id": i, **a} for i, a in enumerate(annotations, 1)],
        }
    )
    evaluation = COCOeval_faster(coco, coco.loadRes(rows), "bbox", print_function=_say_nothing)
    evaluation.run()
    # IoU x recall x class x area range x maximum boxes; -1 if a class does not occur.
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    precision = np.where(precision < 0, np.nan, precision)
    return BoxScores(precision[0].mean(0), precision.mean((0, 1)), precision[0].T)


def check_installed() -> None:
    """Check that average precision can be computed here.

    Raises:
        ModelError: faster-coco-eval is not installed.
    """
    if find_spec("faster_coco_eval") is None:
        raise ModelError(missing_package("faster-coco-eval", "average precision", "train"))


def crowds_of(objects: Objects) -> npt.NDArray[np.bool_]:
    """Which of the objects are crowds; none if unspecified."""
    given = getattr(objects, "crowd", None)
    return np.zeros(len(objects.boxes), np.bool_) if given is None else np.asarray(given, np.bool_)


def _annotations(image_id: int, objects: Objects) -> list[dict[str, Any]]:
    """One picture's objects in COCO's format."""
    annotations = []
    for box, label, difficult, crowd in zip(
        objects.boxes, objects.classes, objects.difficult, crowds_of(objects), strict=True
    ):
        x1, y1, x2, y2 = (float(v) for v in box)
        # COCO has no "difficult" flag; an area outside every range has the same effect, whereas
        # marking it a crowd would let any box inside it match.
        area = -1.0 if difficult else (x2 - x1) * (y2 - y1)
        annotations.append(
            {
                "image_id": image_id,
                "category_id": int(label),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": area,
                "iscrowd": int(crowd),
            }
        )
    return annotations


def _asked_for(truth: Sequence[Objects], num_classes: int) -> npt.NDArray[np.bool_]:
    """Which classes have an object that counts."""
    asked = np.zeros(num_classes, np.bool_)
    for objects in truth:
        asked[objects.classes[~objects.difficult & ~crowds_of(objects)]] = True
    return asked


def _say_nothing(*_: object) -> None:
    """Replaces print."""
