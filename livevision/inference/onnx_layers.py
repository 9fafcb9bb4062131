"""Separates the net of an ONNX graph from the operations around it.

Only the net is computed in lower precision. Float32 stay normalisation before its first layer,
arg-max after its last, and box geometry (decoding, top-k, NMS, sampling) anywhere, since eleven
bits, let alone eight, cannot address single pixels in a picture of a thousand.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

LAYERS = frozenset(("Conv", "Gemm", "MatMul"))

# Operations between layers that map features to features.
_BETWEEN = frozenset(
    (
        *("Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "Div", "Flatten"),
        *("GlobalAveragePool", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "MaxPool"),
        *("Mul", "PRelu", "Pad", "ReduceMean", "Relu", "Reshape", "Resize", "Sigmoid", "Slice"),
        *("Split", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze"),
    )
)


def name_nodes(model: Any) -> None:
    """Give every node of a model a unique name, as the tools for lower precision require."""
    seen: set[str] = set()
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_{number}"
        seen.add(node.name)


def net_of(model: Any) -> set[str]:
    """Names of the nodes of the net.

    These are its layers (convolutions and products with constant weights) and the feature
    operations on paths between layers. A product of two computed tensors is not a layer.

    Args:
        model: An ``onnx.ModelProto`` whose nodes have names.
    """
    nodes = list(model.graph.node)
    constants = _constants(model)
    makes = {output: node.name for node in nodes for output in node.output}
    by_name = {node.name: node for node in nodes}
    feeds: dict[str, list[str]] = defaultdict(list)
    fed_by: dict[str, list[str]] = defaultdict(list)
    for node in nodes:
        for name in node.input:
            if name in makes:
                feeds[makes[name]].append(node.name)
                fed_by[node.name].append(makes[name])
    layers = {
        node.name
        for node in nodes
        if node.op_type in LAYERS and len(node.input) > 1 and node.input[1] in constants
    }

    def reached(neighbours: dict[str, list[str]]) -> set[str]:
        found: set[str] = set()
        waiting = [near for layer in layers for near in neighbours[layer]]
        while waiting:
            name = waiting.pop()
            if name not in found and by_name[name].op_type in _BETWEEN:
                found.add(name)
                waiting.extend(neighbours[name])
        return found

    return layers | (reached(feeds) & reached(fed_by))


def _constants(model: Any) -> set[str]:
    """Names of constant tensors, including constants reshaped or dequantised."""
    found = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" or (
            node.op_type in ("Identity", "Transpose", "DequantizeLinear", "Cast")
            and all(name in found for name in node.input)
        ):
            found.update(node.output)
    return found
