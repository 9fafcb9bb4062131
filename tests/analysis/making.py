"""Synthetic scenes: objects on known paths, and the boxes that a detector would find."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv

from livevision.frame import Frame, Inferred

PICTURE = np.zeros((480, 640, 3), np.uint8)
RATE = 25.0


@dataclass(frozen=True)
class Walker:
    """An object of constant velocity, visible for a time, except a gap.

    Attributes:
        number: Its true number.
        start: x, y of its bottom centre at time 0, in pixels.
        speed: x, y in pixels a second.
        seen: From when until when, in seconds.
        hidden: From when until when it is behind something.
        size: Width and height of its box.
    """

    number: int
    start: tuple[float, float]
    speed: tuple[float, float]
    seen: tuple[float, float] = (0.0, 1e9)
    hidden: tuple[float, float] = (0.0, 0.0)
    size: tuple[float, float] = (24.0, 60.0)
    name: str = "person"

    def box(self, time: float) -> list[float] | None:
        """x1 y1 x2 y2 at a time; None if it is not visible."""
        if not self.seen[0] <= time < self.seen[1] or self.hidden[0] <= time < self.hidden[1]:
            return None
        x = self.start[0] + self.speed[0] * time
        y = self.start[1] + self.speed[1] * time
        return [x - self.size[0] / 2, y - self.size[1], x + self.size[0] / 2, y]


def detections(
    boxes: Sequence[Sequence[float]],
    names: Sequence[str] | None = None,
    numbers: Sequence[int] | None = None,
    confidence: float = 0.8,
) -> sv.Detections:
    """Boxes as detections; the class is person unless names are given."""
    names = ["person"] * len(boxes) if names is None else names
    known = ["person", "car", "truck", "bicycle"]
    return sv.Detections(
        xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        confidence=np.full(len(boxes), confidence, np.float32),
        class_id=np.array([known.index(name) for name in names], int),
        tracker_id=None if numbers is None else np.array(numbers, int),
        data={"class_name": np.array(names, dtype="U12")},
    )


def inferred(
    index: int, found: Any, *, source: int = 0, time: float | None = None, wall: float = 0.0
) -> Inferred:
    """A frame with these detections."""
    at = index / RATE if time is None else time
    return Inferred(Frame(source, index, at, wall, PICTURE), {"detect": found})


def watched(
    walkers: Sequence[Walker], seconds: float, *, drop: int = 0, numbered: bool = True
) -> Iterator[Inferred]:
    """The frames of a scene, without every n-th one, with or without the true numbers."""
    for index in range(round(seconds * RATE)):
        if drop and index % drop == drop - 1:
            continue
        seen = [(w, box) for w in walkers if (box := w.box(index / RATE)) is not None]
        found = detections(
            [box for _, box in seen],
            [w.name for w, _ in seen],
            [w.number for w, _ in seen] if numbered else None,
        )
        yield inferred(index, found)


def mot_sequence(folder: Path, walkers: Sequence[Walker], seconds: float, seed: int = 0) -> Path:
    """A labelled sequence with boxes that have jitter, misses and false positives."""
    random = np.random.default_rng(seed)
    true, found = [], []
    for index in range(round(seconds * RATE)):
        for walker in walkers:
            box = walker.box(index / RATE)
            if box is None:
                continue
            x, y, w, h = box[0], box[1], box[2] - box[0], box[3] - box[1]
            true.append(f"{index + 1},{walker.number},{x:.2f},{y:.2f},{w:.2f},{h:.2f},1,1,1")
            if random.random() < 0.08:
                continue
            x, y = x + random.normal(0, 1), y + random.normal(0, 1)
            score = random.uniform(0.4, 0.95)
            found.append(f"{index + 1},-1,{x:.2f},{y:.2f},{w:.2f},{h:.2f},{score:.3f}")
        if random.random() < 0.05:
            x, y = random.uniform(0, 600), random.uniform(0, 400)
            found.append(f"{index + 1},-1,{x:.2f},{y:.2f},24,60,0.35")
    for name, lines in (("gt/gt.txt", true), ("det/det.txt", found)):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n")
    (folder / "seqinfo.ini").write_text(f"[Sequence]\nframeRate={RATE:g}\nimDir=img1\n")
    return folder


def crowd() -> list[Walker]:
    """A dozen people with crossing paths, two of them occluded for a while."""
    walkers = []
    for n in range(12):
        right = n % 2 == 0
        walkers.append(
            Walker(
                n + 1,
                (40.0 if right else 600.0, 90.0 + 30 * n),
                (60.0 + 3 * n if right else -58.0 - 3 * n, 0.0),
                seen=(0.1 * n, 9.0),
                hidden=(4.0, 4.7) if n in (3, 8) else (0.0, 0.0),
            )
        )
    return walkers
