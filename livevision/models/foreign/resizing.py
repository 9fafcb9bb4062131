"""A graph of fixed shapes brought to another size of image, where nothing in it stands against."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from livevision.models.foreign.family import Kind
from livevision.models.foreign.graph_file import GraphFile, port_of

_MULTIPLE = 32  # pixels: what the nets halve five times
_STRIDES = (2, 4, 8, 16, 32, 64)


def resized(graph: GraphFile, kind: Kind, size: tuple[int, int]) -> GraphFile | None:
    """The graph for images of (width, height); None where it cannot be had.

    Convolutions take any size. What stands against another are shapes written down in ``Reshape``:
    rows and columns at their ends are written anew, and one number of places may be left to follow
    from the rest. The outcome counts only where shape inference gives as many rows as the size has
    cells.
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
    _free_reshapes(model, graph, size)
    del model.graph.value_info[:]
    for output in model.graph.output:
        for dim in output.type.tensor_type.shape.dim:
            dim.Clear()
    try:
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError:
        return None
    outputs = tuple(port_of(output) for output in model.graph.output)
    # Scores and distances may be outputs of their own, one of each for each stride.
    rows = [p.shape[-2] if p.shape and len(p.shape) in (2, 3) else None for p in outputs]
    wanted = kind.cells(size) * (1 if len(outputs) == 1 else 2)
    if None in rows or sum(n or 0 for n in rows) != wanted:
        return None
    return replace(
        graph,
        model=model,
        image=port_of(entry),
        size=size,
        outputs=outputs,
    )


def _free_reshapes(model: Any, graph: GraphFile, size: tuple[int, int]) -> None:
    """Write rows and columns anew, or leave the number of places open, in each shape with them."""
    from onnx import numpy_helper

    if graph.fixed_size is None:
        return
    maps = {
        tuple(math.ceil(side / stride) for side in reversed(graph.fixed_size)): tuple(
            math.ceil(side / stride) for side in reversed(size)
        )
        for stride in _STRIDES
    }
    places = {rows * columns for rows, columns in maps}
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    constants = [tensor for tensor in model.graph.initializer if tensor.name in shapes]
    constants += [
        node.attribute[0].t
        for node in model.graph.node
        if node.op_type == "Constant" and node.output[0] in shapes
    ]
    for tensor in constants:
        values = [int(value) for value in numpy_helper.to_array(tensor)]
        end = tuple(values[-2:])
        # The batch may be a number of places too, of the coarsest grid.
        most = max((value for value in values if value in places), default=0)
        if len(values) >= 4 and end in maps:
            values[-2:] = maps[end]
        elif -1 not in values and values.count(most) == 1:
            values[values.index(most)] = -1
        else:
            continue
        array = numpy_helper.to_array(tensor)
        changed = numpy_helper.from_array(np.array(values, array.dtype), tensor.name)
        tensor.CopyFrom(changed)
