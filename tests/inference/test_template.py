"""Graphs made of templates and weights: those that torch exports of the same weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from livevision.errors import ModelError
from livevision.inference.description import read_description
from livevision.inference.template import Norm, Template, Weight, read_template
from livevision.models import catalog, export
from livevision.models.choice import files_of

SMALL = "shufflenetv2-1.0-tiny-imagenet"  # with units whose channels are put in order, and norms


@pytest.mark.parametrize("name", catalog.names())
def test_shipped_templates_compute_what_torch_does(name: str, tmp_path: Path) -> None:
    card = catalog.find(name)
    assert card.template is not None, f"scripts/templates {name} makes it"
    files = replace(files_of(card, None, None, untrained=False), graph=None)
    path = tmp_path / "filled.onnx"
    export.fill_template(card.template, files, card, path)
    assert export._difference(replace(files, graph=path)) < 1e-3
    told = read_description(path)
    assert json.loads(told["labels"]) == list(card.labels)
    assert json.loads(told["card"])["score"] == dict(card.score)
    assert told["input_size"] == "{}x{}".format(*card.input_size)


def test_weights_trained_on_take_the_same_template(tmp_path: Path) -> None:
    """Of other values and the same shapes: made without torch, and those values are in it."""
    card = catalog.find(SMALL)
    assert card.weights is not None
    tensors = {n: np.asarray(t, np.float32) * 1.25 for n, t in load_file(card.weights).items()}
    own = tmp_path / "own.safetensors"
    save_file(tensors, own)
    files = replace(files_of(card, own, None, untrained=False), graph=None)
    assert export._template_of(files, card) == card.template
    assert card.template is not None
    export.fill_template(card.template, files, card, tmp_path / "own.onnx")
    assert export._difference(replace(files, graph=tmp_path / "own.onnx")) < 1e-4


def test_other_shapes_sizes_and_batches_are_exported_by_torch(tmp_path: Path) -> None:
    card = catalog.find(SMALL)
    assert card.weights is not None
    tensors = load_file(card.weights)
    classes = next(name for name in tensors if tensors[name].shape[:1] == (200,))
    other = {**tensors, classes: tensors[classes][:80]}
    save_file(
        {name: np.ascontiguousarray(t) for name, t in other.items()}, tmp_path / "o.safetensors"
    )
    files = files_of(card, None, None, untrained=False)
    assert export._template_of(files, card) == card.template
    assert export._template_of(replace(files, weights=tmp_path / "o.safetensors"), card) is None
    assert export._template_of(replace(files, input_size=(96, 96)), card) is None
    assert export._template_of(replace(files, batch=2), card) is None
    assert export._template_of(replace(files, weights=None), card) is None


def _template() -> Template:
    """A 1×1 convolution from two channels to three, whose norm is folded and turns them round."""
    from onnx import TensorProto, helper

    empty = [
        TensorProto(name="w", dims=[3, 2, 1, 1], data_type=TensorProto.FLOAT),
        TensorProto(name="b", dims=[3], data_type=TensorProto.FLOAT),
    ]
    ports = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, c, 1, 1])
        for n, c in (("x", 2), ("y", 3))
    ]
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"])
    graph = helper.make_graph([node], "one", ports[:1], ports[1:], empty)
    shapes = {"conv": (3, 2, 1, 1), "gamma": (3,), "beta": (3,), "mean": (3,), "var": (3,)}
    return Template(
        graph=helper.make_model(graph).SerializeToString(),
        tensors=shapes,
        weights=[Weight("w", (3, 2, 1, 1), "kernel", 0), Weight("b", (3,), "bias", 0)],
        norms=[Norm(6, 9, 12, 15, 0.5)],
        places=np.array([4, 5, 2, 3, 0, 1, 11, 10, 9], np.int32),
    )


def _tensors() -> dict[str, Any]:
    random = np.random.default_rng(0)
    shapes = _template().tensors
    return {n: random.uniform(0.5, 2, s).astype(np.float16) for n, s in shapes.items()}


def test_norms_are_folded_channel_by_channel(tmp_path: Path) -> None:
    from onnx.numpy_helper import to_array

    _template().write(tmp_path / "t.npz")
    tensors = _tensors()
    model = read_template(tmp_path / "t.npz").filled(tensors)
    found = {t.name: to_array(t) for t in model.graph.initializer}
    conv, gamma, beta, mean, var = (tensors[n].astype(np.float64) for n in _template().tensors)
    scale = gamma / np.sqrt(var + 0.5)
    np.testing.assert_allclose(found["w"], (conv * scale[:, None, None, None])[::-1], rtol=1e-6)
    np.testing.assert_allclose(found["b"], (beta - mean * scale)[::-1], rtol=1e-5)


def test_what_does_not_fit_is_told() -> None:
    tensors = _tensors()
    del tensors["mean"]
    with pytest.raises(ModelError, match="'mean' is missing"):
        _template().filled(tensors)
    with pytest.raises(ModelError, match=r"'var' is \(4,\)"):
        _template().filled({**_tensors(), "var": np.ones(4)})


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    _template().write(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ModelError, match=r"t\.npz' cannot be read"):
        read_template(path)
