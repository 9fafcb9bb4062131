"""Parameters and multiply-adds of an ONNX graph."""

from __future__ import annotations

import math
from typing import Any

_MIN_NUMBERS = 9  # smaller tensors are scales, sizes and the like, no weights


def parameters(model: Any) -> int:
    """Number of trained parameters: stored floats, and integers of int8 layers."""
    from onnx import TensorProto

    kinds = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.INT8)
    tensors = [*model.graph.initializer, *_stored_in_nodes(model)]
    sizes = [math.prod(map(int, t.dims)) for t in tensors if t.data_type in kinds]
    return sum(size for size in sizes if size >= _MIN_NUMBERS)


def multiply_adds(model: Any) -> int:
    """Multiply-adds of convolutions and matrix products, as far as shapes are known.

    Args:
        model: An ``onnx.ModelProto`` with the shapes of its values.
    """
    shapes = {t.name: tuple(t.dims) for t in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        lengths = value.type.tensor_type.shape.dim
        shapes.setdefault(value.name, tuple(d.dim_value for d in lengths))
    total = 0
    for node in model.graph.node:
        made = shapes.get(node.output[0], ()) if node.output else ()
        first, second = (shapes.get(name, ()) for name in (*node.input, "", "")[:2])
        if node.op_type == "Conv" and made:
            total += math.prod(made) * math.prod(second[1:])
        elif node.op_type in ("MatMul", "Gemm") and made and first:
            transposed = node.op_type == "Gemm" and any(
                a.name == "transA" and a.i for a in node.attribute
            )
            total += math.prod(made) * (first[0] if transposed else first[-1])
    return total


def _stored_in_nodes(model: Any) -> list[Any]:
    return [
        attribute.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    ]
