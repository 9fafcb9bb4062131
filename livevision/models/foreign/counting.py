"""Parameters and multiply-adds of an ONNX graph."""

from __future__ import annotations

import math
from typing import Any

_FEWEST = 9  # numbers in a tensor of weights: smaller ones are scales, sizes and the like


def parameters(model: Any) -> int:
    """Numbers that layers were trained with: stored floats, and whole numbers of int8 layers."""
    from onnx import TensorProto

    kinds = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.INT8)
    tensors = [*model.graph.initializer, *_stored_in_nodes(model)]
    sizes = [math.prod(map(int, t.dims)) for t in tensors if t.data_type in kinds]
    return sum(size for size in sizes if size >= _FEWEST)


def multiply_adds(model: Any) -> int:
    """Of convolutions and products, as far as shapes are told.

    Args:
        model: An ``onnx.ModelProto`` with the shapes of its values.
    """
    shapes = {t.name: tuple(t.dims) for t in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        told = value.type.tensor_type.shape.dim
        shapes.setdefault(value.name, tuple(d.dim_value for d in told))
    total = 0
    for node in model.graph.node:
        made = shapes.get(node.output[0], ()) if node.output else ()
        first, second = (shapes.get(name, ()) for name in (*node.input, "", "")[:2])
        if node.op_type == "Conv" and made:
            total += math.prod(made) * math.prod(second[1:])
        elif node.op_type in ("MatMul", "Gemm") and made and first:
            turned = node.op_type == "Gemm" and any(
                a.name == "transA" and a.i for a in node.attribute
            )
            total += math.prod(made) * (first[0] if turned else first[-1])
    return total


def _stored_in_nodes(model: Any) -> list[Any]:
    return [
        attribute.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    ]
