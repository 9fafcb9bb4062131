"""Inspection of a graph between its last layers and its outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from livevision.errors import ModelError
from livevision.models.foreign.graph_file import GraphFile

_LAYERS = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})
_SHAPED = frozenset({"Reshape", "Slice", "Gather", "Expand", "Squeeze", "Unsqueeze", "Split"})
"""Operators whose inputs after the first are shapes and indices, no values."""


def after_layers(graph: GraphFile, output: str) -> frozenset[str]:
    """The operators between an output and its nearest layers; empty if the graph is not ONNX."""
    inner = getattr(graph.model, "graph", None)
    if inner is None:
        return frozenset()
    makers = {name: node for node in inner.node for name in node.output}
    seen: set[str] = set()
    passed: set[str] = set()
    left = [output]
    while left:
        name = left.pop()
        node = makers.get(name)
        if node is None or name in seen or node.op_type in _LAYERS:
            continue
        seen.add(name)
        passed.add(node.op_type)
        left += node.input[:1] if node.op_type in _SHAPED else node.input
    return frozenset(passed)


def has_part(graph: GraphFile, *names: str) -> bool:
    """Whether the name of a weight or node contains one of these names."""
    inner = getattr(graph.model, "graph", None)
    if inner is None:
        return False
    called = (*(t.name for t in inner.initializer), *(n.name for n in inner.node))
    return any(name in text for text in called for name in names)


def scores_before(
    starts: list[Any],
    before: Callable[[Any], list[Any]],
    shape_of: Callable[[Any], Any],
    classes: int,
    path: Path,
) -> tuple[Any, bool]:
    """The scores among the values before a class map: the smallest, and of those the earliest.

    Args:
        starts: The graph's outputs.
        before: Returns the inputs of a value's node; none if it is a layer.
        shape_of: Returns the shape of a value of floats; None for others.
        classes: Number of classes.
        path: The file, for messages.

    Returns:
        The value, and whether its classes are the last dimension.

    Raises:
        ModelError: There are no such scores.
    """
    best: tuple[int, int, Any, bool] | None = None
    seen: list[Any] = []
    left = [(value, 0) for value in starts]
    while left:
        value, depth = left.pop(0)
        if value in seen:
            continue
        seen.append(value)
        shape = shape_of(value)
        if shape is not None and len(shape) == 4 and classes in (shape[1], shape[3]):
            last = shape[1] != classes
            area = (shape[1] * shape[2]) if last else (shape[2] * shape[3])
            if area > 1 and (best is None or (area, -depth) <= best[:2]):
                best = (area, -depth, value, last)
        left += [(earlier, depth + 1) for earlier in before(value)]
    if best is None:
        raise ModelError(
            f"{str(path)!r} has no scores of its {classes} classes before its class map; label "
            "without --soft"
        )
    return best[2], best[3]
