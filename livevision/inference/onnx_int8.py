"""Post-training quantisation of an ONNX graph's net with ONNX Runtime's tools.

The graph marks int8 by pairs of QuantizeLinear and DequantizeLinear around the net's layers; what
is between two pairs is computed in int8. CPUs and TensorRT need different pairs. CPUs use unsigned
bytes starting at zero after a ReLU, so that the pair replaces the ReLU. TensorRT requires ranges
symmetric about zero, and the pair only after the ReLU, so that convolution and ReLU are fused.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livevision.errors import ModelError
from livevision.frame import Batch
from livevision.inference.onnx_layers import LAYERS, name_nodes, net_of

_COLOURS = 3
_ACTIVATIONS = frozenset(("Clip", "Relu"))


def quantise(
    graph: Path, batches: Sequence[Batch], output: Path, *, symmetric: bool = False
) -> None:
    """Write a graph in int8.

    Args:
        graph: The graph in fp32.
        batches: Inputs of one frame each, for calibration.
        output: The .onnx file; it keeps the description of ``graph``.
        symmetric: Quantise for TensorRT; otherwise for CPUs.

    Raises:
        ModelError: The ranges of the net's values are not finite.
    """
    import onnx
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        """The batches, one by one."""

        def __init__(self) -> None:
            self._left: Iterator[Batch] = iter(batches)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._left, None)
            return None if batch is None else dict(batch)

    model = onnx.load(graph)
    metadata = list(model.metadata_props)
    name_nodes(model)
    model = _with_initializers(model)
    net = net_of(model)
    net -= _first_layers(model, net)
    kinds = quantization.QuantType
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it recommends pre-processing that does not apply here
    try:
        quantization.quantize_static(
            model,
            output,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=kinds.QInt8 if symmetric else kinds.QUInt8,
            weight_type=kinds.QInt8,
            nodes_to_quantize=sorted(net),
            calibrate_method=quantization.CalibrationMethod.MinMax,
            extra_options={
                "ActivationSymmetric": symmetric,
                # Zero points at zero or the middle, so that bytes can be taken for signed ones.
                "ActivationRestrictedAsymmetric": not symmetric,
                # The mean over the frames of minimum and maximum: the total range may come from a
                # single odd frame.
                "CalibMovingAverage": True,
            },
        )
    except AssertionError as error:  # its own range check
        raise ModelError(
            f"ONNX Runtime's tools cannot quantise {str(graph)!r}, some of whose numbers are "
            f"infinite or none at all in these frames: {error}"
        ) from error
    finally:
        root.setLevel(level)
    quantised = onnx.load(output)
    _leave_ends_whole(quantised, net)
    if symmetric:
        _quantise_behind_activations(quantised)
    del quantised.metadata_props[:]
    quantised.metadata_props.extend(metadata)
    onnx.save(quantised, output)


def _first_layers(model: Any, net: set[str]) -> set[str]:
    """Names of the layers that see the picture itself.

    They are a small part of the net's work, and their quantisation error goes through all of it.
    """
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    features = {name for node in model.graph.node if node.name in net for name in node.output}
    return {
        node.name
        for node in model.graph.node
        if node.name in net
        and node.op_type == "Conv"
        and node.input[0] not in features
        and stored[node.input[1]].dims[1] == _COLOURS
    }


def _leave_ends_whole(model: Any, net: set[str]) -> None:
    """Remove the pairs after the net's last layers, whose outputs go to float32 operations.

    In eight bits many scores or logits would be equal.
    """

    def is_last(pair: _Pair) -> bool:
        return not any(reader.name in net for reader in pair.readers)

    _take_away(model, is_last)


def _quantise_behind_activations(model: Any) -> None:
    """Remove the pairs between layers and the activations after them."""

    def is_between(pair: _Pair) -> bool:
        return (
            pair.maker.op_type in LAYERS
            and len(pair.readers) == 1
            and pair.readers[0].op_type in _ACTIVATIONS
        )

    _take_away(model, is_between)


@dataclass(frozen=True)
class _Pair:
    """A QuantizeLinear and the DequantizeLinear after it.

    Attributes:
        maker: The node whose output is quantised.
        first, second: The pair itself.
        readers: The nodes that use the result.
    """

    maker: Any
    first: Any
    second: Any
    readers: list[Any]


def _take_away(model: Any, superfluous: Callable[[_Pair], bool]) -> None:
    """Connect the readers of some pairs to the original tensor."""
    nodes = model.graph.node
    makes = {output: node for node in nodes for output in node.output}
    readers: dict[str, list[Any]] = defaultdict(list)
    for node in nodes:
        for name in node.input:
            readers[name].append(node)
    gone = set()
    for second in [node for node in nodes if node.op_type == "DequantizeLinear"]:
        first = makes.get(second.input[0])
        maker = None if first is None else makes.get(first.input[0])
        if first is None or maker is None:
            continue
        pair = _Pair(maker, first, second, readers[second.output[0]])
        if not superfluous(pair):
            continue
        for reader in pair.readers:
            reader.input[:] = [
                first.input[0] if name == second.output[0] else name for name in reader.input
            ]
        gone.add(second.name)
        readers[first.output[0]].remove(second)
        if not readers[first.output[0]]:
            gone.add(first.name)
    kept = [node for node in nodes if node.name not in gone]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _with_initializers(model: Any) -> Any:
    """The model with its constants as initializers, where the quantiser looks for them."""
    import onnx

    kept = []
    same: dict[str, str] = {}  # aliases of stored constants
    stored = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensor = onnx.TensorProto()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
            model.graph.initializer.append(tensor)
            stored.add(tensor.name)
        elif node.op_type == "Identity" and node.input[0] in stored:
            same[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model
