"""A graph of fixed shapes brought to another size of image, where nothing in it stands against."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from livevision.models.foreign.family import Kind
from livevision.models.foreign.graph_file import GraphFile, port_of

_MULTIPLE = 32  # pixels: what the nets halve five times


def resized(graph: GraphFile, kind: Kind, size: tuple[int, int]) -> GraphFile | None:
    """The graph for images of (width, height); None where it cannot be had.

    Convolutions take any size. What stands against another are shapes written down in ``Reshape``:
    one number of each may be left to follow from the rest. The outcome counts only where shape
    inference gives as many rows as the size has cells.
    """
    import onnx

    if kind.cells is None or any(side % _MULTIPLE for side in size):
        return None
    width, height = size
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    shape = {
        "NCHW": (1, 3, height, width), "NHWC": (1, height, width, 3), "CHW": (3, height, width)
    }[graph.layout]  # fmt: skip
    entry = next(i for i in model.graph.input if i.name == graph.image.name)
    for dim, length in zip(entry.type.tensor_type.shape.dim, shape, strict=True):
        dim.dim_value = length
    _free_reshapes(model, graph)
    del model.graph.value_info[:]
    for output in model.graph.output:
        for dim in output.type.tensor_type.shape.dim:
            dim.Clear()
    try:
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError:
        return None
    outputs = tuple(port_of(output) for output in model.graph.output)
    found = outputs[0].shape
    if found is None or len(found) != 3 or found[1] != kind.cells(size):
        return None
    return replace(
        graph,
        model=model,
        image=port_of(entry),
        size=size,
        outputs=outputs,
    )


def _free_reshapes(model: Any, graph: GraphFile) -> None:
    """Leave the number of places open in each shape that has it written down."""
    from onnx import numpy_helper

    if graph.fixed_size is None:
        return
    width, height = graph.fixed_size
    places = {math.ceil(width / stride) * math.ceil(height / stride) for stride in (8, 16, 32, 64)}
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    constants = [tensor for tensor in model.graph.initializer if tensor.name in shapes]
    constants += [
        node.attribute[0].t
        for node in model.graph.node
        if node.op_type == "Constant" and node.output[0] in shapes
    ]
    for tensor in constants:
        values = numpy_helper.to_array(tensor).copy()
        # The batch may be a number of places too, of the coarsest grid.
        most = max((int(value) for value in values if int(value) in places), default=0)
        if -1 not in values and list(values).count(most) == 1:
            values[list(values).index(most)] = -1
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
