"""Detection, segmentation and classification around made-up outputs of a net."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from livevision import registry
from livevision.errors import UsageError
from livevision.inference.classify import ClassifyTask
from livevision.inference.detect import DetectTask, class_ids
from livevision.inference.model_files import INPUTS
from livevision.inference.segment import SegmentTask
from livevision.preprocess.fit import make_fit

LABELS = ["cat", "dog", "person"]


def _outputs(*rows: tuple[list[float], float, int]) -> dict[str, Any]:
    return {
        "boxes": np.array([[box for box, _, _ in rows]], np.float32),
        "scores": np.array([[score for _, score, _ in rows]], np.float32),
        "classes": np.array([[number for _, _, number in rows]], np.int32),
    }


ROWS = _outputs(
    ([32, 32, 64, 64], 0.3, 1),
    ([0, 0, 128, 96], 0.9, 0),
    ([100, 50, 500, 400], 0.6, 2),
    ([10, 10, 20, 20], 0.2, 1),
    ([0, 0, 0, 0], -1, 0),
)


def _decode(image_size: tuple[int, int] = (256, 192), **settings: Any) -> Any:
    task = DetectTask(LABELS, make_fit("stretch", (128, 96)), **settings)
    width, height = image_size
    _, placement = task.prepare(np.zeros((height, width, 3), np.uint8))
    return task.decode(ROWS, placement)


def test_boxes_in_the_images_pixels_strongest_first() -> None:
    found = _decode()
    np.testing.assert_allclose(
        found.xyxy, [[0, 0, 256, 192], [200, 100, 256, 192], [64, 64, 128, 128]], atol=1e-3
    )
    np.testing.assert_allclose(found.confidence, [0.9, 0.6, 0.3])
    assert found.class_id.tolist() == [0, 2, 1]
    assert found.data["class_name"].tolist() == ["cat", "person", "dog"]
    assert found.xyxy.dtype == np.float32


def test_choosing_by_score_number_and_class() -> None:
    assert len(_decode(conf=0.1)) == 4
    assert len(_decode(conf=0)) == 4, "rows without a box never pass"
    assert _decode(max_det=1).class_id.tolist() == [0]
    assert _decode(classes=["dog", 2]).class_id.tolist() == [2, 1]
    assert len(_decode(conf=1.0)) == 0


def test_no_detections_is_an_empty_result() -> None:
    found = _decode(conf=0.95)
    assert found.xyxy.shape == (0, 4)
    assert found.data["class_name"].shape == (0,)


def test_boxes_in_the_margins_go() -> None:
    task = DetectTask(LABELS, make_fit("letterbox", (128, 96)))
    _, placement = task.prepare(np.zeros((20, 100, 3), np.uint8))
    assert placement.offset[1] > 20
    assert len(task.decode(_outputs(([0, 0, 128, 20], 0.9, 0)), placement)) == 0


def test_overlap_reaches_the_net() -> None:
    task = DetectTask(LABELS, make_fit("stretch", (128, 96)), iou=0.7)
    batch, _ = task.prepare(np.zeros((9, 9, 3), np.uint8))
    assert batch["image"].shape == (1, 96, 128, 3)
    np.testing.assert_allclose(batch["iou_threshold"], [0.7])
    assert batch["iou_threshold"].dtype == np.float32


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"conf": 1.5}, "conf is 1.5"),
        ({"iou": -1}, "iou is -1"),
        ({"max_det": 0}, "max_det is 0"),
        ({"classes": ["dgo"]}, "Did you mean 'dog'"),
        ({"classes": [3]}, r"0\.\.2"),
        ({"classes": [-1]}, "unknown class"),
    ],
)
def test_settings_out_of_range_are_told(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError, match=line):
        DetectTask(LABELS, make_fit("stretch", (128, 96)), **settings)


def test_classes_by_name_and_number() -> None:
    assert class_ids(["person", "1", 0], LABELS) == [2, 1, 0]


def test_vocs_and_cocos_names_are_one_class() -> None:
    coco = ["person", "airplane", "couch", "dining table", "motorcycle", "potted plant", "tv"]
    voc = ["person", "aeroplane", "sofa", "diningtable", "motorbike", "pottedplant", "tvmonitor"]
    assert class_ids(voc, coco) == class_ids(coco, voc) == list(range(7))
    assert class_ids(["tv"], ["tvmonitor", "tv"]) == [1]  # its own name comes first
    with pytest.raises(UsageError, match=r"unknown class 'motorbik'\. Did you mean 'motorcycle'"):
        class_ids(["motorbik"], ["motorcycle", "person"])
    with pytest.raises(UsageError, match="unknown class 'sofa'"):
        class_ids(["sofa"], ["cat", "person"])


def test_class_map_at_the_images_size() -> None:
    task = SegmentTask(LABELS, make_fit("stretch", (96, 64)))
    _, placement = task.prepare(np.zeros((359, 641, 3), np.uint8))
    outputs = {"class_map": np.zeros((1, 64, 96), np.uint8)}
    outputs["class_map"][0, :, 48:] = 2
    found = task.decode(outputs, placement)
    assert found.class_map.shape == (359, 641)
    assert found.class_map[:, :318].max() == 0
    assert found.class_map[:, 323:].min() == 2
    assert found.shares() == pytest.approx({"cat": 0.5, "person": 0.5}, abs=0.01)


def test_labels_of_the_whole_image() -> None:
    task = ClassifyTask(LABELS, make_fit("centre-crop", (64, 64)))
    batch, placement = task.prepare(np.zeros((90, 160, 3), np.uint8))
    assert batch["image"].shape == (1, 64, 64, 3)
    outputs = {
        "probabilities": np.array([[0.7, 0.2]], np.float32),
        "classes": np.array([[2, 0]], np.int32),
    }
    found = task.decode(outputs, placement)
    assert [found.labels[i] for i in found.class_id] == ["person", "cat"]
    np.testing.assert_allclose(found.confidence, [0.7, 0.2])
    assert found.class_id.dtype == np.int64


@pytest.mark.parametrize("kind", registry.TASKS)
def test_every_task_prepares_what_its_graph_takes(kind: str) -> None:
    task = registry.resolve(registry.TASKS, kind, "task")(LABELS, make_fit("stretch", (64, 32)))
    assert task.name == kind
    image = np.full((9, 9, 3), 7, np.uint8)
    batch, placement = task.prepare(image)
    assert tuple(batch) == INPUTS[kind]
    assert batch["image"].shape == (1, 32, 64, 3)
    assert placement.image_size == (9, 9)
    assert (image == 7).all()
