"""Small labelled data sets of real files to train on: a bright rectangle on dark noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from livevision.training.recipe import Recipe
from livevision.training.recipe_file import recipe_from

WIDTH, HEIGHT = 96, 64


def drawn(seed: int) -> tuple[npt.NDArray[np.uint8], tuple[int, int, int, int]]:
    """A picture, BGR, and where its rectangle lies, x1 y1 x2 y2."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 60, (HEIGHT, WIDTH, 3), np.uint8)
    x, y = int(random.integers(4, WIDTH - 48)), int(random.integers(4, HEIGHT - 40))
    box = (x, y, x + int(random.integers(24, 44)), y + int(random.integers(20, 36)))
    image[box[1] : box[3], box[0] : box[2]] = (40, 220, 230)
    return image, box


def class_maps(root: Path, train: int = 4, val: int = 2) -> Path:
    """`images/SPLIT` and `labels/SPLIT`: 0 dark, 1 bright, 255 along the upper edge."""
    for split, first, count in (("train", 0, train), ("val", 1000, val)):
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
        for seed in range(first, first + count):
            image, (x1, y1, x2, y2) = drawn(seed)
            labels = np.zeros((HEIGHT, WIDTH), np.uint8)
            labels[y1:y2, x1:x2] = 1
            labels[:2] = 255
            cv2.imwrite(str(root / "images" / split / f"{seed}.jpg"), image)
            cv2.imwrite(str(root / "labels" / split / f"{seed}.png"), labels)
    return root


def soft_labels(root: Path) -> None:
    """Soft labels for the split train of `class_maps`, at a quarter of the pictures' size."""
    (root / "logits" / "train").mkdir(parents=True)
    for path in sorted((root / "labels" / "train").iterdir()):
        bright = (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) == 1).astype(np.float32)
        bright = cv2.resize(bright, (WIDTH // 4, HEIGHT // 4), interpolation=cv2.INTER_AREA)
        logits = np.stack((4 - 8 * bright, 8 * bright - 4)).astype(np.float16)
        np.savez_compressed(root / "logits" / "train" / f"{path.stem}.npz", logits=logits)


def boxes(root: Path, names: tuple[str, ...] = ("plate",), train: int = 4, val: int = 2) -> Path:
    """COCO's form; every rectangle is of the first of the classes."""
    (root / "images").mkdir(parents=True)
    for split, first, count in (("train", 0, train), ("val", 1000, val)):
        images, annotations = [], []
        for seed in range(first, first + count):
            image, (x1, y1, x2, y2) = drawn(seed)
            cv2.imwrite(str(root / "images" / f"{seed}.jpg"), image)
            size = {"width": WIDTH, "height": HEIGHT}
            images.append({"id": seed, "file_name": f"{seed}.jpg", **size})
            box = [x1, y1, x2 - x1, y2 - y1]
            annotations.append(
                {"id": seed + 1, "image_id": seed, "category_id": 1, "bbox": box, "iscrowd": 0}
            )
        categories = [{"id": i, "name": name} for i, name in enumerate(names, 1)]
        truth = {"images": images, "annotations": annotations, "categories": categories}
        (root / f"instances_{split}.json").write_text(json.dumps(truth))
    return root


def class_folders(root: Path, train: int = 4, val: int = 2) -> Path:
    """`SPLIT/CLASS`: pictures with a rectangle, and pictures without."""
    for split, first, count in (("train", 0, train), ("val", 1000, val)):
        for name in ("empty", "plate"):
            (root / split / name).mkdir(parents=True)
        for seed in range(first, first + count):
            image, _ = drawn(seed)
            empty = np.minimum(image, 60)
            cv2.imwrite(str(root / split / "plate" / f"{seed}.png"), image)
            cv2.imwrite(str(root / split / "empty" / f"{seed}.png"), empty)
    return root


SEGMENT: dict[str, Any] = {
    "task": "segment",
    "net": "bisenet-xception39",
    "data": {"train": [{"path": "maps"}], "val": [{"path": "maps"}]},
    "labels": ["dark", "bright"],
    "input_size": [96, 64],
    "task_options": {"crop": [64, 64]},
}
DETECT: dict[str, Any] = {
    "task": "detect",
    "net": "thundernet-snet49",
    "data": {"train": [{"path": "boxes"}], "val": [{"path": "boxes"}]},
    "labels": ["plate"],
    "input_size": [96, 96],
    "task_options": {"pre_nms": 50, "proposals": 12, "most_objects": 4},
}
CLASSIFY: dict[str, Any] = {
    "task": "classify",
    "net": "snet49",
    "data": {"train": [{"path": "folders"}], "val": [{"path": "folders"}]},
    "input_size": [64, 64],
}
SHORT: dict[str, Any] = {
    "steps": 4, "batch_size": 2, "warmup_steps": 1, "evaluate_every": 2, "samples": 1,
    "optimizer": "adamw", "learning_rate": 1e-3, "device": "cpu",
}  # fmt: skip


def all_kinds(root: Path) -> Path:
    """A folder with all three data sets, as the recipes above name them."""
    class_maps(root / "maps")
    boxes(root / "boxes")
    class_folders(root / "folders")
    return root


def recipe(kind: dict[str, Any], **changes: Any) -> Recipe:
    """A short recipe of one of the kinds above."""
    return recipe_from({"name": kind["task"], **kind, **SHORT, **changes})


def draw_no_plots(patch: pytest.MonkeyPatch) -> None:
    """Runs in this process draw none; ``test_outputs.py`` has those of every task drawn."""
    for name in ("plot_run", "plot_scores"):
        patch.setattr(f"livevision.training.outputs.{name}", lambda *_: None)
