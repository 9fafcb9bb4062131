"""Outputs of each family, made by hand, and their boxes, classes and scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import livevision
from livevision.errors import ModelError
from livevision.models.foreign.opening import open_foreign
from tests.models.foreign import making

ENGINES = ("openvino", "onnx")
IMAGE = np.full((64, 128, 3), 90, np.uint8)
"""Twice as wide as the input: a letterbox halves it, and leaves half of the input's height."""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _labels(tmp_path: Path, *names: str) -> str:
    path = tmp_path / "names.txt"
    path.write_text("\n".join(names))
    return str(path)


def _found(path: Path, labels: str | None = None, **choices: Any) -> Any:
    """The results of both engines, which must be equal."""
    every = []
    for engine in ENGINES:
        with livevision.load(path, engine, labels=labels, threads=1, **choices) as model:
            every.append(model(IMAGE))
    assert every[0].xyxy == pytest.approx(every[1].xyxy, abs=1e-4)
    return every[0]


def test_yolox(tmp_path: Path) -> None:
    rows = np.zeros((1, 84, 7), np.float32)
    # Stride 16, column 1, row 0: a middle at (1.5, 0.25) strides, 16·e by 16 pixels.
    rows[0, 64 + 1] = [0.5, 0.25, 0, -np.log(2), 0.9, 0.1, 0.8]
    rows[0, 64 + 2] = [-0.5, 0.25, 0, -np.log(2), 0.8, 0.1, 0.8]  # the same, weaker
    rows[0, 80] = [0.5, 0.5, -1, -1, 0.5, 0.6, 0.1]
    path = making.fixed(tmp_path / "x.onnx", {"output": rows})
    assert open_foreign(path, _labels(tmp_path, "cat", "dog")).family == "YOLOX"
    found = _found(path, _labels(tmp_path, "cat", "dog"))
    half = 16 / np.e
    expected = [[32, 0, 64, 16], [32 - 2 * half, 32 - 2 * half, 32 + 2 * half, 32 + 2 * half]]
    assert found.xyxy == pytest.approx(np.array(expected), abs=1e-3)
    assert list(found.data["class_name"]) == ["dog", "cat"]
    assert found.confidence == pytest.approx([0.72, 0.3])


META = {"names": "{0: 'cat', 1: 'dog'}", "imgsz": "[64, 64]", "task": "detect"}


def _yolo(*boxes: list[float]) -> Any:
    columns = np.zeros((1, len(boxes[0]), 84), np.float32)
    for place, box in enumerate(boxes):
        columns[0, :, place * 5] = box
    return columns


@pytest.mark.parametrize("told", [True, False], ids=["metadata", "shapes"])
def test_yolo(tmp_path: Path, told: bool) -> None:
    columns = _yolo([32, 32, 16, 8, 0.1, 0.7], [33, 32, 16, 8, 0.1, 0.6], [8, 24, 4, 8, 0.5, 0])
    path = making.fixed(tmp_path / "y.onnx", {"output0": columns}, metadata=META if told else {})
    found = _found(path, None if told else _labels(tmp_path, "cat", "dog"))
    # The image lies from row 16 to row 48 of the input, at half its size.
    assert np.array_equal(found.xyxy, [[48, 24, 80, 40], [12, 8, 20, 24]])
    assert list(found.data["class_name"]) == ["dog", "cat"]
    assert found.confidence == pytest.approx([0.7, 0.5])


def test_yolo_with_masks_and_with_dynamic_shapes(tmp_path: Path) -> None:
    columns = _yolo([32, 32, 16, 8, 0.1, 0.7, *[9.0] * 32])
    outputs = {"output0": columns, "output1": np.zeros((1, 32, 16, 16), np.float32)}
    path = making.fixed(
        tmp_path / "seg.onnx",
        outputs,
        ("batch", 3, "height", "width"),
        metadata={**META, "task": "segment"},
        open_shapes=True,
    )
    found = _found(path)
    assert np.array_equal(found.xyxy, [[48, 24, 80, 40]])
    assert found.confidence == pytest.approx([0.7])
    with livevision.load(path, "onnx", imgsz=(128, 64)) as model:
        assert model(IMAGE).xyxy.tolist() == [[24, 28, 40, 36]]


def test_yolo_with_objectness(tmp_path: Path) -> None:
    rows = np.zeros((1, 3 * 84, 7), np.float32)
    rows[0, 7] = [32, 32, 16, 8, 0.5, 0.1, 0.8]
    path = making.fixed(tmp_path / "v5.onnx", {"output": rows})
    found = _found(path, _labels(tmp_path, "cat", "dog"))
    assert np.array_equal(found.xyxy, [[48, 24, 80, 40]])
    assert found.confidence == pytest.approx([0.4])
    assert found.class_id.tolist() == [1]


def test_yolo_end_to_end(tmp_path: Path) -> None:
    rows = np.zeros((1, 300, 6), np.float32)
    rows[0, 0] = [24, 28, 40, 36, 0.9, 1]
    rows[0, 1] = [26, 28, 42, 36, 0.8, 1]  # it overlaps, and is not to go
    path = making.fixed(tmp_path / "v10.onnx", {"output0": rows}, metadata=META)
    found = _found(path, class_agnostic=False)
    assert np.array_equal(found.xyxy, [[48, 24, 80, 40], [52, 24, 84, 40]])
    assert found.class_id.tolist() == [1, 1]


def test_rt_detr_of_its_own_export(tmp_path: Path) -> None:
    outputs = {
        "labels": np.array([[1, 0]], np.int64),
        "boxes": np.array([[[0, 16, 32, 48], [8, 8, 16, 16]]], np.float32),
        "scores": np.array([[0.9, 0.1]], np.float32),
    }
    path = making.fixed(tmp_path / "rt.onnx", outputs, sizes=True)
    found = _found(path, _labels(tmp_path, "cat", "dog"))
    # Stretched: twice as wide as high.
    assert np.array_equal(found.xyxy, [[0, 16, 64, 48]])
    assert found.data["class_name"].tolist() == ["dog"]


def test_rf_detr(tmp_path: Path) -> None:
    logits = np.full((1, 4, 91), -9, np.float32)
    logits[0, 2, 18] = 2  # COCO's number of dogs
    boxes = np.zeros((1, 4, 4), np.float32)
    boxes[0, 2] = [0.5, 0.5, 0.25, 0.5]
    path = making.fixed(tmp_path / "rf.onnx", {"dets": boxes, "labels": logits})
    opened = open_foreign(path, "coco80")
    assert opened.description.mean == (123.675, 116.28, 103.53)
    found = _found(path, "coco80")
    assert np.array_equal(found.xyxy, [[48, 16, 80, 48]])
    assert found.confidence == pytest.approx([1 / (1 + np.exp(-2))])
    assert found.data["class_name"].tolist() == ["dog"]


def test_detr_with_a_no_object_class(tmp_path: Path) -> None:
    logits = np.zeros((1, 2, 92), np.float32)
    logits[0, :, 91] = 20
    logits[0, 1, [17, 91]] = [20, 0]
    boxes = np.full((1, 2, 4), 0.5, np.float32)
    path = making.fixed(tmp_path / "detr.onnx", {"logits": logits, "pred_boxes": boxes})
    found = _found(path)
    assert np.array_equal(found.xyxy, [[32, 16, 96, 48]])
    assert found.data["class_name"].tolist() == ["cat"]


def _nanodet(rows: int, place: int) -> Any:
    values = np.zeros((1, rows, 2 + 32), np.float32)
    values[0, place, 1] = 0.75
    for side, distance in enumerate((1, 0, 2, 1)):
        values[0, place, 2 + 8 * side + distance] = 50
    return values


def test_nanodet_plus(tmp_path: Path) -> None:
    # Stride 16, column 2, row 2, with 64 as the fourth stride: from (32, 32) on.
    path = making.fixed(tmp_path / "np.onnx", {"output": _nanodet(85, 64 + 10)}, image="data")
    found = _found(path, _labels(tmp_path, "cat", "dog"))
    assert found.xyxy == pytest.approx(np.array([[32, 32, 128, 48]]), abs=1e-3)
    assert found.confidence == pytest.approx([0.75])
    assert found.class_id.tolist() == [1]


def test_nanodet(tmp_path: Path) -> None:
    path = making.fixed(tmp_path / "n.onnx", {"output": _nanodet(84, 64 + 5)}, image="data")
    opened = open_foreign(path, _labels(tmp_path, "cat", "dog"))
    assert (opened.family, opened.description.fit) == ("NanoDet", "letterbox")
    found = _found(path, _labels(tmp_path, "cat", "dog"))
    # Stride 16, column 1, row 1: its middle is (24, 24); 16 to the left, 32 to the right, 16 down.
    assert found.xyxy == pytest.approx(np.array([[16, 16, 112, 48]]), abs=1e-3)


@pytest.mark.parametrize("bare", [False, True], ids=["batch", "no batch"])
def test_nanodet_with_one_output_per_stride(bare: bool, tmp_path: Path) -> None:
    whole = _nanodet(84, 64 + 5)
    outputs = {}
    for start, stop in ((0, 64), (64, 80), (80, 84)):
        for name, part in (("cls", whole[:, start:stop, :2]), ("dis", whole[:, start:stop, 2:])):
            outputs[f"{name}_{start}"] = part[0] if bare else part
    # The order is the exporter's own.
    outputs = dict(sorted(outputs.items(), key=lambda output: output[0][::-1]))
    path = making.fixed(tmp_path / "n.onnx", outputs, image="input.1")
    assert open_foreign(path, _labels(tmp_path, "cat", "dog")).family == "NanoDet"
    found = _found(path, _labels(tmp_path, "cat", "dog"))
    assert found.xyxy == pytest.approx(np.array([[16, 16, 112, 48]]), abs=1e-3)
    assert found.class_id.tolist() == [1]


def test_yolo_nas(tmp_path: Path) -> None:
    boxes, scores = np.zeros((1, 84, 4), np.float32), np.zeros((1, 84, 2), np.float32)
    boxes[0, [3, 4]] = [[24, 24, 40, 32], [24, 24, 40, 33]]
    scores[0, [3, 4], 1] = [0.8, 0.7]
    path = making.fixed(tmp_path / "nas.onnx", {"904": boxes, "913": scores})
    assert open_foreign(path, _labels(tmp_path, "cat", "dog")).family == "YOLO-NAS"
    found = _found(path, _labels(tmp_path, "cat", "dog"))
    assert np.array_equal(found.xyxy, [[48, 16, 80, 32]])
    assert found.confidence == pytest.approx([0.8])


def test_a_yolo_with_nms(tmp_path: Path) -> None:
    boxes = np.array([[[24, 24, 40, 32], [0, 16, 8, 24], [1, 17, 9, 25]]], np.float32)
    outputs = {
        "num_dets": np.array([[2]], np.int64),
        "det_boxes": boxes,
        "det_scores": np.array([[0.8, 0.6, 0.9]], np.float32),
        "det_classes": np.array([[1, 0, 1]], np.int64),
    }
    path = making.fixed(tmp_path / "counted.onnx", outputs)
    found = _found(path, _labels(tmp_path, "cat", "dog"))
    assert np.array_equal(found.xyxy, [[48, 16, 80, 32], [0, 0, 16, 16]])
    assert found.class_id.tolist() == [1, 0]


@pytest.mark.parametrize("newer", [True, False])
def test_rt_detr_of_ultralytics(newer: bool, tmp_path: Path) -> None:
    rows = np.zeros((1, 300, 6), np.float32)
    rows[0, 7] = [0.5, 0.5, 0.25, 0.5, 0.9, 1] if newer else [0.5, 0.5, 0.25, 0.5, 0.2, 0.9]
    told = {"head": "RTDETRDecoder"} if newer else {"description": "Ultralytics rt-detr-l model"}
    if not newer:
        rows = np.concatenate((rows, np.zeros((1, 300, 1), np.float32)), 2)
        told["names"] = "['cat', 'dog', 'cow']"
    path = making.fixed(tmp_path / "rt.onnx", {"output0": rows}, metadata={**META, **told})
    assert open_foreign(path).description.fit == "stretch"
    found = _found(path)
    assert found.xyxy == pytest.approx(np.array([[48, 16, 80, 48]]))
    assert found.data["class_name"].tolist() == ["dog"]


def _last_steps(path: Path, steps: list[tuple[str, ...]]) -> Path:
    """A YOLOX of no learned values whose rows go through these operators before they come out."""
    nodes, at = [], "start"
    scale = numpy_helper.from_array(np.full((1, 84, 7), 0.5, np.float32), "scale")
    weights = numpy_helper.from_array(np.zeros((7, 3, 1, 1), np.float32), "weights")
    places = numpy_helper.from_array(np.arange(84), "places")
    shape = numpy_helper.from_array(np.array([1, 7, 4096]), "shape")
    nodes.append(helper.make_node("Conv", ["images", "weights"], ["maps"]))
    nodes.append(helper.make_node("Reshape", ["maps", "shape"], ["flat"]))
    nodes.append(helper.make_node("Gather", ["flat", "places"], ["few"], axis=2))
    nodes.append(helper.make_node("Transpose", ["few"], ["start"], perm=[0, 2, 1]))
    for number, (name, *more) in enumerate(steps):
        nodes.append(helper.make_node(name, [at, *more], [f"step{number}"]))
        at = f"step{number}"
    nodes.append(helper.make_node("Identity", [at], ["output"]))
    value = helper.make_tensor_value_info
    return making.save(
        path,
        nodes,
        [value("images", TensorProto.FLOAT, [1, 3, 64, 64])],
        [value("output", TensorProto.FLOAT, [1, 84, 7])],
        [scale, weights, places, shape],
    )


def test_decoded_yolox_and_yolov6(tmp_path: Path) -> None:
    for name, steps, family, output, colour in (
        ("raw", [("Sigmoid",)], "YOLOX", "yolox", "BGR"),
        ("done", [("Exp",), ("Mul", "scale")], "YOLOX, decoded", "yolo-objectness", "BGR"),
        ("v6", [("Mul", "scale")], "YOLOv6", "yolo-objectness", "RGB"),
    ):
        opened = open_foreign(_last_steps(tmp_path / f"{name}.onnx", steps))
        told = opened.description
        assert (opened.family, told.output, told.colour) == (family, output, colour)


def test_boxes_with_negative_sides_suppress_nothing(tmp_path: Path) -> None:
    columns = _yolo([32, 32, 16, 8, 0.7, 0.2], [32, 32, -40, 8, 0.9, 0.2])
    path = making.fixed(tmp_path / "y.onnx", {"output0": columns}, metadata=META)
    found = _found(path)
    assert np.array_equal(found.xyxy, [[48, 24, 80, 40]])


@pytest.mark.parametrize(
    ("part", "family", "mean"),
    [
        ("model.enc_score_head.bias", "RT-DETR or D-FINE", 0),
        ("model.enc_out_class_embed.0.bias", "RF-DETR or LW-DETR", 123.675),
    ],
)
def test_detrs_of_transformers_are_recognised_by_names_of_layers(
    part: str, family: str, mean: float, tmp_path: Path
) -> None:
    outputs = {
        "logits": np.zeros((1, 4, 80), np.float32),
        "pred_boxes": np.zeros((1, 4, 4), np.float32),
    }
    path = making.fixed(tmp_path / "d.onnx", outputs, image="pixel_values")
    with pytest.raises(ModelError, match="does not contain its mean, std"):
        open_foreign(path)
    model = onnx.load(path)
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(3, np.float32), part))
    onnx.save(model, path)
    opened = open_foreign(path)
    assert (opened.family, opened.description.mean[0]) == (family, mean)
    assert opened.description.resize == "antialiased"


def test_fastestdet(tmp_path: Path) -> None:
    maps = np.zeros((1, 7, 4, 4), np.float32)
    # Column 2, row 1, whose corner is (32, 16): a quarter of the input wide, an eighth high.
    maps[0, :, 1, 2] = [0.5, 0, 0, -np.log(3), -np.log(7), 0.1, 0.8]
    path = making.fixed(tmp_path / "f.onnx", {"out": maps}, image="input.1")
    found = _found(path, _labels(tmp_path, "cat", "dog"))
    assert found.xyxy == pytest.approx(np.array([[48, 12, 80, 20]]), abs=1e-3)
    assert found.confidence == pytest.approx([0.5**0.6 * 0.8**0.4])
    assert found.class_id.tolist() == [1]


def test_torchvision_with_a_dynamic_number_of_boxes(tmp_path: Path) -> None:
    outputs = {
        "boxes": np.array([[0, 16, 32, 48], [8, 8, 16, 16]], np.float32),
        "labels": np.array([18, 1], np.int64),
        "scores": np.array([0.9, 0.3], np.float32),
    }
    path = making.fixed(tmp_path / "tv.onnx", outputs, (3, 64, 64), open_shapes=True)
    found = _found(path, "coco80")
    assert np.array_equal(found.xyxy, [[0, 16, 64, 48], [16, 8, 32, 16]])
    assert found.data["class_name"].tolist() == ["dog", "person"]


def test_tensorflow(tmp_path: Path) -> None:
    outputs = {
        "detection_boxes": np.array([[[0.25, 0, 0.75, 0.5], [0, 0, 0, 0]]], np.float32),
        "detection_classes": np.array([[18, 1]], np.float32),
        "detection_scores": np.array([[0.9, 0.0]], np.float32),
        "num_detections": np.array([1], np.float32),
    }
    path = making.fixed(tmp_path / "tf.onnx", outputs, (1, 64, 64, 3), dtype=2)
    found = _found(path, "coco80")
    assert np.array_equal(found.xyxy, [[0, 16, 64, 48]])
    assert found.data["class_name"].tolist() == ["dog"]


def test_ssd_with_a_description(tmp_path: Path) -> None:
    outputs = {
        "boxes": np.array([[[0, 0.25, 0.5, 0.75], [0.1, 0.25, 0.5, 0.75]]], np.float32),
        "scores": np.array([[[0.1, 0.9, 0], [0.95, 0.05, 0]]], np.float32),
    }
    path = making.fixed(tmp_path / "ssd.onnx", outputs)
    with pytest.raises(ModelError, match="does not contain its colour, mean, std"):
        livevision.load(path)
    path.with_suffix(".yaml").write_text(
        "colour: RGB\nmean: [127, 127, 127]\nstd: [128, 128, 128]\nlabels: [none, face, hand]\n"
    )
    found = _found(path)
    assert found.xyxy.tolist() == [[0, 16, 64, 48]]
    assert found.data["class_name"].tolist() == ["face"]


DENSE = "colour: RGB\nmean: [0, 0, 0]\nstd: [255, 255, 255]\nlabels: [road, sky]\n"


def test_a_segmenter_with_logits_at_a_quarter(tmp_path: Path) -> None:
    logits = np.zeros((1, 2, 16, 16), np.float32)
    logits[0, 1, :8] = 1
    path = making.fixed(tmp_path / "s.onnx", {"logits": logits})
    path.with_suffix(".yaml").write_text(DENSE)
    every = [_class_map(path, engine) for engine in ENGINES]
    assert np.array_equal(every[0], every[1])
    assert every[0].shape == (64, 128)
    assert (every[0][:30] == 1).all()
    assert (every[0][34:] == 0).all()


def test_a_segmenter_with_a_class_map(tmp_path: Path) -> None:
    classes = np.zeros((1, 64, 64), np.int64)
    classes[0, :32] = 1
    path = making.fixed(tmp_path / "c.onnx", {"classes": classes})
    path.with_suffix(".yaml").write_text(DENSE)
    found = _class_map(path, "openvino")
    assert (found[:32] == 1).all()
    assert (found[32:] == 0).all()


def _class_map(path: Path, engine: str) -> Any:
    with livevision.load(path, engine, threads=1) as model:
        assert model.task == "segment"
        return model(IMAGE).class_map


def test_a_classifier_of_logits(tmp_path: Path) -> None:
    scores = np.array([[0.0, np.log(3)]], np.float32)
    path = making.fixed(tmp_path / "k.onnx", {"scores": scores})
    path.with_suffix(".yaml").write_text(DENSE)
    with livevision.load(path, "openvino") as model:
        found = model(IMAGE)
    assert found.class_id.tolist() == [1, 0]
    assert found.confidence == pytest.approx([0.75, 0.25])
