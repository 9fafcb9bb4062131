"""A builder of ONNX nodes that are valid in all opsets from 11 on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

PREFIX = "livevision_"
OLDEST = 11
"""The lowest opset in which the nodes have the same meaning."""

_AXES_AS_INPUT = 18  # of ReduceMax and ReduceMean


class NodeBuilder:
    """Collects nodes and constants; each method adds a node and returns the name of its value.

    Args:
        opset: The graph's version of ONNX's own operators.
        mark: Prefix of all names, so that those of two builders differ.
    """

    def __init__(self, opset: int, mark: str) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._opset = opset
        self._mark = PREFIX + mark

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output."""
        return self._add(kind, inputs, 1, attributes)[0]

    def _add(
        self, kind: str, inputs: Sequence[str], outputs: int, attributes: dict[str, Any]
    ) -> list[str]:
        from onnx import helper

        number = len(self.nodes)
        names = [f"{self._mark}_{kind.lower()}_{number}_{n}" for n in range(outputs)]
        self.nodes.append(
            helper.make_node(kind, list(inputs), names, f"{self._mark}_{number}", **attributes)
        )
        return names

    def named(self, value: str, name: str) -> None:
        """Give a value another name, such as that of an output."""
        from onnx import helper

        self.nodes.append(helper.make_node("Identity", [value], [name], f"{self._mark}_{name}"))

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """A constant."""
        from onnx import numpy_helper

        name = f"{self._mark}_constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def cast(self, value: str, dtype: str) -> str:
        """Convert to a dtype, by numpy's name."""
        from onnx import helper

        return self.node("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def reshape(self, value: str, *shape: int) -> str:
        return self.node("Reshape", value, self.constant(shape, np.int64))

    def gather(self, value: str, rows: str, axis: int) -> str:
        return self.node("Gather", value, rows, axis=axis)

    def part(self, value: str, start: int, stop: int, axis: int) -> str:
        """The slice from ``start`` to ``stop`` along an axis."""
        ends = (self.constant([n], np.int64) for n in (start, stop, axis))
        return self.node("Slice", value, *ends)

    def highest(self, value: str, axis: int, keep: bool = False) -> str:
        """The largest values along an axis."""
        return self._reduced("ReduceMax", value, axis, keep)

    def mean(self, value: str, axis: int, keep: bool = False) -> str:
        """The means along an axis."""
        return self._reduced("ReduceMean", value, axis, keep)

    def _reduced(self, kind: str, value: str, axis: int, keep: bool) -> str:
        if self._opset >= _AXES_AS_INPUT:
            return self.node(kind, value, self.constant([axis], np.int64), keepdims=int(keep))
        return self.node(kind, value, axes=[axis], keepdims=int(keep))

    def top(self, value: str, count: int, axis: int = 1) -> tuple[str, str]:
        """The largest values along an axis in descending order, and their indices, int64."""
        values, places = self._add(
            "TopK", (value, self.constant([count], np.int64)), 2, {"axis": axis}
        )
        return values, places

    def times(self, value: str, other: Any) -> str:
        return self.node("Mul", value, other if isinstance(other, str) else self.constant(other))

    def plus(self, value: str, other: Any) -> str:
        return self.node("Add", value, other if isinstance(other, str) else self.constant(other))

    def joined(self, values: Sequence[str], axis: int) -> str:
        return self.node("Concat", *values, axis=axis)
