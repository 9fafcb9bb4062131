"""Post-training quantisation with NNCF: convolutions and matrix products in int8.

The rest of the graph stays in float: normalisation before the first layer, arg-max after the last,
and box geometry (decoding, top-k, NMS, sampling) anywhere, since eight bits cannot address single
pixels in a picture of a thousand.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

import openvino as ov

from livevision.frame import Batch

_LAYERS = frozenset(("Convolution", "GroupConvolution", "MatMul"))
_UNCOUNTED = frozenset(("Constant", "Parameter", "Result"))


def quantise(model: ov.Model, batches: Sequence[Batch]) -> ov.Model:
    """The graph in int8.

    Args:
        model: The graph in fp32.
        batches: Inputs of one frame each, for calibration.
    """
    import nncf  # here, since it looks for every installed framework

    # Its own function for this also silences handlers of other loggers.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    with redirect_stdout(sys.stderr):  # it prints its progress
        quantised: ov.Model = nncf.quantize(
            model,
            nncf.Dataset([dict(batch) for batch in batches]),
            ignored_scope=nncf.IgnoredScope(names=outside_the_net(model), validate=False),
            subset_size=len(batches),
            target_device=nncf.TargetDevice.CPU,
        )
    return quantised


def outside_the_net(model: ov.Model) -> list[str]:
    """Names of the operations that stay in float; see the module's docstring.

    A layer is a convolution or product with constant weights. Float are operations without a layer
    before or after them, products of two computed tensors, and all whose output is not a feature
    map, N×C×H×W.
    """
    operations = [op for op in model.get_ordered_ops() if op.get_type_name() not in _UNCOUNTED]
    names = [op.get_friendly_name() for op in operations]
    before: dict[str, bool] = {}
    after = dict.fromkeys(names, False)
    feeding = {
        name: [i.get_node() for i in op.input_values()]
        for name, op in zip(names, operations, strict=True)
    }
    for name in names:
        before[name] = any(
            before.get(n.get_friendly_name(), False) or _is_layer(n) for n in feeding[name]
        )
    for name, operation in zip(reversed(names), reversed(operations), strict=True):
        for node in feeding[name]:
            if after[name] or _is_layer(operation):
                after[node.get_friendly_name()] = True
    return [
        name
        for name, op in zip(names, operations, strict=True)
        if not _is_layer(op)
        and not (
            before[name]
            and after[name]
            and op.get_type_name() not in _LAYERS
            and len(op.get_output_partial_shape(0)) == 4
        )
    ]


def _is_layer(node: ov.Node) -> bool:
    if node.get_type_name() not in _LAYERS:
        return False
    weights = node.input_value(1).get_node()
    while weights.get_type_name() in ("Convert", "Reshape"):  # of half floats, of groups
        weights = weights.input_value(0).get_node()
    return bool(weights.get_type_name() == "Constant")
