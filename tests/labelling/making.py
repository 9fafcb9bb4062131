"""A stand-in for a model whose answers are known, and pictures that it knows them for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import supervision as sv

from livevision.results import ClassMap
from tests.training import small_data


class Finder:
    """Finds the bright rectangle of `small_data.drawn`, as a thing of class 1 that may be a 2."""

    labels = ("background", "plate", "lid")

    def __init__(self, task: str = "detect") -> None:
        self.task, self.name, self.calls = task, "finder", 0
        self.files = SimpleNamespace(weights=None, graph=None, input_size=(96, 64))

    def open(self) -> None:
        """Nothing to load."""

    def __call__(self, image: Any, conf: float = 0.25, class_agnostic: bool = True) -> Any:
        """The rectangle: at 0.8 a plate, at 0.4 a lid; and at 0.15 a plate in the corner."""
        self.calls += 1
        bright = image[..., 1] > 140
        if self.task == "segment":
            return ClassMap(bright.astype(np.uint8), self.labels)
        rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
        box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        scores = np.array((0.8, 0.4, 0.15), np.float32)
        kept = scores >= conf
        return sv.Detections(
            np.array((box, box, (0, 0, 4, 3)), np.float32)[kept],
            confidence=scores[kept],
            class_id=np.array((1, 2, 1))[kept],
        )


def pictures(root: Path, count: int = 3) -> dict[str, tuple[int, int, int, int]]:
    """Write pictures in a folder and one in it; gives the rectangle of each by its name there."""
    truth = {}
    for seed in range(count):
        image, box = small_data.drawn(seed)
        path = root / ("deep" if seed == count - 1 else "") / f"{seed} a.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image)
        truth[f"deep_{seed}_a.png" if seed == count - 1 else f"{seed}_a.png"] = box
    return truth
