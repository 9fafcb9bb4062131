"""The labels of one picture in a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SPLIT = "train"
"""All pictures are in one split; `livevision train` sets a part aside for scoring."""


@dataclass(frozen=True)
class Box:
    """One object.

    Attributes:
        corners: x1 y1 x2 y2 in the picture's pixels, to a hundredth.
        class_id: Index into the data set's labels.
        score: 0..1.
        scores: Scores of all candidate classes, including its own; empty if not requested.
        sure: Whether it counts as an object; otherwise its region is unknown.
    """

    corners: tuple[float, float, float, float]
    class_id: int
    score: float
    scores: Mapping[int, float]
    sure: bool = True


@dataclass(frozen=True)
class Record:
    """One picture.

    Attributes:
        key: Identifies the picture or frame in the source.
        file: Its name in the data set.
        width: In pixels, upright.
        height: Likewise.
        boxes: Strongest first; empty if its labels are a class map, which is a separate file.
    """

    key: str
    file: str
    width: int
    height: int
    boxes: tuple[Box, ...] = ()

    @property
    def stem(self) -> str:
        """The name without suffix, which labels share with pictures."""
        return Path(self.file).stem

    @property
    def objects(self) -> list[Box]:
        """The boxes that count as objects."""
        return [box for box in self.boxes if box.sure]

    def to_dict(self) -> dict[str, Any]:
        """The record as a JSON object."""
        return {
            "key": self.key,
            "file": self.file,
            "size": [self.width, self.height],
            "boxes": [
                [list(b.corners), b.class_id, b.score, dict(b.scores), b.sure] for b in self.boxes
            ],
        }

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Record:
        """The record from the result of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: It is not a record.
        """
        boxes = (
            Box(
                (float(c[0]), float(c[1]), float(c[2]), float(c[3])),
                int(class_id),
                float(score),
                {int(k): float(v) for k, v in scores.items()},
                bool(sure),
            )
            for c, class_id, score, scores, sure in row["boxes"]
        )
        width, height = map(int, row["size"])
        return cls(str(row["key"]), str(row["file"]), width, height, tuple(boxes))


def put(path: Path, data: str | bytes) -> None:
    """Write a file atomically, and create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    begun = path.with_name(f"{path.name}.part")
    begun.write_bytes(data.encode() if isinstance(data, str) else data)
    begun.replace(path)
