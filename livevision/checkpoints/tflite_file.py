"""Reads the convolutions of a TFLite graph, numbered in execution order.

TensorFlow's converter folds norms into the preceding convolutions and drops variable names.
`conv.N` is a convolution here and `norm.N` a norm after it that only adds its bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import openvino as ov
import torch
from torch import Tensor

from livevision.errors import ModelError

_CONVOLUTIONS = ("Convolution", "GroupConvolution")


def read_convolutions(path: Path) -> dict[str, Tensor]:
    """Weights (out, in / groups, height, width) and norms of a .tflite file's convolutions.

    Raises:
        ModelError: OpenVINO cannot read it, or it has no convolutions.
    """
    try:
        model = ov.Core().read_model(str(path))
    except RuntimeError as error:
        reason = str(error).strip().split("\n")[-1]
        raise ModelError(f"checkpoint {str(path)!r} cannot be read: {reason}") from error
    tensors = convolutions(model)
    if not tensors:
        raise ModelError(f"checkpoint {str(path)!r} has no convolutions with constant weights")
    return tensors


def convolutions(model: ov.Model) -> dict[str, Tensor]:
    """The same for a graph that has been read."""
    nodes = [
        node
        for node in model.get_ordered_ops()
        if node.get_type_name() in _CONVOLUTIONS and _is_constant(node.input_value(1))
    ]
    biases = [_bias(node) for node in nodes]
    weights = _values([node.input_value(1) for node in nodes])
    shifts = iter(_values([bias for bias in biases if bias is not None]))
    tensors: dict[str, Tensor] = {}
    for n, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        groups = weight.ndim - 4  # GroupConvolution has an extra axis for the groups
        weight = weight.flatten(0, groups) if groups else weight
        ones = torch.ones(weight.shape[0])
        tensors |= {
            f"conv.{n}.weight": weight,
            f"norm.{n}.weight": ones,
            f"norm.{n}.bias": next(shifts).flatten() if bias is not None else ones * 0,
            f"norm.{n}.running_mean": ones * 0,
            f"norm.{n}.running_var": ones.clone(),
        }
    return tensors


def _bias(node: ov.Node) -> ov.Output | None:
    """The constant added to a convolution's output, if any."""
    readers = [reader.get_node() for reader in node.output(0).get_target_inputs()]
    if len(readers) != 1 or readers[0].get_type_name() != "Add":
        return None
    return next((v for v in readers[0].input_values() if _is_constant(v)), None)


def _is_constant(value: ov.Output) -> bool:
    """Whether a value depends on constants only; float16 weights are widened in the graph."""
    node = value.get_node()
    if node.get_type_name() == "Constant":
        return True
    inputs = node.input_values()
    return bool(inputs) and all(_is_constant(i) for i in inputs)


def _values(values: Sequence[ov.Output]) -> list[Tensor]:
    """Compute constant values."""
    if not values:
        return []
    graph = ov.Model([ov.opset13.result(value) for value in values], [], "constants")
    found = ov.Core().compile_model(graph, "CPU")([])
    return [torch.from_numpy(found[i].copy()).float() for i in range(len(values))]
