"""Converts an ONNX graph to one that TensorRT can read and that computes the same.

TensorRT supports uint8 only for inputs and outputs, with casts to and from float. Its int8 is
symmetric about zero, and it dequantises nothing but int8. Therefore

- the picture is cast to float32 first, and a class map to uint8 last; integers up to 255 are exact
  in both;
- biases that ONNX Runtime's tools store as dequantised int32 become float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from livevision.errors import ModelError


def for_tensorrt(model: Any) -> Any:
    """Modify a model so that TensorRT accepts it.

    Args:
        model: An ``onnx.ModelProto``; it is modified.

    Raises:
        ModelError: Its int8 is of a kind that TensorRT does not support.
    """
    _fold_biases(model)
    _check_int8(model)
    _uint8_outside(model)
    return model


def _fold_biases(model: Any) -> None:
    """Replace dequantised int32 constants by their values."""
    import onnx

    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        quantised = stored.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if quantised is None or quantised.data_type != onnx.TensorProto.INT32:
            kept.append(node)
            continue
        scale = onnx.numpy_helper.to_array(stored[node.input[1]])
        value = onnx.numpy_helper.to_array(quantised) * scale
        graph.initializer.append(
            onnx.numpy_helper.from_array(value.astype(scale.dtype), node.output[0])
        )
    del graph.node[:]
    graph.node.extend(kept)
    used = {name for node in graph.node for name in node.input}
    left = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(left)


def _check_int8(model: Any) -> None:
    import onnx

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) > 2:
            zero = stored[node.input[2]]
            if zero.data_type != onnx.TensorProto.INT8 or onnx.numpy_helper.to_array(zero).any():
                raise ModelError(
                    "the graph was quantised for CPUs, with zero points that TensorRT does not "
                    "take; quantise the model for it: livevision export MODEL --format tensorrt "
                    "--precision int8 --calibrate CLIP.mp4"
                )


def _uint8_outside(model: Any) -> None:
    """Compute in float32 instead of uint8, with casts at the graph's ends."""
    import onnx

    graph, helper = model.graph, onnx.helper
    uint8, float32 = onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT
    first, last = [], []
    other_names: dict[str, str] = {}
    for port in graph.input:
        if port.type.tensor_type.elem_type == uint8:
            other_names[port.name] = f"{port.name}_float"
            first.append(helper.make_node("Cast", [port.name], [f"{port.name}_float"], to=float32))
    for port in graph.output:
        if port.type.tensor_type.elem_type == uint8:
            other_names[port.name] = f"{port.name}_float"
            last.append(helper.make_node("Cast", [f"{port.name}_float"], [port.name], to=uint8))
    for node in graph.node:
        node.input[:] = [other_names.get(name, name) for name in node.input]
        node.output[:] = [other_names.get(name, name) for name in node.output]
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == uint8:
                attribute.i = float32
            elif attribute.t.data_type == uint8:
                attribute.t.CopyFrom(_as_float32(attribute.t))
    for number, tensor in enumerate(graph.initializer):
        if tensor.data_type == uint8:
            graph.initializer[number].CopyFrom(_as_float32(tensor))
    nodes = [*first, *graph.node, *last]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]  # dtypes have changed
    inferred = onnx.shape_inference.infer_shapes(model)
    graph.value_info.extend(inferred.graph.value_info)


def _as_float32(tensor: Any) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)
