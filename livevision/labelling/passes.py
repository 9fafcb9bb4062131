"""A model's passes over a picture: at several sizes, and mirrored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from livevision.frame import Image
from livevision.labelling.fusing import Boxes, fuse_boxes, fuse_maps, one_thing_each

if TYPE_CHECKING:
    from livevision.models.logits import Logits
    from livevision.models.model import Model

_FLOOR = 0.02
"""Minimum score of boxes to fuse, and of classes kept besides the best one. It is far below the
requested minimum, since a box missing in a pass counts as a score of zero."""


class Passes:
    """Runs all passes over pictures and fuses the results.

    Args:
        models: One model at each of the sizes.
        flip: Add a pass over the mirrored picture.
        soft: Of segmenters, the scores are wanted too.
    """

    def __init__(self, models: Sequence[Model], flip: bool, soft: bool = False) -> None:
        ways = (False, True) if flip else (False,)
        self._looks = [(model, turned) for model in models for turned in ways]
        self._labels = list(models[0].labels)
        self._scoring: list[tuple[Logits, bool]] = []
        if soft and models[0].task == "segment":
            from livevision.models.logits import Logits

            opened = {id(model): Logits(model) for model in models}
            self._scoring = [(opened[id(model)], turned) for model, turned in self._looks]

    def close(self) -> None:
        """Let go of what was opened for the scores."""
        for scores in {id(scores): scores for scores, _ in self._scoring}.values():
            scores.close()

    def boxes(
        self, image: Image, lowest: float, classes: Sequence[int], soft: bool
    ) -> tuple[Boxes, NDArray[np.float32]]:
        """The objects in a picture, uint8 H×W×3 BGR.

        Args:
            image: The picture.
            lowest: Minimum score of the result.
            classes: Numbers of the requested classes.
            soft: Return the scores of other classes too.

        Returns:
            Boxes of one class each, and float32 N×classes of scores.
        """
        several = len(self._looks) > 1
        floor = min(lowest, _FLOOR) if several or soft else lowest
        found = [self._boxes(model, image, turned, floor, classes) for model, turned in self._looks]
        fused = fuse_boxes(found) if several else found[0]
        kept, scores = one_thing_each(fused, len(self._labels))
        rows = np.flatnonzero(kept.scores >= lowest)
        return kept.take(rows), np.where(scores >= _FLOOR, scores, 0)[rows]

    def class_map(self, image: Image) -> NDArray[np.uint8]:
        """The class of each pixel of a picture, uint8 H×W×3 BGR."""
        maps = []
        for model, turned in self._looks:
            found = model(_turned(image) if turned else image).class_map
            maps.append(found[:, ::-1] if turned else found)
        return np.ascontiguousarray(fuse_maps(maps))

    def logits(self, image: Image) -> NDArray[np.float16]:
        """The scores of each class before the arg-max, the mean of all passes.

        Returns:
            Classes×h×w, as large as the net makes them for the first of the sizes; h×w covers the
            picture.
        """
        mean: NDArray[np.float32] | None = None
        for scores, turned in self._scoring:
            found = scores(_turned(image) if turned else image)
            found = found[:, :, ::-1] if turned else found
            if mean is None:
                mean = np.zeros_like(found)
            size = mean.shape[2], mean.shape[1]
            mean += np.stack([cv2.resize(plane, size) for plane in np.ascontiguousarray(found)])
        assert mean is not None
        return (mean / len(self._scoring)).astype(np.float16)

    def _boxes(
        self, model: Model, image: Image, turned: bool, floor: float, classes: Sequence[int]
    ) -> Boxes:
        seen = _turned(image) if turned else image
        found: Any = model(seen, conf=floor, class_agnostic=False)
        found = found[np.isin(found.class_id, classes)]
        boxes = Boxes(
            np.asarray(found.xyxy, np.float32).reshape(-1, 4),
            np.asarray(found.confidence, np.float32),
            np.asarray(found.class_id, np.int64),
        )
        return boxes.mirrored(image.shape[1]) if turned else boxes


def _turned(image: Image) -> Image:
    return np.ascontiguousarray(image[:, ::-1])
