"""Average precision of found boxes, computed by faster-coco-eval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from livevision.training.detection_data import Sample


@dataclass(frozen=True)
class Found:
    """What a detector found in one picture; `boxes` K x 4 in the picture's own pixels."""

    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]


def average_precision(
    samples: list[Sample], found: list[Found], class_names: list[str]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """AP of each class at an IoU of 0.5, and averaged over IoUs from 0.5 to 0.95.

    COCO's rules: 101 points of recall, at most 100 boxes a picture. Objects marked difficult are
    neither asked for nor held against what finds them. A class that never occurs has NaN.

    Raises:
        ImportError: faster-coco-eval is not installed.
    """
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as error:
        raise ImportError(
            "average precision needs faster-coco-eval: pip install faster-coco-eval"
        ) from error

    annotations = []
    for image_id, sample in enumerate(samples):
        for box, label, difficult in zip(
            sample.boxes, sample.classes, sample.difficult, strict=True
        ):
            x1, y1, x2, y2 = (float(v) for v in box)
            # COCO has no mark for "difficult"; an area outside every range has that effect,
            # whereas marking it a crowd would let any box inside it match.
            area = -1.0 if difficult else (x2 - x1) * (y2 - y1)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": int(label),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": area,
                    "iscrowd": 0,
                }
            )
    truth = COCO(
        {
            "images": [
                {"id": i, "height": s.image.shape[0], "width": s.image.shape[1]}
                for i, s in enumerate(samples)
            ],
            "categories": [{"id": i, "name": name} for i, name in enumerate(class_names)],
            "annotations": annotations,
        }
    )
    rows = [
        {
            "image_id": image_id,
            "category_id": int(label),
            "bbox": [float(x1), float(y1), float(x2 - x1), float(y2 - y1)],
            "score": float(score),
        }
        for image_id, f in enumerate(found)
        for (x1, y1, x2, y2), score, label in zip(f.boxes, f.scores, f.classes, strict=True)
    ]
    if not rows:
        return np.zeros(len(class_names)), np.zeros(len(class_names))
    evaluation = COCOeval_faster(truth, truth.loadRes(rows), "bbox", print_function=_say_nothing)
    evaluation.run()
    # IoU x recall x class x area range x most boxes; -1 where a class does not occur.
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    precision = np.where(precision < 0, np.nan, precision)
    return precision[0].mean(0), precision.mean((0, 1))


def _say_nothing(*_: object) -> None:
    """Takes the place of print."""
