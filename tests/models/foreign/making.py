"""Small ONNX files of others' for tests: what they give is known beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def fixed(
    path: Path,
    outputs: Mapping[str, Any],
    size: Sequence[Any] = (1, 3, 64, 64),
    *,
    image: str = "images",
    dtype: int = TensorProto.FLOAT,
    metadata: Mapping[str, str] | None = None,
    sizes: bool = False,
    open_shapes: bool = False,
) -> Path:
    """A graph that takes an image and gives the same arrays for any.

    Args:
        path: The file.
        outputs: The arrays by name.
        size: Shape of the image's input; text for what is not fixed.
        image: Its name.
        dtype: Its type.
        metadata: What the file tells of itself.
        sizes: It takes ``orig_target_sizes`` too.
        open_shapes: The first dimension of each output is not told.
    """
    nodes, given, constants = [], [], []
    # The input takes part, so that no engine drops it: its largest value times nothing.
    nodes.append(helper.make_node("Cast", [image], ["cast"], to=TensorProto.FLOAT))
    nodes.append(helper.make_node("ReduceMax", ["cast"], ["largest"], keepdims=0))
    constants.append(numpy_helper.from_array(np.float32(0), "nothing"))
    nodes.append(helper.make_node("Mul", ["largest", "nothing"], ["zero"]))
    for name, array in outputs.items():
        constants.append(numpy_helper.from_array(array, f"{name}_values"))
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        nodes.append(helper.make_node("Cast", ["zero"], [f"{name}_zero"], to=kind))
        nodes.append(helper.make_node("Add", [f"{name}_values", f"{name}_zero"], [name]))
        shape = ["n", *array.shape[1:]] if open_shapes else array.shape
        given.append(helper.make_tensor_value_info(name, kind, shape))
    inputs = [helper.make_tensor_value_info(image, dtype, size)]
    if sizes:
        asked = helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, [1, 2])
        inputs.append(asked)
    return save(path, nodes, inputs, given, constants, metadata)


def save(
    path: Path,
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    constants: Sequence[Any] = (),
    metadata: Mapping[str, str] | None = None,
    domains: Sequence[str] = (),
) -> Path:
    """Write a graph."""
    graph = helper.make_graph(nodes, "theirs", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(d, 1) for d in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    helper.set_model_props(model, dict(metadata or {}))
    onnx.save(model, str(path))
    return path


def mean_colours(path: Path, size: Sequence[int], dtype: int = TensorProto.FLOAT) -> Path:
    """A classifier whose scores are the means of its input's channels."""
    axes = [2, 3] if size[1] == 3 else [1, 2]
    nodes = [
        helper.make_node("Cast", ["pixels"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["cast"], ["scores"], axes=axes, keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info("pixels", dtype, size)]
    return save(
        path, nodes, inputs, [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3])]
    )
