"""Replaces run-time computations of sizes in an ONNX graph by constants.

The exporter writes the size of an expanded tensor as a small computation even if all its inputs are
fixed. Engines fold it when they load the graph; TensorRT requires sizes in advance, and readers of
the graph prefer them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# Operations in computations of sizes.
_ARITHMETIC = frozenset(
    (
        *("Add", "Cast", "Concat", "ConstantOfShape", "Div", "Equal", "Gather", "Identity", "Mod"),
        *("Mul", "Reshape", "Slice", "Squeeze", "Sub", "Unsqueeze", "Where"),
    )
)
_LONGEST = 64  # numbers in a constant that may be a size; weights and anchors have more


def fold_shapes(model: Any) -> Any:
    """Replace computations of sizes by their results, and store all shapes.

    Args:
        model: An ``onnx.ModelProto`` whose inputs have fixed shapes; it may be modified.
    """
    import onnx

    while True:
        del model.graph.value_info[:]  # more shapes may be known now
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        known = _known(model)
        folded = {
            name: value for name, value in _results(model, known).items() if name not in known
        }
        if not folded:
            return model
        kept = [node for node in model.graph.node if not folded.keys() & set(node.output)]
        constants = [onnx.numpy_helper.from_array(value, name) for name, value in folded.items()]
        wanted = {name for node in kept for name in node.input}
        wanted.update(port.name for port in model.graph.output)
        kept = [n for n in kept if n.op_type != "Constant" or wanted & set(n.output)]
        del model.graph.node[:]
        model.graph.node.extend(kept)
        model.graph.initializer.extend(c for c in constants if c.name in wanted)


def _known(model: Any) -> dict[str, Any]:
    """Constants short enough to be sizes, by name."""
    import onnx

    tensors = [(tensor.name, tensor) for tensor in model.graph.initializer]
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensors.append((node.output[0], node.attribute[0].t))
    return {
        name: onnx.numpy_helper.to_array(tensor)
        for name, tensor in tensors
        if np.prod(tensor.dims) <= _LONGEST and tensor.data_type != onnx.TensorProto.FLOAT16
    }


def _results(model: Any, known: dict[str, Any]) -> dict[str, Any]:
    """Tensors computable from shapes and constants, by name, including the constants."""
    from onnx.reference import ReferenceEvaluator

    infos = (model.graph.input, model.graph.value_info, model.graph.output)
    shapes = {info.name: _shape(info) for group in infos for info in group}
    values = dict(known)
    for node in model.graph.node:
        if node.op_type == "Shape" and not node.attribute:
            shape = shapes.get(node.input[0])
            if shape is not None:
                values[node.output[0]] = np.array(shape, np.int64)
        elif node.op_type in _ARITHMETIC and all(n in values for n in node.input if n):
            inputs = {name: values[name] for name in node.input if name}
            evaluator: Any = ReferenceEvaluator(_alone(node, inputs, model.opset_import))
            result = np.asarray(evaluator.run(None, inputs)[0])
            if result.size <= _LONGEST and result.dtype.kind in "ib":
                values[node.output[0]] = result
    return values


def _alone(node: Any, inputs: dict[str, Any], opsets: Any) -> Any:
    """A model with a single node."""
    import onnx

    helper = onnx.helper
    ports = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
        )
        for name, value in inputs.items()
    ]
    result = helper.make_empty_tensor_value_info(node.output[0])
    return helper.make_model(
        helper.make_graph([node], "node", ports, [result]), opset_imports=opsets
    )


def _shape(info: Any) -> list[int] | None:
    """The sizes of a tensor; None if one is not fixed."""
    if not info.type.tensor_type.HasField("shape"):
        return None
    sizes = info.type.tensor_type.shape.dim
    return [d.dim_value for d in sizes] if all(d.HasField("dim_value") for d in sizes) else None
