"""Pictures are the same whether they are held in memory or read anew."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from livevision.datasets import open_dataset
from livevision.training.pictures import Pictures
from tests.training import small_data

CPU = torch.device("cpu")


def test_held_and_read_pictures_are_the_same(tmp_path: Path) -> None:
    small_data.class_maps(tmp_path / "maps")
    maps = open_dataset({"path": "maps"}, tmp_path, "segment", ["dark", "bright"], "train")
    held, read = Pictures([maps], CPU, 1e9), Pictures([maps], CPU, 0)
    assert "held in memory on cpu" in str(held)
    assert "more than memory_gb allows" in str(read)
    assert held.bytes == 4 * small_data.WIDTH * small_data.HEIGHT * len(maps)
    one, other = held.some([3, 0]), read.some([3, 0])
    assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))
    assert one.sizes.tolist() == [[small_data.WIDTH, small_data.HEIGHT]] * 2
    image, labels = maps.samples[3].read()  # type: ignore[misc]
    assert np.array_equal(one[0][..., :3], image)
    assert np.array_equal(one[0][..., 3], labels)


def test_pictures_of_several_sizes_and_sets_come_together(tmp_path: Path) -> None:
    sizes = {"a": (20, 30), "b": (40, 10)}
    for name, (width, height) in sizes.items():
        for kind in ("images", "labels"):
            (tmp_path / name / kind / "train").mkdir(parents=True)
        image = np.full((height, width, 3), 255, np.uint8)
        cv2.imwrite(str(tmp_path / name / "images" / "train" / "1.png"), image)
        cv2.imwrite(str(tmp_path / name / "labels" / "train" / "1.png"), image[..., 0] // 255)
    labels = ["dark", "bright"]
    sets = [open_dataset({"path": n}, tmp_path, "segment", labels, "train") for n in sizes]
    both = Pictures(sets, CPU, 1e9).some([0, 1])
    assert both.sizes.tolist() == [[20, 30], [40, 10]]
    assert [tuple(picture.shape) for picture in both] == [(30, 20, 4), (10, 40, 4)]
    assert all((picture == torch.tensor([255, 255, 255, 1])).all() for picture in both)
