"""Agreement of a lower-precision engine with fp32, whose results on real frames are the reference.

=========  ==============================================================================
task       figure, 0..1
=========  ==============================================================================
detect     AP50: fp32's boxes with a score of at least ``CONF`` are the ground truth. The
           mean over the classes is weighted by their boxes, so that a rare class does
           not count as much as a common one. Also reported: the mean IoU of matching
           boxes.
segment    mIoU over all pixels of all frames, of the classes that fp32 finds
classify   top-1: share of frames whose most likely class is the same
=========  ==============================================================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from livevision.errors import ModelError
from livevision.frame import Batch
from livevision.protocols import Engine
from livevision.scoring.average_precision import Found, average_precision
from livevision.scoring.confusion import ConfusionMatrix, mean_of_known
from livevision.scoring.matching import box_iou

CONF = 0.25
"""Minimum score of a box; boxes below it are not shown at the default ``--conf``."""


class NothingToCompare(ModelError):
    """fp32 gives the same trivial result for all frames, so agreement says nothing."""


_WEAKEST = 0.01
_MATCH = 0.5

Outputs = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement with fp32, and the data it was measured on.

    Attributes:
        figure: "AP50", "mIoU" or "top-1".
        value: 0..1.
        frames: Number of frames compared.
        source: Where the frames come from.
        box_iou: Mean IoU of the matching boxes; None for other tasks than detection.
    """

    figure: str
    value: float
    frames: int
    source: str = ""
    box_iou: float | None = None

    def __str__(self) -> str:
        boxes = "" if self.box_iou is None else f", mean box IoU {self.box_iou:.3f}"
        source = f" of {self.source}" if self.source else ""
        return (
            f"{self.figure} {self.value:.3f}{boxes} against fp32 over {self.frames} frames{source}"
        )

    def to_json(self) -> str:
        """The form in which it is stored with a file."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Agreement:
        """Parse the result of ``to_json``.

        Raises:
            ValueError: Not such a text.
        """
        try:
            return cls(**json.loads(text))
        except TypeError as error:
            raise ValueError(f"no figure of agreement: {text!r}") from error


def agreement(
    task: str,
    labels: Sequence[str],
    reference: Engine,
    lowered: Engine,
    batches: Sequence[Batch],
    source: str = "",
) -> Agreement:
    """Run both engines on the same batches of one frame and compare the results.

    Args:
        task: "detect", "segment" or "classify".
        labels: Class names.
        reference: The fp32 engine.
        lowered: The engine in another precision.
        batches: Inputs of both.
        source: Where the frames come from.

    Raises:
        NothingToCompare: fp32 finds no box in the frames, or only one class.
        ModelError: The package for average precision is not installed.
    """
    wanted = [reference(batch) for batch in batches]
    found = [lowered(batch) for batch in batches]
    if task == "detect":
        return _boxes(labels, wanted, found, source)
    if task == "segment":
        return Agreement("mIoU", _maps(labels, wanted, found, source), len(batches), source)
    likeliest = {int(outputs["classes"][0, 0]) for outputs in wanted}
    _check_variety(labels, likeliest, len(batches), source)
    first = [a["classes"][0, 0] == b["classes"][0, 0] for a, b in zip(wanted, found, strict=True)]
    return Agreement("top-1", float(np.mean(first)), len(batches), source)


@dataclass(frozen=True, slots=True)
class _Boxes:
    """fp32's boxes in one frame, in the form that scoring takes."""

    boxes: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]
    difficult: npt.NDArray[np.bool_]


def _boxes(
    labels: Sequence[str], wanted: Sequence[Outputs], found: Sequence[Outputs], source: str
) -> Agreement:
    truth = []
    for outputs in wanted:
        kept = outputs["scores"][0] >= CONF
        classes = outputs["classes"][0][kept].astype(np.int64)
        truth.append(_Boxes(outputs["boxes"][0][kept], classes, np.zeros(len(classes), np.bool_)))
    counts = np.bincount(np.concatenate([t.classes for t in truth]), minlength=len(labels))
    if not counts.sum():
        raise NothingToCompare(
            f"fp32 finds no box with a score of {CONF:g} or more in the {len(truth)} frames of "
            f"{source or 'the calibration'}, so that nothing can be compared; give frames that "
            "show objects of the model's classes"
        )
    answers = []
    for outputs in found:
        kept = outputs["scores"][0] >= _WEAKEST
        answers.append(
            Found(
                outputs["boxes"][0][kept],
                outputs["scores"][0][kept],
                outputs["classes"][0][kept].astype(np.int64),
            )
        )
    ap50, _ = average_precision(truth, answers, labels)
    value = float(np.nansum(ap50 * counts) / counts.sum())
    return Agreement("AP50", value, len(truth), source, _mean_iou_of_matches(truth, answers))


def _mean_iou_of_matches(truth: Sequence[_Boxes], answers: Sequence[Found]) -> float:
    """Mean IoU of each fp32 box with its best match; 0 without matches."""
    best = []
    for boxes, answer in zip(truth, answers, strict=True):
        if len(boxes.boxes) and len(answer.boxes):
            same = boxes.classes[:, None] == answer.classes[None]
            best.extend((box_iou(boxes.boxes, answer.boxes) * same).max(1))
    matched = [overlap for overlap in best if overlap >= _MATCH]
    return float(np.mean(matched)) if matched else 0.0


def _maps(
    labels: Sequence[str], wanted: Sequence[Outputs], found: Sequence[Outputs], source: str
) -> float:
    matrix = ConfusionMatrix(len(labels))
    for theirs, ours in zip(wanted, found, strict=True):
        matrix.add(ours["class_map"], theirs["class_map"])
    seen = matrix.counts.sum(1) > 0
    _check_variety(labels, set(np.flatnonzero(seen).tolist()), len(wanted), source)
    return mean_of_known(np.where(seen, matrix.iou(), np.nan))


def _check_variety(labels: Sequence[str], classes: set[int], frames: int, source: str) -> None:
    if len(classes) == 1 < len(labels):
        raise NothingToCompare(
            f"fp32 finds only {labels[classes.pop()]!r} in the {frames} frames of "
            f"{source or 'the calibration'}, so that nothing can be compared; give frames of "
            "different things"
        )
