"""What a graph does between its last layers and its outputs."""

from __future__ import annotations

from livevision.models.foreign.graph_file import GraphFile

_LAYERS = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})
_SHAPED = frozenset({"Reshape", "Slice", "Gather", "Expand", "Squeeze", "Unsqueeze", "Split"})
"""Their inputs after the first tell shapes and places, no values."""


def after_layers(graph: GraphFile, output: str) -> frozenset[str]:
    """The operators that an output goes through after the layers nearest to it.

    Empty for a graph that is not ONNX, of which this is not known.
    """
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
    """Whether any of a graph's weights or nodes is called after one of these parts of a net."""
    inner = getattr(graph.model, "graph", None)
    if inner is None:
        return False
    called = (*(t.name for t in inner.initializer), *(n.name for n in inner.node))
    return any(name in text for text in called for name in names)
