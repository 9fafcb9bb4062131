"""Resizing of graphs: a graph with fixed shapes, rewritten for another image size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from livevision.models.foreign.family import Kind, cells
from livevision.models.foreign.graph_file import GraphFile, Port, port_of
from livevision.models.foreign.yolox import grid

_MULTIPLE = 32  # pixels: the nets halve the size five times
_STRIDES = (2, 4, 8, 16, 32, 64)
_GRIDS = (8, 16, 32)
_MAX_DIMENSIONS = 6  # of a shape


def resized(graph: GraphFile, kind: Kind, size: tuple[int, int]) -> GraphFile | None:
    """The graph for images of (width, height); None if it cannot be rewritten.

    Convolutions take any size, but the shapes of ``Reshape`` are constants: their rows and columns
    are replaced, or one number of positions becomes -1. Grids that are constants are replaced too.
    The result is used only if shape inference gives as many rows as the size has cells.
    """
    import onnx

    if (kind.cells is None and not kind.anchored) or any(side % _MULTIPLE for side in size):
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
    if kind.anchored and not _renew_cells(model, graph, size):
        return None
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
    if not _fits(graph, outputs, kind, size):
        return None
    if outputs[0].shape is not None and None in outputs[0].shape:
        outputs = (graph.outputs[0], *outputs[1:])
    return replace(
        graph,
        model=model,
        image=port_of(entry),
        size=size,
        outputs=outputs,
    )


def _fits(graph: GraphFile, outputs: Sequence[Port], kind: Kind, size: tuple[int, int]) -> bool:
    """Whether the outputs have one row per cell of the size's grids."""
    if kind.cells is not None:
        # Scores and distances may be separate outputs, one of each per stride.
        rows = [p.shape[-2] if p.shape and len(p.shape) in (2, 3) else None for p in outputs]
        expected_rows = kind.cells(size) * (1 if len(outputs) == 1 else 2)
        return None not in rows and sum(n or 0 for n in rows) == expected_rows
    before, now = graph.outputs[0].shape, outputs[0].shape
    if before is None or now is None or graph.fixed_size is None:
        return False
    # If the graph selects boxes itself, their number is unchanged.
    counts = {cells(graph.fixed_size, _GRIDS): cells(size, _GRIDS)}
    expected = [counts.get(n or 0, n) for n in before]
    chosen = expected == list(before)
    return len(now) == len(expected) and all(
        n == length or (n is None and chosen) for n, length in zip(now, expected, strict=True)
    )


def _renew_cells(model: Any, graph: GraphFile, size: tuple[int, int]) -> bool:
    """Replace constants with the cells' centres and strides; whether there were any."""
    from onnx import numpy_helper

    if graph.fixed_size is None:
        return False
    before, now = (_cells_of(side) for side in (graph.fixed_size, size))
    tensors = [*model.graph.initializer]
    tensors += [
        attribute.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    ]
    count, total = before[0].shape[1], now[0].shape[1]
    renewed = False
    for tensor in tensors:
        if list(tensor.dims[-1:]) == [count]:
            values = numpy_helper.to_array(tensor)
            for old, new in zip(before, now, strict=True):
                if values.size == old.size and np.allclose(values.reshape(old.shape), old):
                    shaped = new.reshape(*values.shape[:-1], total).astype(values.dtype)
                    tensor.CopyFrom(numpy_helper.from_array(shaped, tensor.name))
                    renewed = True
                    break
        elif count in (shape := _whole(tensor)):
            shape = [total if n == count else n for n in shape]
            array = np.array(shape, numpy_helper.to_array(tensor).dtype)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return renewed


def _whole(tensor: Any) -> list[int]:
    """The integers of a constant that may be a shape; [] for other constants."""
    from onnx import TensorProto, numpy_helper

    few = len(tensor.dims) == 1 and 0 < tensor.dims[0] <= _MAX_DIMENSIONS
    if tensor.data_type != TensorProto.INT64 or not few:
        return []
    return [int(n) for n in numpy_helper.to_array(tensor)]


def _cells_of(size: tuple[int, int]) -> tuple[Any, Any, Any]:
    """Centres of all cells in strides and in pixels, 2×N, and their strides, 1×N."""
    points, strides = grid(size, _GRIDS)
    middles = (points + 0.5).T
    return middles, middles * strides.T, strides.T


def _free_reshapes(model: Any, graph: GraphFile, size: tuple[int, int]) -> None:
    """Replace rows and columns, or the number of positions, in the shapes of ``Reshape``."""
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
        # The batch may equal the number of positions of the coarsest grid.
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
