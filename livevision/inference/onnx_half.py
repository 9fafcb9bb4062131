"""Converts the net of an ONNX graph to float16, with casts where the net begins and ends.

Inputs, outputs and everything around the net stay as they are (``onnx_layers``). ONNX Runtime's own
converter casts numbers in excluded operations to float16 and back between any two of them, which
would destroy the precision of box corners.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from livevision.inference.onnx_layers import name_nodes, net_of

_SIZES = {"Resize": (1, 2)}
"""Inputs with sizes and scales, which are float32 whatever is resized."""

_LARGEST = float(np.finfo(np.float16).max)


def halve(model: Any) -> Any:
    """Convert the net of a model to float16.

    Args:
        model: An ``onnx.ModelProto`` in float32; it is modified.
    """
    import onnx

    helper, graph = onnx.helper, model.graph
    float32, float16 = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
    name_nodes(model)
    net = net_of(model)
    floats = _floats(onnx.shape_inference.infer_shapes(model))
    stored = _stored(model)
    outside = {port.name for port in graph.output}
    outside.update(i for node in graph.node if node.name not in net for i in node.input)

    halves: dict[str, str] = {}  # names of float16 tensors by their float32 names
    nodes = []
    for node in graph.node:
        if node.name not in net:
            nodes.append(node)
            continue
        for index, name in enumerate(node.input):
            if name not in floats or index in _SIZES.get(node.op_type, ()):
                continue
            if name not in halves:
                halves[name] = f"{name}_half"
                if name in stored:
                    value = np.clip(stored[name], -_LARGEST, _LARGEST).astype(np.float16)
                    graph.initializer.append(onnx.numpy_helper.from_array(value, halves[name]))
                else:
                    nodes.append(helper.make_node("Cast", [name], [halves[name]], to=float16))
            node.input[index] = halves[name]
        nodes.append(node)
        for index, name in enumerate(node.output):
            if name in floats:
                node.output[index] = halves[name] = f"{name}_half"
                if name in outside:
                    nodes.append(helper.make_node("Cast", [halves[name]], [name], to=float32))
    used = {name for node in nodes for name in node.input}
    left = [tensor for tensor in graph.initializer if tensor.name in used]
    for field, content in ((graph.node, nodes), (graph.initializer, left), (graph.value_info, [])):
        del field[:]
        field.extend(content)
    return onnx.shape_inference.infer_shapes(model)


def _floats(model: Any) -> set[str]:
    """Names of the tensors in float32."""
    import onnx

    graph = model.graph
    ports = (*graph.input, *graph.value_info, *graph.output)
    found = {p.name for p in ports if p.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    return found | {n for n, value in _stored(model).items() if value.dtype == np.float32}


def _stored(model: Any) -> dict[str, Any]:
    """Constants by name."""
    import onnx

    to_array = onnx.numpy_helper.to_array
    found = {tensor.name: to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = to_array(node.attribute[0].t)
        elif node.op_type == "Identity" and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found
