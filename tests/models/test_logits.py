"""The scores before a segmenter's arg-max: those of its own graph, over the image alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch.nn import functional as F

import livevision
from livevision.errors import ModelError
from livevision.frame import Placement
from livevision.models.logits import Logits, covering
from tests.models.foreign import making

IMAGE = np.random.default_rng(2).integers(0, 256, (64, 64, 3), np.uint8)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _with_argmax(path: Path) -> Path:
    """The segmenter with nodes that enlarge its scores and choose the best."""
    model = onnx.load(path)
    name = model.graph.output[0].name
    scales = onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    model.graph.initializer.append(scales)
    model.graph.node.append(
        helper.make_node("Resize", [name, "", "scales"], ["large"], mode="linear")
    )
    model.graph.node.append(helper.make_node("ArgMax", ["large"], ["map"], axis=1, keepdims=0))
    del model.graph.output[:]
    given = helper.make_tensor_value_info("map", TensorProto.INT64, [1, 64, 64])
    model.graph.output.append(given)
    onnx.save(model, path)
    return path


def _theirs(path: Path) -> Any:
    """What the segmenter's graph gives for the image."""
    import onnxruntime as ort

    pixels = (IMAGE[..., ::-1] - np.array([123.675, 116.28, 103.53])) / [58.395, 57.12, 57.375]
    given = {"pixels": pixels.transpose(2, 0, 1)[None].astype(np.float32)}
    return ort.InferenceSession(str(path)).run(None, given)[0][0]


@pytest.mark.parametrize("form", ["logits", "class map", "openvino"])
def test_they_are_what_the_graph_computes(form: str, tmp_path: Path) -> None:
    path = making.segmenter(tmp_path / "theirs.onnx", (1, 3, 64, 64))
    expected = _theirs(path)
    if form != "logits":
        path = _with_argmax(path)
    if form == "openvino":
        ov = pytest.importorskip("openvino")
        ov.save_model(ov.convert_model(path), path.with_suffix(".xml"), compress_to_fp16=False)
        path = path.with_suffix(".xml")
    with livevision.load(path) as model:
        logits = Logits(model)
        found = logits(IMAGE)
        classes = model(IMAGE).class_map
    logits.close()
    assert (found.dtype, found.shape) == (np.float32, (3, 32, 32))
    assert found == pytest.approx(expected, abs=1e-4)
    large = np.stack([cv2.resize(plane, (64, 64)) for plane in found])
    assert (large.argmax(0) == classes).mean() > 0.999


def test_those_of_a_shipped_model_agree_with_its_class_map() -> None:
    image = cv2.resize(IMAGE[:4, :4], (480, 352), interpolation=cv2.INTER_CUBIC)
    with livevision.load("bisenet-xception39-camvid", "onnx") as model:
        logits = Logits(model)
        found = logits(image)
        # As the net enlarges them: with aligned corners.
        large = F.interpolate(
            torch.from_numpy(found)[None], (352, 480), mode="bilinear", align_corners=True
        )
        assert len(found) == len(model.labels)
        assert (large[0].numpy().argmax(0) == model(image).class_map).mean() > 0.999
    logits.close()


def test_they_cover_the_image_alone() -> None:
    """Of an input of 64×64 pixels in cells of 8 the image covers the middle half, in height."""
    rows, columns = np.mgrid[:8, :8].astype(np.float32)
    planes = np.stack((columns, rows))
    placement = Placement((128, 64), (64, 64), (0.5, 0.5), (0, 16))
    found = covering(planes, placement)
    assert found.shape == (2, 4, 8)
    assert found[0, 0].tolist() == list(range(8))
    assert found[1, :, 0].tolist() == [2, 3, 4, 5]
    # It begins within a cell: a quarter down the second row.
    found = covering(planes, Placement((128, 64), (64, 64), (0.5, 0.5), (0, 10)))
    assert found[1, :, 0].tolist() == pytest.approx([1.25, 2.25, 3.25, 4.25])
    whole = Placement((128, 64), (64, 64), (0.5, 1.0), (0, 0))
    assert covering(planes, whole) is planes


def test_a_graph_without_any(tmp_path: Path) -> None:
    classes = np.zeros((1, 64, 64), np.int64)
    path = making.fixed(tmp_path / "c.onnx", {"classes": classes})
    path.with_suffix(".yaml").write_text(
        "colour: RGB\nmean: [0, 0, 0]\nstd: [1, 1, 1]\nlabels: [a, b]\n"
    )
    with pytest.raises(ModelError, match="has no scores of its 2 classes"):
        Logits(livevision.load(path))
