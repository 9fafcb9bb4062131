"""Outputs decoded in the graph give what the numpy decoders give, on every engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import livevision
from livevision.errors import ModelError, UsageError
from livevision.inference.description import read_description
from livevision.models.foreign.opening import KINDS, open_foreign
from livevision.models.model import Model
from tests.models.foreign import making

ENGINES = ("openvino", "onnx")
IMAGE = np.random.default_rng(5).integers(0, 256, (96, 160, 3), np.uint8)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def outside(path: Path, labels: str | None, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The model with its outputs decoded by numpy, though they could be in the graph."""
    opened = open_foreign(path, labels)
    kind = opened.description.output
    with monkeypatch.context() as patch:
        patch.setitem(KINDS, kind, replace(KINDS[kind], in_graph=None))
        patch.setattr("livevision.models.foreign.wrapping._WRITTEN", "outside")
        model = livevision.load(path, "onnx", labels=labels, threads=1, class_agnostic=False)
    assert model.files.outputs
    return model


def _crowd(draw: Any, count: int, extent: float) -> Any:
    """Centres and sizes of boxes, many of which overlap."""
    centres = draw.uniform(0.2, 0.8, (count, 2)) * extent
    return np.concatenate((centres, draw.uniform(0.1, 0.4, (count, 2)) * extent), 1)


def _random(kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Outputs of a kind for an input of 64×64 and three classes, and what else its file takes."""
    draw = np.random.default_rng(11)
    odds = draw.uniform(0, 1, (84, 3)) ** 2
    boxes = _crowd(draw, 84, 64)
    told = {"names": "['a', 'b', 'c']", "imgsz": "[64, 64]", "task": "detect"}
    if kind == "yolox":
        rows = np.concatenate((draw.normal(0, 1, (84, 4)), draw.uniform(0, 1, (84, 1)), odds), 1)
        return {"output": rows[None]}, {}
    if kind == "nanodet-plus":
        rows = np.concatenate((draw.uniform(0, 1, (85, 3)), draw.normal(0, 3, (85, 32))), 1)
        return {"output": rows[None]}, {"image": "data"}
    if kind == "nanodet":
        rows = np.concatenate((odds, draw.normal(0, 3, (84, 32))), 1)
        return {"output": rows[None]}, {"image": "data"}
    if kind == "nanodet-parts":
        ends = ((0, 64), (64, 80), (80, 84))
        parts = {f"c{a}": odds[None, a:b] for a, b in ends}
        return parts | {f"d{a}": draw.normal(0, 3, (1, b - a, 32)) for a, b in ends}, {}
    if kind == "fastestdet":
        maps = np.concatenate((draw.uniform(0, 1, (1, 16)), draw.normal(0, 1, (4, 16))))
        maps = np.concatenate((maps, draw.uniform(0, 1, (3, 16))))
        return {"output": maps.reshape(1, 8, 4, 4)}, {"image": "data"}
    if kind == "yolo":
        return {"output0": np.concatenate((boxes, odds), 1).T[None]}, {"metadata": told}
    if kind == "yolo-objectness":
        rows = np.concatenate((boxes, draw.uniform(0, 1, (84, 1)), odds), 1)
        rows = np.concatenate((rows, rows * 0.9, rows * 1.1))
        rows[:, 4:] = rows[:, 4:].clip(0, 1)
        return {"output": rows[None]}, {}
    if kind == "yolo-end-to-end":
        corners = np.concatenate((boxes[:, :2] - 4, boxes[:, :2] + 4), 1)
        rows = np.zeros((1, 300, 6))
        rows[0, :84, :4] = corners
        rows[0, :84, 4] = odds[:, 0]
        rows[0, :84, 5] = draw.integers(0, 3, 84)
        return {"output0": rows}, {"metadata": told}
    if kind == "detr-scored":
        corners = np.concatenate((boxes[:, :2] - 4, boxes[:, :2] + 4), 1)
        labels = draw.integers(0, 3, (1, 84))
        outputs = {"labels": labels, "boxes": corners[None], "scores": odds[None, :, 0]}
        return outputs, {"sizes": True}
    if kind == "detr-rows":
        rows = np.concatenate((boxes, odds), 1)[None]
        return {"output0": rows / ([64] * 4 + [1] * 3)}, {
            "metadata": told | {"head": "RTDETRDecoder"}
        }
    if kind == "detr-end-to-end":
        rows = np.concatenate((boxes / 64, odds[:, :1], draw.integers(0, 3, (84, 1))), 1)
        return {"output0": rows[None]}, {"metadata": told | {"head": "RTDETRDecoder"}}
    if kind == "boxes-scores":
        corners = np.concatenate((boxes[:, :2] - 4, boxes[:, :2] + 4), 1)
        return {"904": corners[None], "913": odds[None]}, {}
    if kind in ("detr", "detr-softmax"):
        logits = draw.normal(-2, 2, (1, 84, 3 if kind == "detr" else 92))
        return {"logits": logits, "pred_boxes": boxes[None] / 64}, {}
    if kind == "ssd":
        corners = np.concatenate((boxes[:, :2] - 4, boxes[:, :2] + 4), 1) / 64
        return {"boxes": corners[None], "scores": odds[None]}, {}
    if kind == "tensorflow":
        corners = np.concatenate((boxes[:, :2] - 4, boxes[:, :2] + 4), 1) / 64
        order = np.argsort(-odds[:, 0])
        return {
            "detection_boxes": corners[None, order],
            "detection_scores": odds[None, order, 0],
            "detection_classes": draw.integers(1, 3, (1, 84)).astype(float),
        }, {}
    if kind == "logits":
        return {"logits": draw.normal(0, 1, (1, 3, 16, 16))}, {}
    if kind == "logits-40":
        return {"logits": draw.normal(0, 1, (1, 40, 64, 64))}, {}
    if kind == "probabilities":
        return {"scores": np.array([[0.2, 0.5, 0.3]])}, {}
    assert kind == "scores"
    return {"scores": draw.normal(0, 2, (1, 9))}, {}


EVERY = (
    *("yolox", "nanodet", "nanodet-plus", "nanodet-parts", "fastestdet"),
    *("yolo", "yolo-objectness", "yolo-end-to-end"),
    *("detr-scored", "detr", "detr-softmax", "detr-rows", "detr-end-to-end"),
    *("ssd", "tensorflow", "boxes-scores"),
    *("logits", "logits-40", "scores", "probabilities"),
)
NAMES = {"detr-softmax": 91, "logits-40": 40, "scores": 9}


def _made(kind: str, tmp_path: Path, dtype: Any = np.float32, opset: int = 17) -> tuple[Path, str]:
    outputs, more = _random(kind)
    typed = {n: a if a.dtype.kind == "i" else a.astype(dtype) for n, a in outputs.items()}
    path = making.fixed(tmp_path / f"{kind}.onnx", typed, opset=opset, **more)
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"name {n}" for n in range(NAMES.get(kind, 3))))
    fields = "colour: RGB\nmean: [0, 0, 0]\nstd: [255, 255, 255]\n"
    path.with_suffix(".yaml").write_text(fields)
    return path, str(names)


def _agree(first: Any, second: Any) -> None:
    """Assert that two results are equal."""
    if hasattr(first, "class_map"):
        assert (first.class_map == second.class_map).mean() > 0.999
        assert len(np.unique(first.class_map)) > 2
        return
    assert first.class_id.tolist() == second.class_id.tolist()
    assert first.confidence == pytest.approx(second.confidence, abs=1e-5)
    if hasattr(first, "xyxy"):
        assert len(first) > 5
        assert first.xyxy == pytest.approx(second.xyxy, abs=2e-3)


@pytest.mark.parametrize("kind", EVERY)
def test_decoding_in_the_graph_equals_the_numpy_decoder(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, labels = _made(kind, tmp_path)
    with outside(path, labels, monkeypatch) as model:
        expected = model(IMAGE)
    for engine in ENGINES:
        with livevision.load(path, engine, labels=labels, threads=1, class_agnostic=False) as model:
            assert not model.files.outputs
            _agree(model(IMAGE), expected)


@pytest.mark.parametrize("opset", [11, 13, 18])
@pytest.mark.parametrize("kind", ["yolo", "nanodet", "scores"])
def test_graphs_of_old_and_new_opsets(
    kind: str, opset: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, labels = _made(kind, tmp_path, opset=opset)
    with outside(path, labels, monkeypatch) as model:
        expected = model(IMAGE)
    with livevision.load(path, "onnx", labels=labels, class_agnostic=False) as model:
        assert not model.files.outputs
        _agree(model(IMAGE), expected)


def test_outputs_in_half_floats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, labels = _made("yolo", tmp_path, np.float16)
    with outside(path, labels, monkeypatch) as model:
        expected = model(IMAGE)
    with livevision.load(path, "onnx", labels=labels, class_agnostic=False) as model:
        assert not model.files.outputs
        _agree(model(IMAGE), expected)


def test_nms_over_several_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """5,376 cells; NMS takes the best thousand in two blocks."""
    draw = np.random.default_rng(2)
    rows = np.concatenate((_crowd(draw, 5376, 512), draw.uniform(0, 1, (5376, 2))), 1)
    told = {"names": "['a', 'b']", "imgsz": "[512, 512]"}
    outputs = {"output0": rows.T[None].astype(np.float32)}
    path = making.fixed(tmp_path / "y.onnx", outputs, (1, 3, 512, 512), metadata=told)
    with outside(path, None, monkeypatch) as model:
        expected = model(IMAGE)
    for engine in ENGINES:
        with livevision.load(path, engine, threads=1, class_agnostic=False) as model:
            found = model(IMAGE)
            assert len(found) == len(expected) > 20
            _agree(found, expected)


def test_iou_changes_by_call(tmp_path: Path) -> None:
    path, labels = _made("yolo", tmp_path)
    with livevision.load(path, "openvino", labels=labels, conf=0.01, max_det=300) as model:
        few, many = (len(model(IMAGE, iou=iou)) for iou in (0.05, 0.95))
    assert 3 <= few < many


def test_several_frames_are_in_flight(tmp_path: Path) -> None:
    path, labels = _made("yolox", tmp_path)
    with livevision.load(path, "openvino", labels=labels, threads=2) as model:
        model.open(overlap=True)
        batch, placement = model.prepare(IMAGE)
        begun = [model.start(batch) for _ in range(max(2, model.depth))]
        found = [model.decode(pending(), placement) for pending in begun]
    assert all(np.array_equal(each.xyxy, found[0].xyxy) for each in found)


def test_dynamic_outputs_are_decoded_outside_the_graph(tmp_path: Path) -> None:
    outputs = {
        "boxes": np.array([[0, 16, 32, 48]], np.float32),
        "labels": np.array([18], np.int64),
        "scores": np.array([0.9], np.float32),
    }
    path = making.fixed(tmp_path / "tv.onnx", outputs, (3, 64, 64), open_shapes=True)
    with livevision.load(path, "onnx", labels="coco80") as model:
        assert model.files.outputs == ("boxes", "labels", "scores")
        assert len(model(IMAGE)) == 1
    with pytest.raises(UsageError, match=r"--precision int8.*decoded outside"):
        livevision.load(path, labels="coco80", precision="int8")


@pytest.mark.parametrize("engine", ENGINES)
def test_shapes_known_only_from_the_file(engine: str, tmp_path: Path) -> None:
    """The output's shape follows from a size that only the graph computes."""
    columns = np.zeros((1, 6, 84), np.float32)
    columns[0, :, 3] = [32, 32, 16, 24, 0.1, 0.75]
    nodes = [
        helper.make_node("Cast", ["images"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["cast"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "nothing"], ["zero"]),
        helper.make_node("Cast", ["zero"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Add", ["whole", "shape"], ["asked"]),
        helper.make_node("Reshape", ["values", "asked"], ["output0"]),
    ]
    value = helper.make_tensor_value_info
    path = making.save(
        tmp_path / "y.onnx",
        nodes,
        [value("images", TensorProto.FLOAT, [1, 3, 64, 64])],
        [value("output0", TensorProto.FLOAT, [1, 6, 84])],
        [
            numpy_helper.from_array(np.float32(0), "nothing"),
            numpy_helper.from_array(np.array([1, 6, 84]), "shape"),
            numpy_helper.from_array(columns.ravel(), "values"),
        ],
        {"names": "{0: 'cat', 1: 'dog'}", "imgsz": "[64, 64]"},
    )
    with livevision.load(path, engine) as model:
        assert not model.files.outputs
        assert model(IMAGE).data["class_name"].tolist() == ["dog"]


# Other sizes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [False, True], ids=["open", "written"])
def test_a_fixed_yolox_is_resized(
    written: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = making.yolox(tmp_path / "small.onnx", 64, written=written)
    large = making.yolox(tmp_path / "large.onnx", 96, written=True)
    names = tmp_path / "names.txt"
    names.write_text("a\nb")
    with livevision.load(large, "onnx", labels=names, class_agnostic=False) as model:
        expected = model(IMAGE)
    with livevision.load(
        small, "onnx", labels=names, imgsz=(96, 96), class_agnostic=False
    ) as model:
        _agree(model(IMAGE), expected)
    with pytest.raises(UsageError, match="takes images of 64x64 only; given: 72x72"):
        livevision.load(small, labels=names, imgsz=72)


@pytest.mark.parametrize("chosen", [False, True], ids=["cells", "chosen"])
def test_a_fixed_yolo_with_constant_grids_is_resized(
    chosen: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    square = making.yolo(tmp_path / "square.onnx", 64, 64, chosen=chosen)
    wide = making.yolo(tmp_path / "wide.onnx", 128, 64, chosen=chosen)
    for graph in (square, wide) if chosen else ():
        graph.with_suffix(".yaml").write_text("output: yolo-end-to-end\n")
    for engine in ENGINES:
        with livevision.load(wide, engine, conf=0.01, class_agnostic=False) as model:
            expected = model(IMAGE)
        with livevision.load(
            square, engine, imgsz=(128, 64), conf=0.01, class_agnostic=False
        ) as model:
            found = model(IMAGE)
        assert len(expected) > 3
        assert found.xyxy == pytest.approx(expected.xyxy, abs=1e-3)
        assert found.confidence == pytest.approx(expected.confidence, abs=1e-5)
    with pytest.raises(UsageError, match="takes images of 64x64 only; given: 72x72"):
        livevision.load(square, imgsz=72)


def test_a_fixed_yolo_without_grids_is_not_resized(tmp_path: Path) -> None:
    path, labels = _made("yolo", tmp_path)
    with pytest.raises(UsageError, match="takes images of 64x64 only; given: 96x96"):
        livevision.load(path, labels=labels, imgsz=96)


# As one of ours ----------------------------------------------------------------------------------


def test_the_wrapped_file_has_metadata(tmp_path: Path) -> None:
    path = making.segmenter(tmp_path / "mine.onnx", ("n", 3, "h", "w"))
    model = livevision.load(path)
    assert model.files.graph is not None
    told = read_description(model.files.graph)
    assert (told["name"], told["task"], told["input_size"]) == ("mine", "segment", "64x64")
    assert told["labels"] == '["a", "b", "c"]'
    # 8·3·9 + 8 and 3·8·9 + 3 numbers; each weight once at each of 32×32 places.
    assert '"params": 443' in told["card"] or '"params": 432' in told["card"]
    assert f'"madds": {32 * 32 * 432}' in told["card"]


def test_without_in_graph_decoding_no_lowering(tmp_path: Path) -> None:
    classes = np.zeros((1, 64, 64), np.int64)
    path = making.fixed(tmp_path / "c.onnx", {"classes": classes})
    path.with_suffix(".yaml").write_text(
        "colour: RGB\nmean: [0, 0, 0]\nstd: [1, 1, 1]\nlabels: [a, b]\n"
    )
    model = livevision.load(path)
    assert model.files.graph is not None
    with pytest.raises(ModelError, match="was not written by"):
        read_description(model.files.graph)
