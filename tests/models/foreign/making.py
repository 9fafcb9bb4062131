"""Small third-party ONNX files for tests, with known outputs."""

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
    opset: int = 17,
) -> Path:
    """A graph with constant outputs, for any image.

    Args:
        path: The file.
        outputs: The arrays by name.
        size: Shape of the image's input; text for what is not fixed.
        image: Its name.
        dtype: Its type.
        metadata: What the file tells of itself.
        sizes: It takes ``orig_target_sizes`` too.
        open_shapes: The first dimension of each output is not told.
        opset: Of ONNX's own operators; 11 to 17, or from 18 on.
    """
    nodes, given, constants = [], [], []
    # The input takes part, so that no engine drops it: whether its largest value is beyond all.
    nodes.append(helper.make_node("Cast", [image], ["cast"], to=TensorProto.FLOAT))
    nodes.append(helper.make_node("ReduceMax", ["cast"], ["largest"], keepdims=0))
    constants.append(numpy_helper.from_array(np.float32(1e30), "beyond"))
    nodes.append(helper.make_node("Greater", ["largest", "beyond"], ["zero"]))
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
    return save(path, nodes, inputs, given, constants, metadata, opset=opset)


def save(
    path: Path,
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    constants: Sequence[Any] = (),
    metadata: Mapping[str, str] | None = None,
    domains: Sequence[str] = (),
    opset: int = 17,
) -> Path:
    """Write a graph."""
    graph = helper.make_graph(nodes, "theirs", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
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


def segmenter(path: Path, size: Sequence[Any], classes: int = 3) -> Path:
    """A segmenter of two random convolutions with logits at half the size."""
    draw = np.random.default_rng(3)
    nodes, constants, at = [], [], "pixels"
    for number, (given, made, stride) in enumerate(((3, 8, 2), (8, classes, 1))):
        weights = draw.normal(0, 1 / np.sqrt(given * 9), (made, given, 3, 3)).astype(np.float32)
        bias = draw.normal(0, 0.1, made).astype(np.float32)
        constants += [
            numpy_helper.from_array(weights, f"w{number}"),
            numpy_helper.from_array(bias, f"b{number}"),
        ]
        given_to = [at, f"w{number}", f"b{number}"]
        nodes.append(
            helper.make_node("Conv", given_to, [f"c{number}"], pads=[1] * 4, strides=[stride] * 2)
        )
        at = f"c{number}"
        if number == 0:
            nodes.append(helper.make_node("Relu", [at], ["relu"]))
            at = "relu"
    inputs = [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, size)]
    given = [helper.make_tensor_value_info(at, TensorProto.FLOAT, ["n", classes, "h", "w"])]
    save(path, nodes, inputs, given, constants)
    path.with_suffix(".yaml").write_text(
        "colour: RGB\nmean: [123.675, 116.28, 103.53]\nstd: [58.395, 57.12, 57.375]\n"
        f"labels: [{', '.join('abcdefgh'[:classes])}]\ninput_size: [64, 64]\n"
    )
    return path


def yolox(path: Path, size: int, *, written: bool) -> Path:
    """A YOLOX of three convolutions, one for each stride, for two classes.

    Args:
        path: The file.
        size: Side of its input in pixels.
        written: The numbers of cells stand in the graph.
    """
    draw = np.random.default_rng(1)
    nodes, constants, parts = [], [], []
    for stride in (8, 16, 32):
        weights = draw.normal(0, 0.003 / stride, (7, 3, stride, stride)).astype(np.float32)
        cells = (size // stride) ** 2 if written else -1
        constants += [
            numpy_helper.from_array(weights, f"w{stride}"),
            numpy_helper.from_array(np.array([1, 7, cells]), f"s{stride}"),
        ]
        nodes += [
            helper.make_node(
                "Conv", ["images", f"w{stride}"], [f"c{stride}"], strides=[stride] * 2
            ),
            helper.make_node("Reshape", [f"c{stride}", f"s{stride}"], [f"r{stride}"]),
        ]
        parts.append(f"r{stride}")
    ends = [("box", 0, 4), ("rest", 4, 7)]
    for name, start, stop in ends:
        constants += [
            numpy_helper.from_array(np.array([n]), f"{name}{i}")
            for i, n in enumerate((start, stop, 2))
        ]
    nodes += [
        helper.make_node("Concat", parts, ["all"], axis=2),
        helper.make_node("Transpose", ["all"], ["turned"], perm=[0, 2, 1]),
        *(
            helper.make_node("Slice", ["turned", *(f"{name}{i}" for i in range(3))], [name])
            for name, _, _ in ends
        ),
        helper.make_node("Sigmoid", ["rest"], ["likely"]),
        helper.make_node("Concat", ["box", "likely"], ["output"], axis=2),
    ]
    count = sum((size // stride) ** 2 for stride in (8, 16, 32))
    return save(
        path,
        nodes,
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, count, 7])],
        constants,
        opset=11,
    )


def yolo(path: Path, width: int, height: int, *, chosen: bool = False) -> Path:
    """A YOLO of three convolutions for two classes, with constant grids.

    Args:
        path: The file.
        width, height: Of its input in pixels.
        chosen: It gives the strongest six boxes, 1×6×6, the class always the first.
    """
    draw = np.random.default_rng(1)
    nodes, constants, parts, middles, strides = [], [], [], [], []
    for stride in (8, 16, 32):
        rows, columns = height // stride, width // stride
        weights = draw.normal(0, 0.02 / stride, (6, 3, stride, stride)).astype(np.float32)
        constants += [
            numpy_helper.from_array(weights, f"w{stride}"),
            numpy_helper.from_array(np.array([1, 6, rows * columns]), f"s{stride}"),
        ]
        given_to = ["images", f"w{stride}"]
        nodes.append(helper.make_node("Conv", given_to, [f"c{stride}"], strides=[stride] * 2))
        nodes.append(helper.make_node("Reshape", [f"c{stride}", f"s{stride}"], [f"r{stride}"]))
        parts.append(f"r{stride}")
        y, x = np.mgrid[:rows, :columns] + 0.5
        middles.append(np.stack((x.ravel(), y.ravel())))
        strides.append(np.full((1, rows * columns), stride))
    cells = np.concatenate(middles, 1).astype(np.float32)[None]
    count = cells.shape[2]
    for name, values in (
        ("middles", cells),
        ("strides", np.concatenate(strides, 1).astype(np.float32)),
        ("whole", np.array([1, 6, count])),
        ("ends", np.array([2, 2, 2])),
        ("six", np.array([6])),
        ("first", np.array([0])),
        ("least", np.float32(0)),
    ):
        constants.append(numpy_helper.from_array(values, name))
    nodes += [
        helper.make_node("Concat", parts, ["all"], axis=2),
        helper.make_node("Reshape", ["all", "whole"], ["shaped"]),
        helper.make_node("Split", ["shaped", "ends"], ["offset", "extent", "odds"], axis=1),
        helper.make_node("Add", ["offset", "middles"], ["placed"]),
        helper.make_node("Exp", ["extent"], ["sized"]),
        helper.make_node("Mul", ["placed", "strides"], ["centre"]),
        helper.make_node("Mul", ["sized", "strides"], ["size"]),
        helper.make_node("Sigmoid", ["odds"], ["scores"]),
        helper.make_node("Concat", ["centre", "size", "scores"], ["output0"], axis=1),
    ]
    shape = [1, 6, count]
    if chosen:
        nodes[-1].output[0] = "every"
        nodes += [
            helper.make_node("ReduceMax", ["scores"], ["best"], axes=[1], keepdims=0),
            helper.make_node("TopK", ["best", "six"], ["values", "places"], axis=1),
            helper.make_node("Squeeze", ["places", "first"], ["flat"]),
            helper.make_node("Gather", ["every", "flat"], ["picked"], axis=2),
            helper.make_node("Transpose", ["picked"], ["rows"], perm=[0, 2, 1]),
            helper.make_node("Split", ["rows", "parts"], ["m", "e", "s", "other"], axis=2),
            helper.make_node("Add", ["m", "e"], ["far"]),
            helper.make_node("Min", ["other", "least"], ["class"]),
            helper.make_node("Concat", ["m", "far", "s", "class"], ["output0"], axis=2),
        ]
        constants.append(numpy_helper.from_array(np.array([2, 2, 1, 1]), "parts"))
        shape = [1, 6, 6]
    return save(
        path,
        nodes,
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, height, width])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, shape)],
        constants,
        {"names": "['a', 'b']", "imgsz": f"[{height}, {width}]", "task": "detect"},
    )
