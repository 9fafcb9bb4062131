"""Calculated sizes become constants, and nothing else changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from livevision.inference.static_shapes import fold_shapes


def node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def graph_that_calculates_sizes() -> Any:
    """Doubles an image, puts it beside itself as often as it is high, and flattens the rows."""
    constants = {"zero": [0], "one": [1], "two": [2], "minus": [-1], "factor": [2.0]}
    nodes = [
        node("Mul", "image factor", "doubled"),
        node("Shape", "image", "shape"),
        node("Slice", "shape zero one", "height"),
        node("Slice", "shape one two", "width"),
        node("Concat", "height height width", "size", axis=0),
        node("Expand", "doubled size", "expanded"),
        node("Shape", "expanded", "again"),
        node("Slice", "again zero one", "rows"),
        node("Concat", "rows minus", "flat", axis=0),
        node("Reshape", "expanded flat", "result"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [3, 4])],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, ["rows", "columns"])],
        [
            numpy_helper.from_array(
                np.array(v, np.float32 if isinstance(v[0], float) else np.int64), k
            )
            for k, v in constants.items()
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def test_sizes_are_known_and_values_stay() -> None:
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    (wanted,) = ReferenceEvaluator(graph_that_calculates_sizes()).run(None, {"image": image})
    model = fold_shapes(graph_that_calculates_sizes())
    onnx.checker.check_model(model, full_check=True)
    (found,) = ReferenceEvaluator(model).run(None, {"image": image})
    np.testing.assert_array_equal(found, wanted)
    assert [n.op_type for n in model.graph.node] == ["Mul", "Expand", "Reshape"]
    (output,) = model.graph.output
    known = {i.name: i for i in (*model.graph.value_info, output)}
    assert [d.dim_value for d in known["expanded"].type.tensor_type.shape.dim] == [3, 3, 4]


def test_a_size_that_depends_on_the_data_stays_calculated() -> None:
    graph = helper.make_graph(
        [node("NonZero", "image", "places"), node("Shape", "places", "result")],
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [3, 4])],
        [helper.make_tensor_value_info("result", TensorProto.INT64, [2])],
    )
    model = fold_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    assert [n.op_type for n in model.graph.node] == ["NonZero", "Shape"]
